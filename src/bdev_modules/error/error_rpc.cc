#include "bdev_modules/error/error_rpc.h"

#include <fmt/format.h>

#include <cerrno>
#include <optional>

#include "bdev_modules/error/error_device.h"
#include "rpc/json.h"

namespace weft::bdev {

namespace {

enum class InjectedIo : uint8_t { clear, read, write, unmap, flush, all };
enum class InjectedError : uint8_t { failure, pending, corrupt_data, nomem, nvme_failure };

}  // namespace

}  // namespace weft::bdev

template <>
struct weft::rpc::EnumNames<weft::bdev::InjectedIo> {
    using Io = bdev::InjectedIo;
    static constexpr EnumName<Io> values[] = {{"clear", Io::clear}, {"read", Io::read},   {"write", Io::write},
                                              {"unmap", Io::unmap}, {"flush", Io::flush}, {"all", Io::all}};
};

template <>
struct weft::rpc::EnumNames<weft::bdev::InjectedError> {
    using Kind = bdev::InjectedError;
    static constexpr EnumName<Kind> values[] = {{"failure", Kind::failure},
                                                {"pending", Kind::pending},
                                                {"corrupt_data", Kind::corrupt_data},
                                                {"nomem", Kind::nomem},
                                                {"nvme_failure", Kind::nvme_failure}};
};

namespace weft::bdev {

namespace {

struct ErrorCreate {
    std::string base_name;
    std::optional<Uuid> uuid;

    static constexpr auto fields() {
        using P = ErrorCreate;
        return rpc::fields(
            rpc::required("base_name", &P::base_name,
                          "What it stands on, and is named after: EE_ and this; it is made when that is there"),
            rpc::optional("uuid", &P::uuid, "Default: made from the base's UUID and the name"));
    }
};

struct ErrorName {
    std::string name;
    static constexpr auto fields() { return rpc::fields(rpc::required("name", &ErrorName::name, "The bdev, EE_…")); }
};

struct InjectError {
    std::string name;
    InjectedIo io_type{};
    InjectedError error_type{};
    uint32_t nvme_sct = 0;
    uint32_t nvme_sc = 0;
    uint32_t num = 1;
    uint64_t queue_depth = 0;
    uint64_t corrupt_offset = 0;
    uint8_t corrupt_value = 0;

    static constexpr auto fields() {
        using P = InjectError;
        return rpc::fields(
            rpc::required("name", &P::name, "The bdev, EE_…"),
            rpc::required("io_type", &P::io_type, "What is to fail; clear: nothing any more"),
            rpc::required("error_type", &P::error_type, "How"),
            rpc::optional("nvme_sct", &P::nvme_sct, "Of nvme_failure: the status code type"),
            rpc::optional("nvme_sc", &P::nvme_sc, "Of nvme_failure: the status code"),
            rpc::optional("num", &P::num, "How many"),
            rpc::optional("queue_depth", &P::queue_depth, "Only while a channel has so many in flight"),
            rpc::optional("corrupt_offset", &P::corrupt_offset, "Of corrupt_data: which byte of the I/O"),
            rpc::optional("corrupt_value", &P::corrupt_value, "Of corrupt_data: what it is xor-ed with, not 0"));
    }
};

Task<rpc::Response> create(Awaited& awaited, ErrorCreate params) {
    co_return answer_to(create_error_device(awaited, {.base = params.base_name, .uuid = params.uuid.value_or(Uuid())}),
                        true);
}

Task<Result<Json>> remove(Awaited& awaited, std::string name) {
    WEFT_CO_TRY(co_await delete_wish(awaited, "error", std::move(name)));
    co_return Json(true);
}

Result<Injection> injection_of(const InjectError& params) {
    const bool is_nvme = params.error_type == InjectedError::nvme_failure;
    if (is_nvme != (params.nvme_sct != 0 || params.nvme_sc != 0)) {
        return fail(Errc::invalid_argument, "nvme_sct or nvme_sc should be specified for NVMe error injection");
    }
    Injection injection{.count = params.num,
                        .queue_depth = params.queue_depth,
                        .corrupt_offset = params.corrupt_offset,
                        .corrupt_value = params.corrupt_value};
    switch (params.error_type) {
        case InjectedError::failure: break;
        case InjectedError::pending: injection.kind = ErrorKind::pending; break;
        case InjectedError::nomem: injection.kind = ErrorKind::nomem; break;
        case InjectedError::corrupt_data:
            injection.kind = ErrorKind::corrupt_data;
            if (params.corrupt_value == 0) {
                return fail(Errc::invalid_argument, "corrupt_value: 0 would change nothing");
            }
            break;
        case InjectedError::nvme_failure:
            const auto status = status_of_nvme(params.nvme_sct, params.nvme_sc);
            if (!status) {
                return fail(Errc::invalid_argument,
                            fmt::format("nvme_sc: no bdev fails with status code {:#x} of type {}", params.nvme_sc,
                                        params.nvme_sct));
            }
            injection.status = *status;
            break;
    }
    return injection;
}

Task<Result<Json>> inject(Registry& devices, InjectError params) {
    const auto injection = injection_of(params);
    if (!injection) co_return std::unexpected(injection.error());
    auto* device = dynamic_cast<ErrorDevice*>(devices.find(params.name));
    if (device == nullptr) co_return fail(Errc::no_such_device, "No such device");
    const auto set = [&](InjectedIo type, Op op) {
        if (params.io_type == InjectedIo::clear) device->slot(op)->clear();
        if (params.io_type == type || params.io_type == InjectedIo::all) device->slot(op)->set(*injection);
    };
    set(InjectedIo::read, Op::read);
    set(InjectedIo::write, Op::write);
    set(InjectedIo::unmap, Op::unmap);
    set(InjectedIo::flush, Op::flush);
    co_return Json(true);
}

Task<Result<Json>> resume_pending(Registry& devices, std::string name) {
    auto* device = dynamic_cast<ErrorDevice*>(devices.find(name));
    if (device == nullptr) co_return fail(Errc::no_such_device, "No such device");
    // Keeps it there until all its channels were asked.
    const auto held = devices.open(device->name(), {});
    if (!held) co_return std::unexpected(held.error());
    co_await device->resume_pending();
    co_return Json(true);
}

}  // namespace

void add_error_methods(rpc::Registry& methods, Awaited& awaited) {
    Registry& devices = awaited.registry();
    methods.add<ErrorCreate>(
        {.name = "bdev_error_create",
         .role = rpc::Role::operate,
         .text =
             "Makes a bdev that can be told to fail of another one; when that is not there yet, as soon as it comes",
         .aliases = {"construct_error_bdev"},
         .changes_config = true},
        [&awaited](ErrorCreate params) { return create(awaited, std::move(params)); });
    methods.add<ErrorName>(
        {.name = "bdev_error_delete",
         .role = rpc::Role::operate,
         .text = "Removes an error bdev, or waits for its base no longer; what is pending is aborted",
         .aliases = {"delete_error_bdev"},
         .changes_config = true},
        [&awaited](ErrorName params) { return remove(awaited, std::move(params.name)); });
    methods.add<InjectError>({.name = "bdev_error_inject_error",
                              .role = rpc::Role::operate,
                              .text = "Lets the next reads, writes, unmaps or flushes of an error bdev fail",
                              .aliases = {"bdev_inject_error"},
                              .codes = {.invalid_argument = -EINVAL}},
                             [&devices](InjectError params) { return inject(devices, std::move(params)); });
    methods.add<ErrorName>({.name = "bdev_error_resume_pending",
                            .role = rpc::Role::operate,
                            .text = "Lets what is pending in an error bdev go on, and nothing be pending from now on"},
                           [&devices](ErrorName params) { return resume_pending(devices, std::move(params.name)); });
}

}  // namespace weft::bdev
