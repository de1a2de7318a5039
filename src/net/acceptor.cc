#include "net/acceptor.h"

#include "base/log.h"
#include "reactor/reactor.h"

namespace weft::net {

Result<std::unique_ptr<Acceptor>> Acceptor::listen(Thread& thread, const env::Address& address,
                                                   const env::ListenOptions& options, Accepted accepted) {
    auto listener = thread.reactor().environment().network().listen(address, options);
    if (!listener) return std::unexpected(std::move(listener).error());
    std::unique_ptr<Acceptor> acceptor(new Acceptor(thread, std::move(*listener), std::move(accepted)));
    WEFT_TRY(acceptor->look());
    return acceptor;
}

Acceptor::Acceptor(Thread& thread, std::unique_ptr<env::Listener> listener, Accepted accepted)
    : thread_(thread),
      listener_(std::move(listener)),
      address_(listener_->local_address()),
      accepted_(std::move(accepted)),
      retry_(thread, [](void* self) { static_cast<Acceptor*>(self)->resume(); }, this) {}

Result<void> Acceptor::look() { return watch(thread_, *listener_, {.events = env::Events::readable}); }

void Acceptor::pause() {
    paused_ = true;
    retry_.stop();
    unwatch();
}

void Acceptor::resume() {
    paused_ = false;
    if (listener_ == nullptr || is_watching()) return;
    retry_.stop();
    // The kernel may be out of memory for watches, as it may be for sockets: try again later.
    if (!look()) retry_.start_after(descriptor_pause);
}

void Acceptor::close() {
    retry_.stop();
    unwatch();
    listener_.reset();
}

uint32_t Acceptor::on_events(uint32_t) {
    uint32_t count = 0;
    while (count < batch_max && listener_ != nullptr && !paused_) {
        auto stream = listener_->accept();
        ++count;
        if (stream) {
            accepted_(std::move(*stream));
        } else if (stream.error().code == Errc::again) {
            break;
        } else if (stream.error().code == Errc::too_many) {
            WEFT_WARNLOG("{}: {}; looking again in {} ms", env::to_string(address_), stream.error().message,
                         descriptor_pause / env::ns_per_ms);
            unwatch();
            retry_.start_after(descriptor_pause);
            break;
        }
    }
    return count;
}

}  // namespace weft::net
