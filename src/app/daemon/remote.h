// Remote control: where RPC is served, how clients from elsewhere prove who they are, what they may, and what is
// written down of what they did. Lives on the app thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/daemon/remote_options.h"
#include "rpc/audit_log.h"
#include "rpc/registry.h"
#include "rpc/server.h"
#include "rpc/tls_admission.h"

namespace weft::app {

class Remote {
public:
    Remote(rpc::Registry& methods, RemoteOptions options) : methods_(methods), options_(std::move(options)) {}
    Remote(const Remote&) = delete;
    Remote& operator=(const Remote&) = delete;
    ~Remote();

    // Looks at the addresses and reads the files; nothing listens yet. `texts`: paths, loopback addresses with a port,
    // or tls://ADDRESS:PORT. Errors: invalid_argument and those of files, in one line that names the file or the
    // option.
    Task<Result<void>> prepare(const std::vector<std::string>& texts);
    Task<Result<void>> listen();
    // Reads certificates, keys and roles again, and goes on in the file that has the audit log's name now. What cannot
    // be done leaves all of its kind as it was. Errors: the first.
    Task<Result<void>> reload();
    // Whether reload() has anything to read.
    [[nodiscard]] bool has_files() const { return admission_ != nullptr || audit_ != nullptr; }
    // No more calls come; then, when the last has ended, close_audit().
    Task<void> stop();
    Task<void> close_audit();

    // nullptr without --audit.
    [[nodiscard]] const rpc::AuditLog* audit() const { return audit_.get(); }

private:
    struct Place {
        env::Address address;
        bool is_tls = false;
    };
    struct Credentials {
        std::unique_ptr<net::TlsContext> context;
        rpc::Roles roles;
    };
    static Result<Place> parse(const std::string& text);
    [[nodiscard]] Result<void> check_options(bool has_tls) const;
    Task<Result<Credentials>> read_credentials() const;

    rpc::Registry& methods_;
    const RemoteOptions options_;
    std::vector<Place> places_;
    std::unique_ptr<rpc::TlsAdmission> admission_;
    std::unique_ptr<rpc::AuditLog> audit_;
    std::vector<std::unique_ptr<rpc::Server>> servers_;
};

// weft_get_audit.
void add_remote_methods(rpc::Registry& registry, const Remote& remote);

}  // namespace weft::app
