#include "nvmf/reservation/store.h"

#include <fmt/format.h>

#include "nvmf/reservation/file_format.h"

namespace weft::nvmf {

namespace {

class ReservationFile final : public ReservationStore {
public:
    ReservationFile(env::Files& files, std::string path, const Uuid& device)
        : files_(files), path_(std::move(path)), device_(device) {}

    Task<Result<ReservationRecord>> load() override {
        auto text = co_await offload([this] { return files_.read_allowed(path_, reservation_file_bytes_max); });
        if (!text && text.error().code != Errc::not_found) {
            co_return fail(text.error().code, fmt::format("ptpl_file: {}", text.error().message));
        }
        if (!text) {
            // Made now, so that a folder that is not there is told to the operator and not to a host.
            ReservationRecord nothing;
            if (auto made = co_await store(nothing); !made) {
                co_return fail(made.error().code, fmt::format("ptpl_file: {}", made.error().message));
            }
            co_return nothing;
        }
        auto record = read_reservation(*text, device_);
        if (!record) {
            co_return fail(record.error().code, fmt::format("ptpl_file {}: {}", path_, record.error().message));
        }
        co_return record;
    }

    Task<Result<void>> store(ReservationRecord record) override {
        // Registrations that were not to last are not there after a restart.
        if (!record.is_persistent) record = {};
        const std::string text = write_reservation(record, device_);
        co_return co_await offload([this, &text] { return files_.write_allowed(path_, text); });
    }

private:
    env::Files& files_;
    const std::string path_;
    const Uuid device_;
};

}  // namespace

std::unique_ptr<ReservationStore> ReservationFiles::open(const ReservedNamespace& of) {
    if (of.ptpl_file.empty()) return nullptr;
    return std::make_unique<ReservationFile>(files_, of.ptpl_file, of.device_uuid);
}

}  // namespace weft::nvmf
