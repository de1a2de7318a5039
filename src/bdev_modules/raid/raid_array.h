// A raid as it is configured: its name, level and bases, and what becomes of them. While it is online there is a
// RaidDevice of it. App thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bdev/registry.h"
#include "bdev_modules/raid/raid_device.h"
#include "bdev_modules/raid/raid_superblock.h"
#include "bdev_modules/raid/rebuild.h"
#include "reactor/task.h"
#include "rpc/json_fwd.h"

namespace weft::bdev {

// Of bdev_raid_set_options.
struct RaidOptions {
    uint32_t process_window_size_kb = 1024;
    uint32_t process_max_bandwidth_mb_sec = 0;
};

enum class RaidState : uint8_t { online, configuring, offline };
std::string_view name_of(RaidState state);

class RaidArray;

// What all raids of a program share.
class RaidHouse {
public:
    virtual ~RaidHouse() = default;
    [[nodiscard]] virtual Registry& registry() const = 0;
    [[nodiscard]] virtual const RaidOptions& options() const = 0;
    [[nodiscard]] virtual bool is_concurrent() const = 0;
    [[nodiscard]] virtual accel::Framework& accel() const = 0;
    // It is on no list any more, and ends when bury() is called: when nobody holds it.
    virtual void forget(RaidArray& array) = 0;
    virtual void bury(RaidArray& array) = 0;
    // It can take bases in that were members before.
    virtual void look_for_members(RaidArray& array) = 0;
};

class RaidArray final : public RaidDevice::Owner, private BaseUser {
public:
    // It lives at least as long as somebody holds it, who may wait for things meanwhile.
    class Hold {
    public:
        explicit Hold(RaidArray& array) : array_(&array) { ++array_->holds_; }
        Hold(Hold&& other) noexcept : array_(std::exchange(other.array_, nullptr)) {}
        Hold(const Hold&) = delete;
        Hold& operator=(const Hold&) = delete;
        Hold& operator=(Hold&&) = delete;
        ~Hold() {
            if (array_ != nullptr) array_->let_go();
        }
        RaidArray* operator->() const { return array_; }
        RaidArray& operator*() const { return *array_; }

    private:
        RaidArray* array_;
    };
    struct Params {
        std::string name;
        Uuid uuid;
        RaidLevel level = RaidLevel::raid0;
        uint32_t strip_kb = 0;
        bool has_superblock = false;
        std::vector<std::string> bases;
    };
    // What was checked before.
    RaidArray(RaidHouse& house, Params params);
    RaidArray(RaidHouse& house, const RaidSuperblock& superblock);
    ~RaidArray() override;

    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] const Uuid& uuid() const { return uuid_; }
    [[nodiscard]] RaidState state() const { return state_; }
    // nullptr when it keeps none, or has not been written.
    [[nodiscard]] const RaidSuperblock* superblock() const { return superblock_ ? &*superblock_ : nullptr; }
    [[nodiscard]] bool has_superblock() const { return has_superblock_; }
    // Names of bases that it waits for.
    [[nodiscard]] std::vector<std::string> missing_names() const;
    // UUIDs of all members that it has not.
    [[nodiscard]] std::vector<Uuid> missing_members() const;
    // The slot in which that device is, or is to be.
    [[nodiscard]] std::optional<size_t> slot_of(const Device& device) const;
    [[nodiscard]] std::optional<size_t> slot_waiting_for(const Device& device) const;

    // Takes the base of slot `at`, and goes online when it was the last. `is_new`: no superblock of another raid may be
    // on it. Errors: no_such_device (it is waited for), permission_denied (somebody has it), already_exists,
    // invalid_argument, io_error. Nothing happens when the slot is taken.
    Task<Result<void>> attach(size_t at, bool is_new);
    // Errors: permission_denied (a rebuild is running), invalid_argument (no place, or it does not fit), and
    // attach()'s.
    Task<Result<void>> add_base(std::string name);
    // A former member, found with its superblock, while the raid is online. Errors: as add_base().
    Task<Result<void>> add_member_again(std::string name, Uuid uuid);
    enum class Loss : uint8_t { asked, failed, gone };
    // Errors: no_such_device; io_error when that could not be written to the others; busy when it failed and the raid
    // cannot do without it.
    Task<Result<void>> remove_base(size_t at, Loss why);
    // Ends when it is gone.
    Task<void> destroy(bool clears_superblocks);

    // Members of an object.
    void describe_members(Json& facts) const;
    [[nodiscard]] Json config_entry() const;

    // RaidDevice::Owner
    void on_base_gone(size_t index) override;
    void on_base_resized(size_t index) override;
    void on_base_failed(size_t index) override;
    void describe(Json& driver_specific) const override;
    void write_config(Json& entries) const override;
    Task<void> on_close() override;

private:
    struct Slot {
        std::optional<std::string> name;
        Uuid uuid;
        std::unique_ptr<Base> base;  // while it is not the device's
        bool is_configured = false;
        bool may_lie = false;  // of others its superblock may say that they failed, and they stayed
        bool may_be_whole = false;  // some superblock may say so of it, while it is being filled
        uint64_t data_offset = 0;
        uint64_t data_size = 0;
    };
    struct Process {
        size_t target = 0;
        std::unique_ptr<Rebuild> rebuild;
        bool is_running = true;
        WaitList ended;
    };

    // BaseUser, while it is not online
    void on_base_removed(Base& base) override;
    void on_base_resized(Base& /*base*/) override {}

    void let_go();
    void forget();
    [[nodiscard]] size_t discovered() const;
    [[nodiscard]] Base* base(size_t slot) const;
    // Opens, claims, checks. Errors: attach()'s.
    Result<std::unique_ptr<Base>> open_base(Slot& slot);
    Result<void> check_base(Slot& slot, const Device& device);
    // Errors: already_exists, when another raid's superblock is on it.
    Task<Result<void>> check_is_free(Base& base);
    void release(Slot& slot);

    Task<Result<void>> assemble();
    Result<RaidLayout> make_layout() const;
    Result<void> prepare_superblock(const RaidLayout& layout);
    // To all bases that are there, or but for one; gives those it could not be written to.
    Task<std::vector<size_t>> write_superblock(std::optional<size_t> without = std::nullopt);
    Task<bool> write_superblock_to(size_t at, Bytes superblock);
    Task<Result<void>> go_offline(size_t at, std::string_view why, AsyncMutex::Guard& guard);
    // Those of the others that could not be told that it is no member any more; nothing when that is all of them, and
    // they say that it is one.
    Task<std::optional<std::vector<size_t>>> strike_out(size_t at, Loss why);
    Task<bool> is_truthful(size_t at, Loss why);
    Task<void> clear_superblocks();

    Task<Result<void>> take_in(size_t at, std::unique_ptr<Base> base);
    void start_process(size_t target, uint64_t done_blocks, env::TimeNs delay = 0);
    Task<void> stop_process();
    Task<void> run_process(Hold self, std::unique_ptr<Process> process);
    // False: nobody else could be told that the target is whole.
    Task<bool> finish_process();
    Task<void> lose(Hold self, size_t slot, Loss why);
    Task<void> resize(Hold self);

    RaidHouse& house_;
    const std::string name_;
    const Uuid uuid_;
    const RaidLevel level_;
    const uint32_t strip_kb_;
    const bool has_superblock_;
    std::vector<Slot> slots_;
    std::optional<RaidSuperblock> superblock_;
    RaidState state_ = RaidState::configuring;
    size_t operational_ = 0;  // how many are known, or expected, to work
    uint32_t block_bytes_ = 0;  // 0: no base has said
    bool is_deleting_ = false;
    RaidDevice* device_ = nullptr;
    Process* process_ = nullptr;  // run_process() owns it; who stops it puts another one here, or none
    uint32_t holds_ = 0;
    bool is_forgotten_ = false;
    AsyncMutex busy_;  // what changes the bases, one after another
};

}  // namespace weft::bdev
