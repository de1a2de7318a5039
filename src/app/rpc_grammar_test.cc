// The client's table of rpc.py's forms against the methods that there are: no name in it may be of its own making.
#include "app/cli/rpc/rpc_grammar.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "app/cli/watch/trace_export.h"
#include "app/daemon/daemon.h"
#include "bdev/test_runtime.h"

namespace weft {
namespace {

const rpc::ParamDescription* find(const std::vector<rpc::ParamDescription>& params, std::string_view path) {
    const size_t dot = path.find('.');
    const auto found = std::ranges::find(params, path.substr(0, dot), &rpc::ParamDescription::name);
    if (found == params.end()) return nullptr;
    return dot == std::string_view::npos ? &*found : find(found->fields, path.substr(dot + 1));
}

class GrammarTest : public testing::Test {
protected:
    bdev::TestRuntime world_;
    app::Daemon daemon_{world_.runtime(), app::DaemonOptions{}};
    std::vector<rpc::MethodDescription> methods_ = daemon_.methods().descriptions();
};

TEST_F(GrammarTest, NamesRealMethodsAndParameters) {
    using Kind = cli::GrammarTarget::Kind;
    for (const std::string_view name : cli::grammar_methods()) {
        const auto method = std::ranges::find(methods_, name, &rpc::MethodDescription::name);
        ASSERT_NE(method, methods_.end()) << name;
        auto grammar = cli::grammar_of(name);
        ASSERT_TRUE(grammar) << name;
        for (const auto* targets : {&grammar->positionals, &grammar->options}) {
            for (const cli::GrammarTarget& target : *targets) {
                const rpc::ParamDescription* param = find(method->params, target.param);
                ASSERT_NE(param, nullptr) << name << " " << target.param;
                const bool is_flag = target.kind == Kind::flag || target.kind == Kind::flag_off;
                if (is_flag) EXPECT_EQ(param->type, "bool") << name << " " << target.word;
                if (target.kind == Kind::list)
                    EXPECT_TRUE(param->type.starts_with("[") || param->type == "json") << name;
                if (param->type == "bool") EXPECT_TRUE(is_flag) << name << " " << target.word;
            }
        }
        for (const cli::GrammarTarget& option : grammar->options) {
            EXPECT_EQ(std::ranges::count(grammar->options, option.word, &cli::GrammarTarget::word), 1)
                << name << " " << option.word;
        }
    }
}

// What an old name means to the client when the server does not say is what it means to the server.
TEST_F(GrammarTest, OldNamesAreTheRegistrysToo) {
    for (const rpc::MethodDescription& method : methods_) {
        for (const std::string& alias : method.aliases) {
            if (!cli::grammar_of(method.name)) continue;
            EXPECT_EQ(cli::canonical_name(alias), method.name) << alias;
        }
    }
}

// A trace has numbers, and `weft trace` their names.
TEST(TraceNames, AreThoseOfTheBlockLayer) {
    ASSERT_EQ(std::size(cli::trace_io_types), bdev::op_count);
    for (size_t at = 0; at < bdev::op_count; ++at) {
        EXPECT_EQ(cli::trace_io_types[at], bdev::name_of(static_cast<bdev::Op>(at)));
    }
}

}  // namespace
}  // namespace weft
