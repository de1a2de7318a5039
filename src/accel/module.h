// Who does the jobs: a module, and what of it one thread uses. The software module does all of them; another is given
// ops by name before the start (Framework::assign).
#pragma once

#include <memory>
#include <string_view>

#include "accel/crypto/key.h"
#include "accel/operation.h"
#include "base/result.h"

namespace weft::accel {

class Channel;

// A key made ready for one thread and one size of blocks, on the control path. Lives no longer than the channel that
// made it, and is used and destroyed on its thread.
class PreparedKey {
public:
    PreparedKey(CryptoKeyRef key, uint32_t block_bytes) : key_(std::move(key)), block_bytes_(block_bytes) {}
    PreparedKey(const PreparedKey&) = delete;
    PreparedKey& operator=(const PreparedKey&) = delete;
    virtual ~PreparedKey() = default;

    [[nodiscard]] const CryptoKey& key() const { return *key_; }
    [[nodiscard]] uint32_t block_bytes() const { return block_bytes_; }

private:
    const CryptoKeyRef key_;
    const uint32_t block_bytes_;
};

// Lives on its thread, belongs to the framework's channel there.
class ModuleChannel {
public:
    ModuleChannel() = default;
    ModuleChannel(const ModuleChannel&) = delete;
    ModuleChannel& operator=(const ModuleChannel&) = delete;
    virtual ~ModuleChannel() = default;  // nothing in flight

    // Starts an operation whose job was checked: sets `status` when it returns done.
    virtual Progress start(Operation& operation) = 0;
    // Errors: not_supported; no_memory; io_error when the library refuses the key.
    virtual Result<std::unique_ptr<PreparedKey>> prepare(CryptoKeyRef key, uint32_t block_bytes);

protected:
    // A pending operation is done. From the loop of this channel's reactor; the operation is not touched after that.
    void finish(Operation& operation, Status status);

private:
    friend class Channel;
    Channel* owner_ = nullptr;
};

// Made before the start, on the app thread; constant after that but for what it shares by atomics.
class Module {
public:
    Module() = default;
    Module(const Module&) = delete;
    Module& operator=(const Module&) = delete;
    virtual ~Module() = default;

    [[nodiscard]] virtual std::string_view name() const = 0;
    [[nodiscard]] virtual bool supports(Op op) const = 0;
    // Jobs are always done on the spot: memory that is lent for the time of a call may be given to them.
    [[nodiscard]] virtual bool is_inline() const { return false; }
    [[nodiscard]] virtual bool supports_cipher(Cipher /*cipher*/, size_t /*key_bytes*/) const { return false; }
    [[nodiscard]] virtual bool supports_tweak(TweakMode /*mode*/) const { return false; }
    // On the thread that is to use it.
    virtual Result<std::unique_ptr<ModuleChannel>> make_channel() = 0;
};

}  // namespace weft::accel
