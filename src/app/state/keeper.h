// Keeps the configuration: every change is in the state directory before it is answered.
//
// Changes run one after another. What they touch is reported by the rooms as it happens (touched()); when a call has
// ended, the entries touched are written anew, compared with what is kept, and the difference is one entry of the
// journal. So what is kept is what is there, whatever a call did: the ids it made up, the namespaces that went with
// their device, and what a failed call left. The cost is that of what was touched, however much else there is.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "app/state/document.h"
#include "app/state/store.h"
#include "rpc/config_key.h"
#include "rpc/registry.h"

namespace weft::state {

struct KeeperOptions {
    StoreOptions store;
    // Go on without the entries that cannot be applied at a start; they stay in the state.
    bool skips_failed = false;
};

// Lives on the app thread.
class Keeper final : public rpc::ConfigKeeper {
public:
    // The present entry of that name, null when there is none.
    using Entry = std::function<Json(const rpc::ConfigKey& key)>;

    // Reads the directory. Errors: those of Store::open(), and protocol_error when an entry is not understood.
    static Task<Result<std::unique_ptr<Keeper>>> open(env::Files& files, rpc::Registry& methods, KeeperOptions options,
                                                      Entry entry);

    // Something of that name came, went or changed. Called by the rooms, at any time.
    void touched(rpc::ConfigKey key);

    Task<rpc::Response> change(std::string method, Task<rpc::Response> call) override;
    // Runs `work` as one change, whose calls are CallOf::change. When it fails nothing is kept: for a start, which then
    // fails as a whole. With `is_anew` what it does replaces the state; what was there is set aside.
    Task<Result<void>> keep_as_one(Task<Result<void>> work, bool is_anew = false);

    [[nodiscard]] bool is_empty() const { return document_.empty(); }
    [[nodiscard]] const Document& document() const { return document_; }
    // Applies what is kept and can be called in the registry's state: first at startup, then at runtime. Errors: of the
    // first entry that could not be applied, and what to do about it; then take away what was applied, and say so:
    // until then no change is kept or let through.
    Task<Result<void>> restore();
    void end_failed_restore() { is_restoring_ = false; }
    // Entries of the state that are not there, as skips_failed left them.
    [[nodiscard]] std::vector<rpc::ConfigKey> missing() const;
    [[nodiscard]] const std::string& folder() const { return options_.store.folder; }
    [[nodiscard]] const std::string& failure() const { return store_->failure(); }
    // The next change takes them out of the state.
    void forget_missing();

    // Nothing is kept any more; before the modules stop, which takes all away that is kept here.
    Task<void> close();

private:
    Keeper(rpc::Registry& methods, KeeperOptions options, Entry entry)
        : methods_(methods), options_(std::move(options)), entry_(std::move(entry)) {}
    Result<void> read(const std::vector<std::string>& payloads);
    // Brings the document to what is there now; the payload for the journal, empty when nothing differs.
    [[nodiscard]] std::string collect();
    [[nodiscard]] std::optional<Error> refusal() const;

    rpc::Registry& methods_;
    const KeeperOptions options_;
    const Entry entry_;
    std::unique_ptr<Store> store_;
    Document document_;
    struct Touch {
        uint64_t order = 0;  // of the last time
        bool went = false;  // it was not there at one of them: what is there now is another, and comes last
    };
    std::map<rpc::ConfigKey, Touch> touched_;
    uint64_t touches_ = 0;
    AsyncMutex changing_;
    bool is_restoring_ = false;
    bool is_closed_ = false;
};

}  // namespace weft::state
