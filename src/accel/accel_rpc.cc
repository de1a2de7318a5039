#include "accel/accel_rpc.h"

#include <cerrno>
#include <optional>

#include "accel/error/error_module.h"
#include "base/log.h"
#include "reactor/work_statistics.h"
#include "rpc/json.h"

template <>
struct weft::rpc::EnumNames<weft::accel::Op> {
    using Op = weft::accel::Op;
    static constexpr weft::rpc::EnumName<Op> values[] = {{"copy", Op::copy},
                                                         {"fill", Op::fill},
                                                         {"dualcast", Op::dualcast},
                                                         {"compare", Op::compare},
                                                         {"crc32c", Op::crc32c},
                                                         {"copy_crc32c", Op::copy_crc32c},
                                                         {"compress", Op::compress},
                                                         {"decompress", Op::decompress},
                                                         {"encrypt", Op::encrypt},
                                                         {"decrypt", Op::decrypt},
                                                         {"xor", Op::xor_all},
                                                         {"dif_verify", Op::dif_verify},
                                                         {"dif_verify_copy", Op::dif_verify_copy},
                                                         {"dif_generate", Op::dif_generate},
                                                         {"dif_generate_copy", Op::dif_generate_copy},
                                                         {"dix_generate", Op::dix_generate},
                                                         {"dix_verify", Op::dix_verify}};
};
template <>
struct weft::rpc::EnumNames<weft::accel::Injection> {
    using Injection = weft::accel::Injection;
    static constexpr weft::rpc::EnumName<Injection> values[] = {
        {"disable", Injection::disable}, {"corrupt", Injection::corrupt}, {"failure", Injection::failure}};
};

namespace weft::accel {

namespace {

struct Assign {
    std::string opname;
    std::string module;
    static constexpr auto fields() {
        return rpc::fields(rpc::required("opname", &Assign::opname, "As accel_get_opc_assignments names it"),
                           rpc::required("module", &Assign::module, "As accel_get_module_info names it"));
    }
};

struct SetDriver {
    std::string name;
    static constexpr auto fields() {
        return rpc::fields(rpc::optional("name", &SetDriver::name, "A driver; there is none here. Empty: no driver"));
    }
};

struct SetOptions {
    std::optional<uint32_t> small_cache_size, large_cache_size, task_count, sequence_count, buf_count;
    static constexpr auto fields() {
        using P = SetOptions;
        return rpc::fields(
            rpc::optional("small_cache_size", &P::small_cache_size, "Buffers of 8 KiB of each thread that needs any"),
            rpc::optional("large_cache_size", &P::large_cache_size, "Buffers of 128 KiB of each thread that needs any"),
            rpc::optional("task_count", &P::task_count, "Steps of sequences of each thread, at least 8"),
            rpc::optional("sequence_count", &P::sequence_count, "Sequences of each thread"),
            rpc::optional("buf_count", &P::buf_count, "Kept for compatibility"));
    }
};

struct Inject {
    Op opcode = Op::copy;
    Injection type = Injection::disable;
    uint64_t count = UINT64_MAX;
    uint64_t interval = 0;
    int32_t errcode = 0;
    static constexpr auto fields() {
        return rpc::fields(
            rpc::required("opcode", &Inject::opcode, "The op; module error does crc32c only"),
            rpc::required("type", &Inject::type, "What is to happen"),
            rpc::optional("count", &Inject::count, "How often on each thread; 0: no more. Default: without end"),
            rpc::optional("interval", &Inject::interval, "To each so-manieth operation of a thread"),
            rpc::optional("errcode", &Inject::errcode, "Kept for compatibility: what fails, fails without a number"));
    }
};

Result<Json> assign(const RpcContext& context, const Assign& params) {
    const auto op = op_named(params.opname);
    if (!op) {
        return fail(Errc::invalid_argument, "opname: there is no " + log::quoted(params.opname, 64) +
                                                "; accel_get_opc_assignments names them all");
    }
    WEFT_TRY(context.framework.assign(*op, params.module));
    WEFT_NOTICELOG("Operation {} will be assigned to module {}", params.opname, params.module);
    context.on_change(assignment_key(*op));
    return Json(true);
}

Json assignments(const Framework& framework) {
    Json told = Json::object();
    for (size_t at = 0; at < op_count; ++at) {
        const auto op = static_cast<Op>(at);
        told[std::string(name_of(op))] = framework.module_of(op).name();
    }
    return told;
}

Json modules(const Framework& framework) {
    Json told = Json::array();
    for (const auto& module : framework.modules()) {
        Json ops = Json::array();
        for (size_t at = 0; at < op_count; ++at) {
            if (module->supports(static_cast<Op>(at))) ops.push_back(name_of(static_cast<Op>(at)));
        }
        told.push_back({{"module", module->name()}, {"supported ops", std::move(ops)}});
    }
    return told;
}

Result<Json> set_options(const RpcContext& context, const SetOptions& params) {
    Options options = context.framework.options();
    options.small_cache_size = params.small_cache_size.value_or(options.small_cache_size);
    options.large_cache_size = params.large_cache_size.value_or(options.large_cache_size);
    options.task_count = params.task_count.value_or(options.task_count);
    options.sequence_count = params.sequence_count.value_or(options.sequence_count);
    options.buf_count = params.buf_count.value_or(options.buf_count);
    WEFT_TRY(context.framework.set_options(options));
    context.on_change({options_kind, "", ""});
    return Json(true);
}

ErrorModule* error_module(const Framework& framework) {
    for (const auto& module : framework.modules()) {
        if (auto* const found = dynamic_cast<ErrorModule*>(module.get())) return found;
    }
    return nullptr;
}

rpc::Response inject(const RpcContext& context, const Inject& params) {
    ErrorModule* const module = error_module(context.framework);
    if (module == nullptr || !module->supports(params.opcode)) {
        return rpc::fail_code(-EINVAL, "opcode: module error does not do " + std::string(name_of(params.opcode)));
    }
    module->inject(
        {.type = params.type, .count = params.count, .interval = params.interval, .errcode = params.errcode});
    context.on_change(injection_key(params.opcode));
    return Json(true);
}

// What threads did with their own hands (reactor/work_statistics.h) is the software module's work, too.
Task<WorkStatistics> work_of_threads(Runtime& runtime) {
    WorkStatistics sum;
    const auto guard = co_await runtime.placement().hold();
    for (Reactor* reactor : runtime.reactors()) {
        co_await resume_on(reactor->first_thread());
        for (const auto& thread : reactor->threads()) sum.add(thread->work());
    }
    co_await resume_on(runtime.app_thread());
    co_return sum;
}

Task<Result<Json>> get_stats(Framework& framework, Runtime& runtime) {
    Statistics sum = co_await framework.collect_statistics();
    const WorkStatistics work = co_await work_of_threads(runtime);
    static constexpr std::array<Op, work_count> ops{Op::copy, Op::fill, Op::compare, Op::crc32c};
    for (size_t at = 0; at < work_count; ++at) {
        Statistics::Counter& counter = sum.of[static_cast<size_t>(ops[at])];
        counter.executed += work.of[at].executed;
        counter.bytes += work.of[at].bytes;
    }
    Json operations = Json::array();
    for (size_t at = 0; at < op_count; ++at) {
        const auto op = static_cast<Op>(at);
        if (sum.of[at].executed == 0) continue;
        operations.push_back({{"opcode", name_of(op)},
                              {"module_name", framework.module_of(op).name()},
                              {"executed", sum.of[at].executed},
                              {"failed", sum.of[at].failed},
                              {"num_bytes", sum.of[at].bytes}});
    }
    co_return Json{{"sequence_executed", sum.sequences_executed},
                   {"sequence_failed", sum.sequences_failed},
                   {"sequence_outstanding", sum.sequences_outstanding},
                   {"task_outstanding", sum.outstanding},
                   {"operations", std::move(operations)},
                   {"retry_task", sum.retried_steps},
                   {"retry_sequence", sum.retried_sequences},
                   {"retry_iobuf", sum.retried_buffers},
                   {"retry_bufdesc", 0}};
}

}  // namespace

Json config_entry(const Framework& framework, const rpc::ConfigKey& key) {
    if (key.kind == options_kind) {
        const Options& options = framework.options();
        return {{"method", options_kind},
                {"params",
                 {{"small_cache_size", options.small_cache_size},
                  {"large_cache_size", options.large_cache_size},
                  {"task_count", options.task_count},
                  {"sequence_count", options.sequence_count},
                  {"buf_count", options.buf_count}}}};
    }
    if (key.kind == key_kind) {
        const auto at = framework.keys().all().find(key.object);
        return at == framework.keys().all().end() ? Json() : crypto_key_entry(*at->second);
    }
    const auto op = op_named(key.object);
    if (!op) return {};
    if (key.kind == assignment_kind && framework.is_assigned(*op)) {
        return {{"method", assignment_kind},
                {"params", {{"opname", key.object}, {"module", framework.module_of(*op).name()}}}};
    }
    const ErrorModule* const module = key.kind == injection_kind ? error_module(framework) : nullptr;
    if (module == nullptr || !module->supports(*op) || module->injected().type == Injection::disable) return {};
    const InjectionOptions& injected = module->injected();
    return {{"method", injection_kind},
            {"params",
             {{"opcode", key.object},
              {"type", injected.type == Injection::corrupt ? "corrupt" : "failure"},
              {"count", injected.count},
              {"interval", injected.interval},
              {"errcode", injected.errcode}}}};
}

void write_config(const Framework& framework, Json& entries) {
    entries.push_back(config_entry(framework, {options_kind, "", ""}));
    const auto add = [&](const rpc::ConfigKey& key) {
        if (Json entry = config_entry(framework, key); !entry.is_null()) entries.push_back(std::move(entry));
    };
    for (size_t at = 0; at < op_count; ++at) add(assignment_key(static_cast<Op>(at)));
    for (size_t at = 0; at < op_count; ++at) add(injection_key(static_cast<Op>(at)));
    for (const auto& [name, key] : framework.keys().all()) add(crypto_key_key(name));
}

void add_accel_methods(rpc::Registry& methods, RpcContext context) {
    Framework& framework = context.framework;
    methods.add<rpc::NoParams>({.name = "accel_get_opc_assignments",
                                .role = rpc::Role::read,
                                .text = "Which module does which operation",
                                .result = "object: a module's name under each operation's"},
                               [&framework](rpc::NoParams) -> Task<Result<Json>> { co_return assignments(framework); });
    methods.add<rpc::NoParams>({.name = "accel_get_module_info",
                                .role = rpc::Role::read,
                                .text = "The modules there are, and what they do",
                                .result = "[object]: module, supported ops"},
                               [&framework](rpc::NoParams) -> Task<Result<Json>> { co_return modules(framework); });
    methods.add<Assign>({.name = "accel_assign_opc",
                         .role = rpc::Role::admin,
                         .text = "Has a module do an operation",
                         .states = rpc::startup,
                         .changes_config = true},
                        [context](Assign params) -> Task<Result<Json>> { co_return assign(context, params); });
    methods.add<SetDriver>({.name = "accel_set_driver",
                            .role = rpc::Role::admin,
                            .text = "Chooses a driver that takes over whole sequences; there is none here",
                            .states = rpc::startup},
                           [](SetDriver params) -> Task<Result<Json>> {
                               if (!params.name.empty()) co_return fail(Errc::no_such_device, "No such device");
                               co_return Json(true);
                           });
    methods.add<SetOptions>(
        {.name = "accel_set_options",
         .role = rpc::Role::admin,
         .text = "How much each thread has for operations on data; those left out stay",
         .states = rpc::startup,
         .codes = {.invalid_argument = -EINVAL},
         .changes_config = true},
        [context](SetOptions params) -> Task<Result<Json>> { co_return set_options(context, params); });
    methods.add<Inject>({.name = "accel_error_inject_error",
                         .role = rpc::Role::admin,
                         .text = "Has module error spoil operations that are assigned to it: for tests",
                         .changes_config = true},
                        [context](Inject params) -> Task<rpc::Response> { co_return inject(context, params); });
    methods.add<rpc::NoParams>(
        {.name = "accel_get_stats",
         .role = rpc::Role::read,
         .text = "What was done to data: copies into and out of RAM disks, zeroes, comparisons, data digests, and all "
                 "operations of the acceleration framework. Reads of a RAM disk that are sent from its memory are no "
                 "copies",
         .result = "object"},
        [&framework, &runtime = context.runtime](rpc::NoParams) { return get_stats(framework, runtime); });
    add_key_methods(methods, context);
    framework.keys().on_change = [context](const std::string& name) { context.on_change(crypto_key_key(name)); };
}

}  // namespace weft::accel
