// Methods for more than one target in the process, and for cutting off a controller or a queue.
#include <fmt/format.h>

#include "base/log.h"
#include "nvme/ascii.h"
#include "nvme/fabrics.h"
#include "nvmf/controller/controller.h"
#include "nvmf/rpc/rpc.h"
#include "nvmf/target.h"
#include "rpc/json.h"

template <>
struct weft::rpc::EnumNames<weft::nvmf::DuplicateHostPolicy> {
    using Policy = weft::nvmf::DuplicateHostPolicy;
    static constexpr weft::rpc::EnumName<Policy> values[] = {{"allow", Policy::allow},
                                                             {"restrict_per_listener", Policy::restrict_per_listener}};
};

namespace weft::nvmf {

namespace {

struct CreateTarget {
    std::string name;
    uint32_t max_subsystems = 1024;
    std::optional<std::vector<std::string>> discovery_filter;
    std::optional<DuplicateHostPolicy> dup_host_policy;
    static constexpr auto fields() {
        using P = CreateTarget;
        return rpc::fields(
            rpc::required("name", &P::name, "What other methods call it, as tgt_name"),
            rpc::optional("max_subsystems", &P::max_subsystems, "Subsystems it may have"),
            rpc::optional("discovery_filter", &P::discovery_filter, "As discovery_filters of nvmf_set_config"),
            rpc::optional("dup_host_policy", &P::dup_host_policy, "As that of nvmf_set_config"));
    }
};

struct TargetToDelete {
    std::string name;
    static constexpr auto fields() {
        return rpc::fields(rpc::required("name", &TargetToDelete::name, "One that nvmf_create_target made"));
    }
};

struct Disconnect {
    std::string nqn;
    uint16_t cntlid = 0;
    uint16_t qid = 0;
    std::optional<std::string> tgt_name;
    static constexpr auto fields() {
        using P = Disconnect;
        return rpc::fields(rpc::required("nqn", &P::nqn, "NQN of the subsystem, or discovery"),
                           rpc::required("cntlid", &P::cntlid, "The controller's id"),
                           rpc::optional("qid", &P::qid, "An I/O queue of it; 0: the controller with all its queues"),
                           rpc::optional("tgt_name", &P::tgt_name, "Target"));
    }
};

Task<Result<Json>> create_target(TargetHolder& holder, CreateTarget params) {
    Target& own = *holder.target;
    if (params.name.empty() || params.name.size() > 64 || !nvme::is_printable_ascii(params.name)) {
        co_return fail(Errc::invalid_argument, "name: 1 to 64 printable ASCII characters");
    }
    if (params.max_subsystems == 0) co_return fail(Errc::invalid_argument, "max_subsystems must be at least 1");
    const auto filter = discovery_filter_of(params.discovery_filter.value_or(std::vector<std::string>{}));
    if (!filter) co_return std::unexpected(filter.error());
    if (params.name == own.name()) co_return fail(Errc::already_exists, fmt::format("target {} exists", params.name));
    auto target = std::make_unique<Target>(own.runtime(), own.bdevs(), params.name, "nvmf_" + params.name);
    target->set_subsystem_max(params.max_subsystems);
    target->discovery_filter = *filter;
    if (params.dup_host_policy) target->duplicate_host_policy = *params.dup_host_policy;
    WEFT_CO_TRY(co_await holder.others.add(std::move(target)));
    co_return Json(params.name);
}

Task<Result<Json>> delete_target(TargetHolder& holder, TargetToDelete params) {
    if (params.name == holder.target->name()) {
        co_return fail(Errc::invalid_argument, fmt::format("target {} ends with the program", params.name));
    }
    WEFT_CO_TRY(co_await holder.others.stop(std::move(params.name)));
    co_return Json(true);
}

Task<Result<Json>> disconnect(const TargetHolder& holder, Disconnect params) {
    auto target = target_of(holder, params.tgt_name);
    if (!target) co_return std::unexpected(std::move(target).error());
    const std::string nqn = params.nqn == "discovery" ? std::string(nvme::discovery_nqn) : params.nqn;
    const Subsystem* subsystem = (*target)->find_subsystem(nqn);
    if (subsystem == nullptr) {
        co_return fail(Errc::invalid_argument,
                       fmt::format("Subsystem with NQN '{}' not found", log::quoted(params.nqn)));
    }
    const auto gone = [&] {
        return fail(Errc::no_such_device, fmt::format("{} has no controller {}", nqn, params.cntlid));
    };
    const auto place = (*target)->place_of((*target)->uid_of(*subsystem, params.cntlid, {}));
    if (!place) co_return gone();
    Thread& home = Thread::current();
    co_await resume_on(place->group->thread());
    Controller* controller = place->group->find_controller(place->uid);
    std::pair<PollGroup*, uint64_t> queue{nullptr, 0};
    if (controller != nullptr && params.qid == 0) controller->end("it was cut off by RPC");
    if (controller != nullptr && params.qid != 0) queue = controller->place_of_queue(params.qid);
    if (queue.first != nullptr) {
        co_await resume_on(queue.first->thread());
        if (Qpair* qpair = queue.first->find_qpair(queue.second)) qpair->close("it was cut off by RPC");
    }
    co_await resume_on(home);
    if (controller == nullptr) co_return gone();
    if (params.qid != 0 && queue.first == nullptr) {
        co_return fail(Errc::no_such_device,
                       fmt::format("controller {} of {} has no queue {}", params.cntlid, nqn, params.qid));
    }
    co_return Json(true);
}

}  // namespace

void add_management_methods(rpc::Registry& registry, TargetHolder& holder) {
    registry.add<CreateTarget>(
        {.name = "nvmf_create_target",
         .role = rpc::Role::operate,
         .text = "Makes one more target in this process, with poll groups, transports and "
                 "subsystems of its own. It is in save_config, but a state directory does not keep it",
         .result = "string: its name",
         .codes = refused_as_internal},
        [&holder](CreateTarget params) { return create_target(holder, std::move(params)); });
    registry.add<TargetToDelete>({.name = "nvmf_delete_target",
                                  .role = rpc::Role::operate,
                                  .text = "Ends such a target, with all that it has",
                                  .codes = refused_as_internal},
                                 [&holder](TargetToDelete params) { return delete_target(holder, std::move(params)); });
    registry.add<Disconnect>({.name = "nvmf_subsystem_disconnect",
                              .role = rpc::Role::operate,
                              .text = "Cuts off a controller, or one of its I/O queues. Its host may come again: "
                                      "nvmf_subsystem_remove_host forbids that",
                              .codes = refused_as_internal},
                             [&holder](Disconnect params) { return disconnect(holder, std::move(params)); });
}

}  // namespace weft::nvmf
