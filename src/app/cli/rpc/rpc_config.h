// The commands of the field's rpc.py that are made of several calls: save_config, load_config, save_subsystem_config,
// load_subsystem_config.
#pragma once

#include <span>
#include <string>

#include "reactor/task.h"

namespace weft::cli {

class RpcSession;

bool is_config_command(std::string_view name);
// `words` are those behind the name. Returns the exit code.
Task<int> run_config_command(RpcSession& session, std::string name, std::span<const std::string> words);

}  // namespace weft::cli
