// Whether a command may touch a namespace now: the state of its path (ANA), and who holds a reservation. Asked before
// every I/O command begins, whatever its opcode: a command that is new needs no line of its own here, only one in
// reservation/state.cc if it does not write.
#pragma once

#include "nvme/status.h"
#include "nvmf/ana/view.h"
#include "nvmf/qpair.h"
#include "nvmf/reservation/state.h"
#include "nvmf/views.h"

namespace weft::nvmf {

// What a command through a path in such a state fails with.
nvme::Status path_refusal(const NamespaceView& ns, nvme::AnaState state);

// The status that the command fails with, or success. Costs a look-up in a small array where ANA is reported, and a
// branch where no reservation is held.
inline nvme::Status may_access(const Qpair& qpair, const NamespaceView& ns, nvme::IoOpcode opcode) {
    if (qpair.ana != nullptr) {
        const nvme::AnaState state = qpair.ana->state_of(ns.identity.anagrpid);
        if (!is_accessible(state)) [[unlikely]] {
            if (const nvme::Status refusal = path_refusal(ns, state); !refusal.is_success()) return refusal;
        }
    }
    if (ns.is_reserved && !ns.reservation.permits(qpair.hostid, data_access_of(opcode))) [[unlikely]] {
        return nvme::status::reservation_conflict.with_dnr();
    }
    return nvme::status::success;
}

}  // namespace weft::nvmf
