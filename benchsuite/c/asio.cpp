// Boost.Asio: one io_context a thread, which alone uses it; a session for each connection, which reads, writes, and reads again.
#include "peer.h"
#include <boost/asio.hpp>
#include <array>
#include <memory>

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

static bool burns;

class session : public std::enable_shared_from_this<session> {
public:
    explicit session(tcp::socket socket) : socket_(std::move(socket)) {}

    void read()
    {
        socket_.async_read_some(asio::buffer(buffer_), [self = shared_from_this()](error_code error, std::size_t count) {
            // At the end, and at an error, the session goes with its last handler.
            if (!error)
                self->write(count);
        });
    }

private:
    void write(std::size_t count)
    {
        if (burns)
            compute(&conversation_, buffer_.data(), count);
        auto answer = asio::buffer(buffer_, count);
        asio::async_write(socket_, answer, [self = shared_from_this()](error_code error, std::size_t) {
            if (!error)
                self->read();
        });
    }

    tcp::socket socket_;
    conversation conversation_{};
    // Not initialised: pages that are never received into take no memory.
    std::array<unsigned char, BUFFER_BYTES> buffer_;
};

static void accept(tcp::acceptor &acceptor)
{
    acceptor.async_accept([&acceptor](error_code error, tcp::socket socket) {
        if (!error)
            std::shared_ptr<session>(new session(std::move(socket)))->read();
        else if (error != asio::error::connection_aborted)
            give_up("accept", error.value());
        accept(acceptor);
    });
}

static void *loop(void *listener)
{
    // One thread: the context need not lock for others.
    asio::io_context context(1);
    tcp::acceptor acceptor(context, tcp::v4(), static_cast<int>(reinterpret_cast<std::intptr_t>(listener)));
    accept(acceptor);
    context.run();
    return nullptr;
}

int main(int argc, char **argv)
{
    options options = parse(argc, argv);
    burns = options.burn;
    run_all(&options, "asio", "epoll", SOCK_NONBLOCK, loop);
}
