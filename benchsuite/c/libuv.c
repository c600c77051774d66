/* libuv: one loop a thread, one buffer a thread; what the socket takes at once is written at once (uv_try_write). */
#define _GNU_SOURCE
#include "peer.h"
#include <uv.h>

struct connection {
    uv_tcp_t tcp;
    struct conversation conversation;
};

/* What the socket did not take at once. */
struct rest {
    uv_write_t write;
    char bytes[];
};

static int burns;
static __thread char buffer[BUFFER_BYTES];

static void check(const char *what, int error)
{
    if (error < 0) {
        fprintf(stderr, "%s: %s\n", what, uv_strerror(error));
        exit(1);
    }
}

static void closed(uv_handle_t *handle)
{
    free(handle);
}

static void close_connection(uv_stream_t *stream)
{
    if (!uv_is_closing((uv_handle_t *)stream))
        uv_close((uv_handle_t *)stream, closed);
}

/* The buffer is free again when on_read returns, and libuv reads for one connection at a time. */
static void lend(uv_handle_t *handle, size_t suggested, uv_buf_t *lent)
{
    (void)handle;
    (void)suggested;
    *lent = uv_buf_init(buffer, BUFFER_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *lent);

static void on_write(uv_write_t *write, int error)
{
    uv_stream_t *stream = write->handle;
    free(write);
    if (error < 0 || uv_read_start(stream, lend, on_read) < 0)
        close_connection(stream);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *lent)
{
    if (count < 0) {
        close_connection(stream);
        return;
    }
    if (count == 0)
        return;
    if (burns)
        compute(&((struct connection *)stream)->conversation, (unsigned char *)lent->base, (size_t)count);
    uv_buf_t all = uv_buf_init(lent->base, (unsigned)count);
    int written = uv_try_write(stream, &all, 1);
    if (written == UV_EAGAIN)
        written = 0;
    if (written < 0) {
        close_connection(stream);
        return;
    }
    if (written == count)
        return;
    /* Nothing is received while the socket takes no more. */
    size_t left = (size_t)(count - written);
    struct rest *rest = (struct rest *)malloc(sizeof *rest + left);
    if (!rest) {
        close_connection(stream);
        return;
    }
    memcpy(rest->bytes, lent->base + written, left);
    uv_buf_t remaining = uv_buf_init(rest->bytes, (unsigned)left);
    uv_read_stop(stream);
    if (uv_write(&rest->write, stream, &remaining, 1, on_write) < 0) {
        free(rest);
        close_connection(stream);
    }
}

static void on_connection(uv_stream_t *listening, int error)
{
    struct connection *c = (struct connection *)calloc(1, sizeof *c);
    if (!c)
        give_up("calloc", ENOMEM);
    check("connection", error == UV_ECONNABORTED ? 0 : error);
    check("uv_tcp_init", uv_tcp_init(listening->loop, &c->tcp));
    if (uv_accept(listening, (uv_stream_t *)&c->tcp) < 0 || uv_read_start((uv_stream_t *)&c->tcp, lend, on_read) < 0)
        close_connection((uv_stream_t *)&c->tcp);
}

static void *run(void *listener)
{
    uv_loop_t loop;
    uv_tcp_t listening;
    check("uv_loop_init", uv_loop_init(&loop));
    check("uv_tcp_init", uv_tcp_init(&loop, &listening));
    check("uv_tcp_open", uv_tcp_open(&listening, (uv_os_sock_t)(intptr_t)listener));
    check("uv_listen", uv_listen((uv_stream_t *)&listening, BACKLOG, on_connection));
    uv_run(&loop, UV_RUN_DEFAULT);
    return NULL;
}

int main(int argc, char **argv)
{
    struct options options = parse(argc, argv);
    burns = options.burn;
    run_all(&options, "libuv", "epoll", SOCK_NONBLOCK, run);
    return 0;
}
