// weft identify: a controller and its namespaces, as they describe themselves.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "app/cli/identify_fields.h"
#include "app/cli/session.h"
#include "app/cli/subcommand.h"
#include "app/cli/target_options.h"
#include "nvme/fabrics.h"
#include "nvme_host/admin.h"
#include "rpc/json.h"

namespace weft::cli {

namespace {

struct Findings {
    ControllerFacts controller;
    std::vector<NamespaceFacts> namespaces;
};

Json to_json(const IdentifyFields& fields) {
    Json object = Json::object();
    for (const IdentifyField& field : fields) {
        std::visit([&object, &field](const auto& value) { object[field.name] = value; }, field.value);
    }
    return object;
}

void print(const std::string& title, const IdentifyFields& fields) {
    fmt::print("{}\n", title);
    for (const IdentifyField& field : fields) {
        fmt::print("  {:<10} {:<30} {}\n", field.name, field.label, field.text);
    }
}

class Identify final : public Subcommand {
public:
    CLI::App* declare(CLI::App& app) override {
        CLI::App* sub = app.add_subcommand("identify", "Show a controller and its namespaces");
        add_target_options(*sub, target_, true);
        sub->add_option("--nsid", nsid_, "Only this namespace; default: all that are active");
        sub->add_flag("--json", json_, "Print JSON, with the specification's names");
        sub->footer(
            "Without --subnqn: the discovery controller.\n"
            "Example: weft identify -a 127.0.0.1 -n nqn.2016-06.io.spdk:cnode1");
        return sub;
    }

    int run() override {
        return run_session({}, [this](Runtime& runtime) { return execute(runtime); });
    }

private:
    Task<int> execute(Runtime& runtime) {
        auto found = co_await read(runtime);
        if (!found) co_return report(found.error(), target_);
        if (json_) {
            Json namespaces = Json::array();
            for (const NamespaceFacts& one : found->namespaces) namespaces.push_back(to_json(namespace_fields(one)));
            const Json all = {{"controller", to_json(controller_fields(found->controller))},
                              {"namespaces", std::move(namespaces)}};
            fmt::print("{}\n", dump_json_pretty(all));
            co_return exit_ok;
        }
        print("Controller", controller_fields(found->controller));
        for (const NamespaceFacts& one : found->namespaces) {
            print(fmt::format("\nNamespace {}", one.nsid), namespace_fields(one));
        }
        if (found->namespaces.empty()) fmt::print("\nNo active namespaces.\n");
        co_return exit_ok;
    }

    Task<Result<Findings>> read(Runtime& runtime) {
        auto options = controller_options(target_, runtime.environment(), nvme::discovery_nqn);
        if (!options) co_return std::unexpected(std::move(options).error());
        auto group = nvme_host::tcp::ConnectionGroup::create(Thread::current());
        if (!group) co_return std::unexpected(std::move(group).error());
        auto controller = co_await nvme_host::Controller::connect(**group, std::move(*options));
        if (!controller) co_return std::unexpected(std::move(controller).error());
        auto found = co_await ask(**controller);
        co_await (*controller)->disconnect();
        co_return found;
    }

    Task<Result<Findings>> ask(nvme_host::Controller& controller) {
        Findings found;
        found.controller = {controller.capabilities(), controller.version(), controller.identity()};
        if (controller.is_discovery()) co_return found;
        std::vector<uint32_t> wanted = {nsid_};
        if (nsid_ == 0) {
            auto active = co_await nvme_host::active_namespaces(controller);
            if (!active) co_return std::unexpected(std::move(active).error());
            wanted = std::move(*active);
        }
        for (const uint32_t nsid : wanted) {
            auto data = co_await nvme_host::identify_namespace(controller, nsid);
            if (!data) co_return std::unexpected(std::move(data).error());
            NamespaceFacts& facts = found.namespaces.emplace_back();
            facts = {.nsid = nsid, .data = *data, .ids = {}};
            facts.ids.nguid = data->nguid;
            facts.ids.eui64 = data->eui64;
            // Controllers before 1.3 have no descriptors.
            auto ids = co_await nvme_host::identify_namespace_ids(controller, nsid);
            if (ids) facts.ids = *ids;
        }
        co_return found;
    }

    TargetOptions target_;
    uint32_t nsid_ = 0;
    bool json_ = false;
};

}  // namespace

std::unique_ptr<Subcommand> make_identify() { return std::make_unique<Identify>(); }

}  // namespace weft::cli
