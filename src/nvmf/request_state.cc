#include "nvmf/request_state.h"

namespace weft::nvmf {

std::string_view name_of(RequestState state) {
    switch (state) {
        case RequestState::free: return "free";
        case RequestState::waiting_for_buffer: return "waiting_for_buffer";
        case RequestState::receiving: return "receiving";
        case RequestState::held: return "held";
        case RequestState::limited: return "limited";
        case RequestState::executing: return "executing";
        case RequestState::retrying: return "retrying";
        case RequestState::sending: return "sending";
        case RequestState::waiting_for_partner: return "waiting_for_partner";
        case RequestState::draining: return "draining";
    }
    return "?";
}

std::string_view name_of(RequestEvent event) {
    switch (event) {
        case RequestEvent::need_buffer: return "need_buffer";
        case RequestEvent::receive: return "receive";
        case RequestEvent::hold: return "hold";
        case RequestEvent::limit: return "limit";
        case RequestEvent::execute: return "execute";
        case RequestEvent::retry: return "retry";
        case RequestEvent::await_partner: return "await_partner";
        case RequestEvent::complete: return "complete";
        case RequestEvent::sent: return "sent";
        case RequestEvent::withdraw: return "withdraw";
        case RequestEvent::connection_lost: return "connection_lost";
        case RequestEvent::drained: return "drained";
    }
    return "?";
}

}  // namespace weft::nvmf
