#include "keyring/keyring_rpc.h"

#include <cerrno>
#include <optional>

#include "rpc/registry.h"

namespace weft::keyring {

namespace {

struct AddFile {
    std::string name;
    std::string path;

    static constexpr auto fields() {
        return rpc::fields(
            rpc::required("name", &AddFile::name, "Its name, by which hosts and listeners are given it"),
            rpc::required("path", &AddFile::path, "The file, absolute; mode 0600 or 0400, of weftd's user or root"));
    }
};

struct RemoveFile {
    std::string name;
    static constexpr auto fields() { return rpc::fields(rpc::required("name", &RemoveFile::name, "The key")); }
};

// As the field's targets say it: -EPERM for a file that is not kept well, -ENOKEY for a key that is not there.
rpc::Response answer(Result<void> done) {
    if (done) return Json(true);
    Error& error = done.error();
    if (error.code == Errc::permission_denied) return rpc::fail_code(-EPERM, std::move(error.message));
    if (error.code == Errc::not_found) return rpc::fail_code(-ENOENT, std::move(error.message));
    return std::unexpected(rpc::RpcError(std::move(error)));
}

Task<rpc::Response> add_file(Keyring& ring, env::Files& files, AddFile params) {
    co_return answer(co_await ring.add_file(files, std::move(params.name), std::move(params.path)));
}

Json describe(const Key& key, bool is_removed, uint32_t references) {
    Json told{{"name", key.name()},
              {"module", "keyring_file"},
              {"removed", is_removed},
              {"probed", false},
              {"refcnt", references}};
    if (!is_removed) told["path"] = key.path();
    return told;
}

// References are the ring's own, and one for each who uses the key.
Json list(Keyring& ring) {
    Json keys = Json::array();
    for (const auto& [name, key] : ring.keys()) keys.push_back(describe(*key, false, key->users() + 1));
    for (const auto& key : ring.removed_keys()) keys.push_back(describe(*key, true, key->users()));
    return keys;
}

Json entry_of(const Key& key) {
    return {{"method", "keyring_file_add_key"}, {"params", {{"name", key.name()}, {"path", key.path()}}}};
}

}  // namespace

void add_keyring_methods(rpc::Registry& methods, Keyring& ring, env::Files& files) {
    methods.add<AddFile>(
        {.name = "keyring_file_add_key",
         .role = rpc::Role::admin,
         .text = "Gives the key in a file a name; the file is read whenever the key is used",
         .changes_config = true},
        [&ring, &files](AddFile&& params) -> Task<rpc::Response> { return add_file(ring, files, std::move(params)); });
    methods.add<RemoveFile>({.name = "keyring_file_remove_key",
                             .role = rpc::Role::operate,
                             .text = "Forgets a key; who uses it keeps it until it is given another",
                             .changes_config = true},
                            [&ring](RemoveFile params) -> Task<rpc::Response> {
                                Result<void> done = ring.remove(params.name);
                                if (done || done.error().code != Errc::not_found) co_return answer(std::move(done));
                                co_return rpc::fail_code(-ENOKEY, std::move(done.error().message));
                            });
    methods.add<rpc::NoParams>({.name = "keyring_get_keys",
                                .role = rpc::Role::read,
                                .text = "Keys by name, where they are, and how many use them; never what they are",
                                .result = "array"},
                               [&ring](rpc::NoParams) -> Task<Result<Json>> { co_return list(ring); });
}

void write_config(const Keyring& ring, Json& entries) {
    for (const auto& [name, key] : ring.keys()) entries.push_back(entry_of(*key));
}

Json config_entry(const Keyring& ring, const rpc::ConfigKey& key) {
    if (key.kind != key_kind) return {};
    const auto at = ring.keys().find(key.object);
    return at == ring.keys().end() ? Json() : entry_of(*at->second);
}

}  // namespace weft::keyring
