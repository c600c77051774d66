/* The limit for completion: one ring a thread, which is its only user (SINGLE_ISSUER, DEFER_TASKRUN); an accept, and a receive
   for each connection, that go on by themselves (multishot), into buffers that all connections of a thread share; sends that are
   handed over together, by the call that waits for the next completions. */
#define _GNU_SOURCE
#include "peer.h"
#include <liburing.h>

#define ENTRIES 4096
#define COMPLETIONS 16384
/* Buffers of a thread, a power of two. A connection that takes its answers holds one while the answer is sent. */
#define BUFFERS 1024
/* A connection with more buffers than this still to be sent receives nothing until they are. */
#define HELD_MAX 4
#define NONE (-1)

enum kind { ACCEPT, RECEIVE, SEND, CANCEL };

struct connection {
    int s;
    int receiving, cancelled, sending;
    /* Nothing is received any more: the peer has finished, or the connection is broken. */
    int over;
    /* The buffers to be sent, linked by next[]; the first is under way, this much of it is sent. */
    int first, last, held;
    unsigned sent;
    /* In the list of those for whose receive there was no buffer. */
    int starved;
    struct connection *starved_next;
    struct conversation conversation;
};

static int burns;
/* A thread has one of each. */
static __thread struct io_uring ring;
static __thread struct io_uring_buf_ring *buffers;
static __thread unsigned char *memory;
static __thread int next[BUFFERS];
static __thread unsigned length[BUFFERS];
static __thread struct connection *starved;

static struct io_uring_sqe *entry(void)
{
    struct io_uring_sqe *sqe;
    while (!(sqe = io_uring_get_sqe(&ring)))
        io_uring_submit(&ring);
    return sqe;
}

/* The kind lies in the two low bits, which an allocation leaves free. */
static uint64_t name(void *of, enum kind kind)
{
    return (uint64_t)(uintptr_t)of | (uint64_t)kind;
}

static void start_receive(struct connection *c)
{
    struct io_uring_sqe *sqe = entry();
    io_uring_prep_recv_multishot(sqe, c->s, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = 0;
    io_uring_sqe_set_data64(sqe, name(c, RECEIVE));
    c->receiving = 1;
    c->cancelled = 0;
}

static void start_send(struct connection *c)
{
    struct io_uring_sqe *sqe = entry();
    unsigned char *bytes = memory + (size_t)c->first * BUFFER_BYTES;
    io_uring_prep_send(sqe, c->s, bytes + c->sent, length[c->first] - c->sent, MSG_NOSIGNAL | MSG_WAITALL);
    io_uring_sqe_set_data64(sqe, name(c, SEND));
    c->sending = 1;
}

static void give_back_first(struct connection *c)
{
    int id = c->first;
    c->first = next[id];
    c->held--;
    c->sent = 0;
    io_uring_buf_ring_add(buffers, memory + (size_t)id * BUFFER_BYTES, BUFFER_BYTES, (unsigned short)id,
                          io_uring_buf_ring_mask(BUFFERS), 0);
    io_uring_buf_ring_advance(buffers, 1);
}

static void break_off(struct connection *c)
{
    c->over = 1;
    while (c->held > 0 && !c->sending)
        give_back_first(c);
    /* What is still under way completes now. */
    shutdown(c->s, SHUT_RDWR);
}

static void received(struct connection *c, int result, unsigned flags)
{
    c->receiving = (flags & IORING_CQE_F_MORE) != 0;
    if (result > 0) {
        int id = (int)(flags >> IORING_CQE_BUFFER_SHIFT);
        if (burns)
            compute(&c->conversation, memory + (size_t)id * BUFFER_BYTES, (size_t)result);
        length[id] = (unsigned)result;
        next[id] = NONE;
        if (c->held++ > 0)
            next[c->last] = id;
        else
            c->first = id;
        c->last = id;
        if (c->over && !c->sending)
            give_back_first(c);
        else if (!c->sending)
            start_send(c);
        if (c->held > HELD_MAX && c->receiving && !c->cancelled) {
            struct io_uring_sqe *sqe = entry();
            io_uring_prep_cancel64(sqe, name(c, RECEIVE), 0);
            io_uring_sqe_set_data64(sqe, name(NULL, CANCEL));
            c->cancelled = 1;
        }
    } else if (result == -ENOBUFS) {
        c->starved = 1;
        c->starved_next = starved;
        starved = c;
    } else if (result == 0) {
        c->over = 1;
    } else if (result != -ECANCELED) {
        break_off(c);
    }
}

static void sent(struct connection *c, int result)
{
    c->sending = 0;
    if (result < 0 || c->held == 0) {
        break_off(c);
        return;
    }
    c->sent += (unsigned)result;
    if (c->sent == length[c->first])
        give_back_first(c);
    if (c->held > 0)
        start_send(c);
}

/* Closes what is over, and receives again where everything has been sent. */
static void settle(struct connection *c)
{
    if (c->receiving || c->sending || c->starved)
        return;
    if (c->over) {
        close(c->s);
        free(c);
    } else if (c->held == 0) {
        start_receive(c);
    }
}

static void start_accept(int listening)
{
    struct io_uring_sqe *sqe = entry();
    io_uring_prep_multishot_accept(sqe, listening, NULL, NULL, SOCK_CLOEXEC);
    io_uring_sqe_set_data64(sqe, name(NULL, ACCEPT));
}

static void accepted(int listening, int result, unsigned flags)
{
    if (result >= 0) {
        struct connection *c = (struct connection *)calloc(1, sizeof *c);
        if (!c)
            give_up("calloc", ENOMEM);
        c->s = result;
        start_receive(c);
    } else if (result != -ECONNABORTED) {
        give_up("accept", -result);
    }
    if (!(flags & IORING_CQE_F_MORE))
        start_accept(listening);
}

static void set_up(void)
{
    struct io_uring_params parameters = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                                  IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL,
                                         .cq_entries = COMPLETIONS};
    int error = io_uring_queue_init_params(ENTRIES, &ring, &parameters);
    if (error < 0)
        give_up("io_uring_queue_init", -error);
    void *pages = NULL;
    if (posix_memalign(&pages, 4096, BUFFERS * sizeof(struct io_uring_buf)) != 0 ||
        posix_memalign((void **)&memory, 4096, (size_t)BUFFERS * BUFFER_BYTES) != 0)
        give_up("posix_memalign", ENOMEM);
    buffers = (struct io_uring_buf_ring *)pages;
    struct io_uring_buf_reg where = {.ring_addr = (uint64_t)(uintptr_t)pages, .ring_entries = BUFFERS};
    error = io_uring_register_buf_ring(&ring, &where, 0);
    if (error < 0)
        give_up("io_uring_register_buf_ring", -error);
    io_uring_buf_ring_init(buffers);
    for (int id = 0; id < BUFFERS; id++)
        io_uring_buf_ring_add(buffers, memory + (size_t)id * BUFFER_BYTES, BUFFER_BYTES, (unsigned short)id,
                              io_uring_buf_ring_mask(BUFFERS), id);
    io_uring_buf_ring_advance(buffers, BUFFERS);
}

static void *loop(void *listener)
{
    int listening = (int)(intptr_t)listener;
    set_up();
    start_accept(listening);
    for (;;) {
        int error = io_uring_submit_and_wait(&ring, 1);
        if (error < 0 && error != -EINTR && error != -EBUSY)
            give_up("io_uring_enter", -error);
        struct io_uring_cqe *cqe;
        unsigned head, count = 0;
        io_uring_for_each_cqe(&ring, head, cqe)
        {
            struct connection *c = (struct connection *)(uintptr_t)(cqe->user_data & ~(uint64_t)3);
            enum kind kind = (enum kind)(cqe->user_data & 3);
            count++;
            if (kind == ACCEPT)
                accepted(listening, cqe->res, cqe->flags);
            else if (kind == RECEIVE)
                received(c, cqe->res, cqe->flags);
            else if (kind == SEND)
                sent(c, cqe->res);
            if (kind == RECEIVE || kind == SEND)
                settle(c);
        }
        io_uring_cq_advance(&ring, count);
        /* A send that completed has given a buffer back. Who finds none again comes back here. */
        struct connection *waiting = starved;
        starved = NULL;
        while (waiting) {
            struct connection *c = waiting;
            waiting = c->starved_next;
            c->starved = 0;
            if (c->over)
                settle(c);
            else
                start_receive(c);
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    struct options options = parse(argc, argv);
    burns = options.burn;
    run_all(&options, "uring", "io_uring", 0, loop);
    return 0;
}
