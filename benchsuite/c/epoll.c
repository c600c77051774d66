/* The limit for readiness: epoll by edges, one loop a thread, one hot buffer a thread, nothing between. */
#define _GNU_SOURCE
#include "peer.h"
#include <sys/epoll.h>

#define EVENTS_MAX 1024

struct connection {
    int s;
    struct conversation conversation;
    /* What the socket did not take yet. While there is some nothing is received. */
    unsigned char *rest;
    size_t rest_at, rest_end;
};

static int burns;

static void close_connection(struct connection *c)
{
    close(c->s);
    free(c->rest);
    free(c);
}

/* Sends the rest; 1 when all is sent, 0 when the socket takes no more, -1 when it is broken. */
static int flush_rest(struct connection *c)
{
    while (c->rest_at < c->rest_end) {
        ssize_t n = send(c->s, c->rest + c->rest_at, c->rest_end - c->rest_at, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN ? 0 : -1;
        c->rest_at += (size_t)n;
    }
    free(c->rest);
    c->rest = NULL;
    c->rest_at = c->rest_end = 0;
    return 1;
}

/* Sends and receives until the socket has no more to give or to take; -1 when the connection is over. */
static int drive(struct connection *c, unsigned char *buffer, int to_the_end)
{
    for (;;) {
        if (c->rest) {
            int sent = flush_rest(c);
            if (sent <= 0)
                return sent;
        }
        ssize_t n = recv(c->s, buffer, BUFFER_BYTES, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            return -1;
        if (n < 0)
            return 0;
        if (burns)
            compute(&c->conversation, buffer, (size_t)n);
        ssize_t sent = send(c->s, buffer, (size_t)n, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            return -1;
        if (sent < 0)
            sent = 0;
        if (sent < n) {
            c->rest_end = (size_t)(n - sent);
            c->rest = (unsigned char *)malloc(c->rest_end);
            if (!c->rest)
                return -1;
            memcpy(c->rest, buffer + sent, c->rest_end);
        } else if (n < BUFFER_BYTES && !to_the_end) {
            /* The socket is empty: the next bytes are a new edge, and so is the end, unless this edge has told it already. */
            return 0;
        }
    }
}

static void *loop(void *listener)
{
    int listening = (int)(intptr_t)listener, set = epoll_create1(EPOLL_CLOEXEC);
    static __thread unsigned char buffer[BUFFER_BYTES];
    static __thread struct epoll_event events[EVENTS_MAX];
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (set < 0 || epoll_ctl(set, EPOLL_CTL_ADD, listening, &event) < 0)
        give_up("epoll", errno);
    for (;;) {
        int count = epoll_wait(set, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            struct connection *c = (struct connection *)events[i].data.ptr;
            if (c) {
                if (drive(c, buffer, (events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) < 0)
                    close_connection(c);
                continue;
            }
            int s;
            while ((s = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
                c = (struct connection *)calloc(1, sizeof *c);
                if (!c)
                    give_up("calloc", ENOMEM);
                c->s = s;
                event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
                event.data.ptr = c;
                if (epoll_ctl(set, EPOLL_CTL_ADD, s, &event) < 0)
                    give_up("epoll_ctl", errno);
            }
            if (errno != EAGAIN && errno != ECONNABORTED)
                give_up("accept", errno);
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    struct options options = parse(argc, argv);
    burns = options.burn;
    run_all(&options, "epoll", "epoll", SOCK_NONBLOCK, loop);
    return 0;
}
