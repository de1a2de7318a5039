// A subcommand of `weft`: its options, and what it does.
#pragma once

#include <memory>
#include <vector>

namespace CLI {
class App;
}

namespace weft::cli {

// Made by main(), one a subcommand; lives as long as the program, since the options are its members.
class Subcommand {
public:
    Subcommand() = default;
    Subcommand(const Subcommand&) = delete;
    Subcommand& operator=(const Subcommand&) = delete;
    virtual ~Subcommand() = default;

    // Adds itself to the command line and returns what was added.
    virtual CLI::App* declare(CLI::App& app) = 0;
    // Returns the exit code. After the command line was parsed.
    virtual int run() = 0;
};

std::unique_ptr<Subcommand> make_apply();
std::unique_ptr<Subcommand> make_bdevio();
std::unique_ptr<Subcommand> make_bdevperf();
std::unique_ptr<Subcommand> make_convert_config();
std::unique_ptr<Subcommand> make_discover();
std::unique_ptr<Subcommand> make_identify();
std::unique_ptr<Subcommand> make_io();
std::unique_ptr<Subcommand> make_perf();
// `is_rpc_py`: prints as the field's rpc.py does.
std::unique_ptr<Subcommand> make_rpc(bool is_rpc_py);
std::unique_ptr<Subcommand> make_top();
std::unique_ptr<Subcommand> make_trace();

// Exit codes: 0 and 1 as usual; CLI11 has codes of its own, above 100, for a wrong command line.
inline constexpr int exit_ok = 0;
inline constexpr int exit_failed = 1;
inline constexpr int exit_differs = 2;  // weft apply --dry-run: there is something to do

}  // namespace weft::cli
