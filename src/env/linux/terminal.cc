#include "env/linux/terminal.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

namespace weft::env {

namespace {

// Alternate screen, no cursor; and back, with plain colours.
constexpr std::string_view enter_text = "\x1b[?1049h\x1b[?25l\x1b[2J";
constexpr std::string_view leave_text = "\x1b[0m\x1b[?25h\x1b[?1049l";
constexpr std::array fatal_signals = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};

// For a signal handler: the state to go back to.
termios found{};
volatile sig_atomic_t is_taken = 0;

void write_all(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t count = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return;
        bytes.remove_prefix(static_cast<size_t>(count));
    }
}

void give_back() {
    if (is_taken == 0) return;
    is_taken = 0;
    write_all(leave_text);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &found);
}

// The handler was set to be reset when called: what raised the signal does so again, and ends the program.
void on_fatal_signal(int number) {
    give_back();
    std::raise(number);
}

class LinuxTerminal final : public Terminal {
public:
    LinuxTerminal() {
        struct sigaction action{};
        action.sa_handler = on_fatal_signal;
        action.sa_flags = static_cast<int>(SA_RESETHAND | SA_NODEFER);
        for (size_t at = 0; at < fatal_signals.size(); ++at) sigaction(fatal_signals[at], &action, &before_[at]);
        take();
    }
    ~LinuxTerminal() override {
        give_back();
        for (size_t at = 0; at < fatal_signals.size(); ++at) sigaction(fatal_signals[at], &before_[at], nullptr);
    }

    [[nodiscard]] int descriptor() const override { return STDIN_FILENO; }
    [[nodiscard]] TerminalSize size() const override {
        winsize window{};
        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) != 0 || window.ws_col == 0 || window.ws_row == 0) return {};
        return {window.ws_col, window.ws_row};
    }
    void write(std::string_view bytes) override { write_all(bytes); }
    std::optional<std::string> read() override {
        std::array<char, 256> bytes{};
        // VMIN and VTIME are 0: it does not wait, and says 0 also when the terminal is gone.
        const ssize_t count = ::read(STDIN_FILENO, bytes.data(), bytes.size());
        if (count < 0 && errno != EAGAIN && errno != EINTR) return std::nullopt;
        if (tcgetpgrp(STDIN_FILENO) < 0) return std::nullopt;
        return std::string(bytes.data(), static_cast<size_t>(count < 0 ? 0 : count));
    }
    void suspend() override {
        give_back();
        std::raise(SIGSTOP);
        take();
    }

private:
    static void take() {
        tcgetattr(STDIN_FILENO, &found);
        termios raw = found;
        cfmakeraw(&raw);
        raw.c_oflag |= OPOST;
        raw.c_cc[VMIN] = 0;
        raw.c_cc[VTIME] = 0;
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw);
        is_taken = 1;
        write_all(enter_text);
    }
    std::array<struct sigaction, fatal_signals.size()> before_{};
};

}  // namespace

Result<std::unique_ptr<Terminal>> Terminal::open() {
    if (isatty(STDIN_FILENO) == 0 || isatty(STDOUT_FILENO) == 0) {
        return fail(Errc::not_supported, "standard input and output are no terminal");
    }
    return std::unique_ptr<Terminal>(std::make_unique<LinuxTerminal>());
}

bool is_error_terminal() { return isatty(STDERR_FILENO) != 0; }

}  // namespace weft::env
