// Where a namespace's reservation is kept over a loss of power. An embedding program that has a better place than a
// file, such as the database of a cluster of gateways, derives these and gives them to Target::set_reservation_stores.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "base/uuid.h"
#include "env/files.h"
#include "nvmf/reservation/state.h"
#include "reactor/task.h"

namespace weft::nvmf {

// Of one namespace. App thread; one call at a time.
class ReservationStore {
public:
    ReservationStore() = default;
    ReservationStore(const ReservationStore&) = delete;
    ReservationStore& operator=(const ReservationStore&) = delete;
    virtual ~ReservationStore() = default;

    // What was stored last; a record of nothing at first. Must be without fault (ReservationRecord::find_fault), or
    // the namespace is not added. Errors: of the place, with the reason.
    virtual Task<Result<ReservationRecord>> load() = 0;
    // Ends when it is on stable storage, in the place of what was there: the host is answered then. On an error the
    // command fails and the state stays as it was.
    virtual Task<Result<void>> store(ReservationRecord record) = 0;
};

// Which namespace.
struct ReservedNamespace {
    std::string subsystem_nqn;
    uint32_t nsid = 0;
    Uuid namespace_uuid;
    Uuid device_uuid;
    std::string ptpl_file;  // as nvmf_subsystem_add_ns was told; empty when it was not
};

class ReservationStores {
public:
    ReservationStores() = default;
    ReservationStores(const ReservationStores&) = delete;
    ReservationStores& operator=(const ReservationStores&) = delete;
    virtual ~ReservationStores() = default;

    // nullptr: reservations of this namespace do not outlive the target, and hosts are told so (RESCAP).
    virtual std::unique_ptr<ReservationStore> open(const ReservedNamespace& of) = 0;
};

// A file (file_format.h), below the folders of --allow-path if there are any.
class ReservationFiles final : public ReservationStores {
public:
    explicit ReservationFiles(env::Files& files) : files_(files) {}
    std::unique_ptr<ReservationStore> open(const ReservedNamespace& of) override;

private:
    env::Files& files_;
};

}  // namespace weft::nvmf
