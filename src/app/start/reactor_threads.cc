#include "app/start/reactor_threads.h"

namespace weft::app {

Result<std::unique_ptr<ReactorThreads>> ReactorThreads::start(Runtime& runtime, bool pin) {
    std::unique_ptr<ReactorThreads> started(new ReactorThreads(runtime));
    started->threads_.reserve(runtime.data_reactors().size());  // one that runs must have its place: it is waited for
    for (const auto& reactor : runtime.data_reactors()) {
        auto thread =
            env::OsThread::start({.name = reactor->name(), .cpu = pin ? reactor->cpu() : -1}, [&reactor = *reactor] {
                reactor.set_os_thread_id(env::current_os_thread_id());
                reactor.run();
            });
        if (!thread) return std::unexpected(std::move(thread).error());
        started->threads_.push_back(std::move(*thread));
    }
    return started;
}

ReactorThreads::~ReactorThreads() {
    for (const auto& reactor : runtime_.data_reactors()) reactor->stop();
    threads_.clear();
}

}  // namespace weft::app
