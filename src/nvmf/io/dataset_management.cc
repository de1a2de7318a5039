#include "nvmf/io/dataset_management.h"

#include "base/mutants.h"
#include "nvmf/io/steps.h"
#include "nvmf/qpair.h"

namespace weft::nvmf {

namespace {

namespace status = nvme::status;

void run_ranges(Request& request);

void on_range_done(bdev::Request& io) {
    auto& request = *static_cast<Request*>(io.context);
    if (io.status == bdev::Status::success && request.state() == RequestState::executing) return run_ranges(request);
    finish_io(request, to_nvme(io.status));
}

void run_ranges(Request& request) {
    const uint32_t count = mutant::on(mutant::first_range_only) ? 1 : (request.command.cdw10 & 0xFF) + 1;
    const Bytes ranges(static_cast<const std::byte*>(request.iov[0].iov_base), request.iov[0].iov_len);
    while (request.range_next < count) {
        const auto range = load<nvme::DatasetManagementRange>(
            ranges.subspan(request.range_next * sizeof(nvme::DatasetManagementRange)));
        const uint64_t total = request.ns->device->block_count();
        if (range.slba > total || range.block_count > total - range.slba) {
            finish_io(request, status::lba_out_of_range.with_dnr());
            return;
        }
        if (range.block_count == 0) {
            ++request.range_next;
            continue;
        }
        // Deallocate is a hint: a device that gives its space back by zones has nothing to do.
        if (request.ns->device->zones() != nullptr) {
            ++request.range_next;
            continue;
        }
        bdev::Request& io = request.io;
        io.op = bdev::Op::unmap;
        io.fua = false;
        io.lba = range.slba;
        io.blocks = range.block_count;
        if (mutant::on(mutant::range_one_too_long) && range.slba + range.block_count < total) ++io.blocks;
        io.data = {};
        io.done = on_range_done;
        io.context = &request;
        const bdev::Progress progress = submit_io(request);
        if (progress == bdev::Progress::retry) {
            return retry_later(request);
        }
        ++request.range_next;
        if (progress == bdev::Progress::pending) return;
        if (io.status != bdev::Status::success) {
            finish_io(request, to_nvme(io.status));
            return;
        }
    }
    finish_io(request, status::success);
}

}  // namespace

void execute_dataset_management(Request& request) {
    if ((request.command.cdw11 & nvme::dataset_management::deallocate) == 0) {
        return finish_io(request, status::success);
    }
    run_ranges(request);
}

}  // namespace weft::nvmf
