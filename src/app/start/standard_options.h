// The options of every program, with the field's letters: CPUs, log, version; and what the field's programs take that
// has no meaning here, which is accepted with a word why.
#pragma once

#include <string>
#include <vector>

#include "app/start/options.h"
#include "base/result.h"
#include "env/clock.h"

namespace weft::app {

struct StandardOptions {
    std::vector<size_t> cpus;  // one data reactor each
    bool pin = true;
    env::TimeNs spin = 200 * env::ns_per_us;  // how long a reactor stays awake after its last I/O command
    std::vector<std::string> log_flags;
};

// From the declaration to what follows from it.
class StandardOptionsParser {
public:
    // What `options` holds by now is the program's own: a standard option is left the names that are free, and is not
    // there without any. The log flags that were registered by now are named in --help. Both arguments outlive this.
    StandardOptionsParser(Options& options, StandardOptions& into);
    StandardOptionsParser(const StandardOptionsParser&) = delete;
    StandardOptionsParser& operator=(const StandardOptionsParser&) = delete;

    // Once the command line is parsed: fills the options, and sets up the log. Errors: invalid_argument.
    Result<void> finish();

private:
    void declare(Options& options);
    Result<void> set_cpus();

    StandardOptions& into_;
    std::string mask_;
    std::string lcores_;
    std::string log_format_ = "text";
    uint64_t spin_us_;
    bool is_silent_ = false;
    std::vector<std::string> ignored_;  // options without effect that were given, with the reason
};

}  // namespace weft::app
