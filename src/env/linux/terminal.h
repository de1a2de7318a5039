// A terminal that a program draws on and reads keys from: raw, on its alternate screen, and given back as it was found.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "env/network.h"

namespace weft::env {

struct TerminalSize {
    int columns = 80;
    int rows = 24;
};

// Standard input and output. One at a time. Readable when keys were pressed.
class Terminal : public Pollable {
public:
    // Errors: not_supported when input or output is no terminal.
    static Result<std::unique_ptr<Terminal>> open();
    // Gives the terminal back. Also done when the program aborts or crashes; not for SIGKILL.
    ~Terminal() override = default;

    [[nodiscard]] virtual TerminalSize size() const = 0;
    // Blocks while the terminal takes nothing (a connection that stalls).
    virtual void write(std::string_view bytes) = 0;
    // What was typed since the last call; nullopt when the terminal is gone.
    virtual std::optional<std::string> read() = 0;
    // Gives the terminal back, stops the process as Ctrl-Z does, and takes the terminal again when it goes on.
    virtual void suspend() = 0;
};

// Standard error goes to a terminal: somebody looks.
bool is_error_terminal();

}  // namespace weft::env
