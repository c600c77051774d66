/* What every server in C does alike: its flags, its listening sockets, its first line, its end, and the cost of a request. */
#ifndef PEER_H
#define PEER_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Bytes of the buffer that each server receives into: as many as those of Doorbell receive at once at most. */
#define BUFFER_BYTES (64 * 1024)
/* Clients that may wait to be accepted. The system takes its own limit if that is lower. */
#define BACKLOG 4096

struct options {
    struct sockaddr_in listen;
    int threads;
    int burn; /* --service burn */
};

static inline void give_up(const char *what, int error)
{
    fprintf(stderr, "%s: %s\n", what, strerror(error));
    exit(1);
}

/* Whoever started the server holds the other end of a pipe: when that goes, the server goes. */
static inline void *end_with_stdin(void *unused)
{
    char bytes[64];
    while (read(0, bytes, sizeof bytes) > 0) {
    }
    (void)unused;
    _exit(0);
}

static inline struct options parse(int argc, char **argv)
{
    struct options options;
    memset(&options, 0, sizeof options);
    options.threads = 1;
    options.listen.sin_family = AF_INET;
    options.listen.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 1; i < argc; i += 2) {
        const char *flag = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        int known = 0;
        if (!strcmp(flag, "--listen")) {
            char host[64];
            unsigned port;
            known = sscanf(value, "%63[0-9.]:%u", host, &port) == 2 && port < 65536 &&
                    inet_pton(AF_INET, host, &options.listen.sin_addr) == 1;
            if (known)
                options.listen.sin_port = htons((uint16_t)port);
        } else if (!strcmp(flag, "--threads")) {
            options.threads = atoi(value);
            known = options.threads > 0;
        } else if (!strcmp(flag, "--service")) {
            options.burn = !strcmp(value, "burn");
            known = options.burn || !strcmp(value, "echo");
        }
        if (!known) {
            fprintf(stderr, "%s %s: not known\n", flag, value);
            exit(1);
        }
    }
    struct stat in;
    pthread_t thread;
    if (fstat(0, &in) == 0 && S_ISFIFO(in.st_mode) && pthread_create(&thread, NULL, end_with_stdin, NULL) != 0)
        give_up("pthread_create", errno);
    return options;
}

/* A listening socket. Several may listen on one address, among which the system deals the clients out: the first of them puts
   the port that it got into the options. */
static inline int listener(struct options *options, int flags)
{
    int yes = 1, shared = options->threads > 1;
    socklen_t length = sizeof options->listen;
    struct sockaddr *address = (struct sockaddr *)&options->listen;
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    /* No delay before it listens, for what it accepts to be born with it. */
    if (s < 0 || setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0 ||
        setsockopt(s, SOL_SOCKET, SO_REUSEPORT, &shared, sizeof shared) < 0 ||
        setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) < 0 || bind(s, address, length) < 0 ||
        listen(s, BACKLOG) < 0 || getsockname(s, address, &length) < 0)
        give_up("listen", errno);
    return s;
}

/* The line that scripts wait for. */
static inline void say(const struct options *options, const char *model, const char *backend)
{
    char host[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &options->listen.sin_addr, host, sizeof host);
    printf("listening on %s:%u model=%s threads=%d backend=%s\n", host, (unsigned)ntohs(options->listen.sin_port), model,
           options->threads, backend);
    fflush(stdout);
}

/* Runs a loop for each listening socket, on a thread each; comes back never. */
static inline void run_all(struct options *options, const char *model, const char *backend, int flags,
                           void *(*loop)(void *))
{
    pthread_t thread = 0;
    intptr_t *listeners = (intptr_t *)calloc((size_t)options->threads, sizeof *listeners);
    for (int i = 0; i < options->threads; i++)
        listeners[i] = listener(options, flags);
    say(options, model, backend);
    for (int i = 0; i < options->threads; i++) {
        int error = pthread_create(&thread, NULL, loop, (void *)listeners[i]);
        if (error)
            give_up("pthread_create", error);
    }
    free(listeners);
    pthread_join(thread, NULL);
}

/* Where a connection's requests begin and end, for the service burn: eight bytes of head, then a body. The head is the length
   of the body in bytes and the rounds to compute, both 32 bits, big end first. */
struct conversation {
    unsigned char head[8];
    unsigned head_len;
    uint32_t body_left;
};

/* Computes what is to be computed before these bytes, which were received next, are sent back. */
static inline void compute(struct conversation *c, const unsigned char *bytes, size_t count)
{
    while (count > 0) {
        size_t body = c->body_left < count ? c->body_left : count;
        c->body_left -= (uint32_t)body;
        bytes += body;
        count -= body;
        while (count > 0 && c->head_len < sizeof c->head) {
            c->head[c->head_len++] = *bytes++;
            count--;
        }
        if (c->head_len == sizeof c->head) {
            uint32_t rounds;
            memcpy(&c->body_left, c->head, 4);
            memcpy(&rounds, c->head + 4, 4);
            c->body_left = ntohl(c->body_left);
            rounds = ntohl(rounds);
            c->head_len = 0;
            /* A round is one step of xorshift64, a chain that no compiler shortens. */
            uint64_t state = 0x9e3779b97f4a7c15u;
            __asm__ volatile("" : "+r"(state));
            for (uint32_t i = 0; i < rounds; i++) {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
            }
            __asm__ volatile("" : : "r"(state));
        }
    }
}

#endif
