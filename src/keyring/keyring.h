// Keys by name: what subsystems, listeners and hosts are told is a name, and the key itself stays in its file until
// somebody authenticates with it.
//
//   auto key = keyring.find("key0");                 // on the app thread: a KeyRef, kept as long as the key is used
//   auto secret = keyring::read(files, **key);       // in an offload job, each time it is needed
//
// A key that was removed stays readable for those who keep it, and is listed as removed until the last of them lets go.
// The ring lives on the app thread and outlives every KeyRef; a Key never changes and is for any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "env/files.h"
#include "reactor/task.h"

namespace weft::keyring {

// Of a key file: the longest that is known here, DHHC-1 with 64 bytes, has 106 characters.
inline constexpr size_t key_bytes_max = 4096;
inline constexpr size_t key_name_size_max = 255;

class Key {
public:
    Key(std::string name, std::string path) : name_(std::move(name)), path_(std::move(path)) {}

    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] const std::string& path() const { return path_; }
    // How many KeyRef there are.
    [[nodiscard]] uint32_t users() const { return users_.load(std::memory_order_acquire); }

private:
    friend class KeyRef;
    const std::string name_;
    const std::string path_;
    mutable std::atomic<uint32_t> users_ = 0;
};

// Says that somebody uses the key; the ring owns it. Copied and let go on any thread. May be empty.
class KeyRef {
public:
    KeyRef() = default;
    explicit KeyRef(const Key& key) : key_(&key) { key_->users_.fetch_add(1, std::memory_order_relaxed); }
    KeyRef(const KeyRef& other) : key_(other.key_) {
        if (key_ != nullptr) key_->users_.fetch_add(1, std::memory_order_relaxed);
    }
    KeyRef(KeyRef&& other) noexcept : key_(std::exchange(other.key_, nullptr)) {}
    KeyRef& operator=(KeyRef other) noexcept {
        std::swap(key_, other.key_);
        return *this;
    }
    ~KeyRef() {
        if (key_ != nullptr) key_->users_.fetch_sub(1, std::memory_order_release);
    }

    explicit operator bool() const { return key_ != nullptr; }
    const Key& operator*() const { return *key_; }
    const Key* operator->() const { return key_; }

private:
    const Key* key_ = nullptr;
};

// What the file holds now, without white space at its end. Blocks: from an offload job. Errors: those of
// env::Files::read_key(), naming the key; invalid_argument for an empty file.
Result<Secret> read(env::Files& files, const Key& key);

class Keyring {
public:
    Keyring() = default;
    Keyring(const Keyring&) = delete;
    Keyring& operator=(const Keyring&) = delete;
    ~Keyring();

    // Names the file `path` (absolute), which must be there and be fit for a key now. Errors: already_exists;
    // invalid_argument (name, a relative path, an empty file); those of env::Files::read_key().
    Task<Result<void>> add_file(env::Files& files, std::string name, std::string path);
    // Errors: not_found.
    Result<void> remove(const std::string& name);
    void remove_all();
    // Errors: not_found, with what to do about it.
    [[nodiscard]] Result<KeyRef> find(const std::string& name) const;

    [[nodiscard]] const std::map<std::string, std::unique_ptr<const Key>>& keys() const { return keys_; }
    // Those that somebody still uses.
    [[nodiscard]] const std::vector<std::unique_ptr<const Key>>& removed_keys();

    // A key came or went.
    std::function<void(const std::string& name)> on_change;

private:
    std::map<std::string, std::unique_ptr<const Key>> keys_;
    std::vector<std::unique_ptr<const Key>> removed_;
};

}  // namespace weft::keyring
