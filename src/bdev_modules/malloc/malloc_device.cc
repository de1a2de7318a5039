#include "bdev_modules/malloc/malloc_device.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/assert.h"
#include "bdev_modules/malloc/malloc_channel.h"
#include "reactor/reactor.h"
#include "rpc/json.h"

namespace weft::bdev {

namespace {

constexpr uint64_t pretouch_step_bytes = uint64_t{2} << 20;
std::optional<uint64_t> number_after(std::string_view text, std::string_view label) {
    const size_t found = text.find(label);
    if (found == std::string_view::npos) return std::nullopt;
    text.remove_prefix(found + label.size());
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{}) return std::nullopt;
    return number;
}

constexpr size_t text_max = 65536;

// What a control group can still give; all there is when it has no limit, or does not tell.
uint64_t available_in(env::Files& files, const std::string& group) {
    const auto limit_text = files.read_all(group + "/memory.max", text_max);
    const auto used_text = files.read_all(group + "/memory.current", text_max);
    if (!limit_text || !used_text) return UINT64_MAX;
    const auto limit = number_after(*limit_text, "");
    const auto used = number_after(*used_text, "");
    if (!limit || !used) return UINT64_MAX;
    // Files that are cached count as used here, but not in MemAvailable: they go when their memory is wanted.
    const auto stat_text = files.read_all(group + "/memory.stat", text_max);
    const uint64_t cached = stat_text ? number_after(*stat_text, "inactive_file ").value_or(0) : 0;
    const uint64_t kept = *used - std::min(*used, cached);
    return *limit - std::min(*limit, kept);
}

// What the system can still give, as far as it tells: of the machine, of our control group, and of those it lies in (in
// a container, the container's is the root of what is seen).
uint64_t available_memory(env::Files& files) {
    uint64_t available = UINT64_MAX;
    if (const auto text = files.read_all("/proc/meminfo", text_max)) {
        if (const auto kib = number_after(*text, "MemAvailable:")) available = *kib * 1024;
    }
    std::string group;
    if (const auto text = files.read_all("/proc/self/cgroup", text_max)) {
        const size_t line = text->starts_with("0::/") ? 0 : text->find("\n0::/");
        if (line != std::string::npos) {
            const size_t begin = text->find("::/", line) + 2;
            group = text->substr(begin, text->find('\n', begin) - begin);
        }
    }
    while (!group.empty()) {
        if (group != "/") available = std::min(available, available_in(files, "/sys/fs/cgroup" + group));
        group.resize(group.find_last_of('/'));
    }
    return std::min(available, available_in(files, "/sys/fs/cgroup"));
}

// What a RAM disk leaves alone: without it, the first burst of connections, or anybody else's page, would have the
// system end a process, and that would be the one that has most.
uint64_t headroom(uint64_t available) { return std::min(available, std::max(available / 16, uint64_t{64} << 20)); }

// What hosts should align large writes to.
uint32_t optimal_blocks(const MallocOptions& options) {
    if (options.physical_block_bytes > options.block_bytes) return options.physical_block_bytes / options.block_bytes;
    return options.optimal_boundary_blocks;
}

std::string free_name(const Registry& registry) {
    for (uint32_t number = 0;; ++number) {
        std::string name = fmt::format("Malloc{}", number);
        if (!registry.is_taken(name)) return name;
    }
}

// Memory that other RAM disks were promised and have not taken yet.
uint64_t promised_memory(const Registry& registry) {
    uint64_t bytes = 0;
    for (const Device* device : registry.all()) {
        if (const auto* disk = dynamic_cast<const MallocDevice*>(device)) bytes += disk->untouched_bytes();
    }
    return bytes;
}

}  // namespace

Result<std::unique_ptr<MallocDevice>> MallocDevice::create(MallocOptions options, Uuid uuid) {
    WEFT_TRY(check_size(options.block_bytes, options.block_count));
    WEFT_TRY(check_format(options.metadata, options.block_bytes));
    auto memory =
        env::map_memory(options.block_count * options.block_bytes,
                        {.name = "weft_" + options.name.substr(0, 200), .sharing = env::Sharing::unless_slower});
    if (!memory) return std::unexpected(std::move(memory).error());
    env::Mapping metadata;
    if (options.metadata.metadata_bytes != 0) {
        auto more = env::map_memory(options.block_count * options.metadata.metadata_bytes,
                                    {.name = "weft_md_" + options.name.substr(0, 200)});
        if (!more) return std::unexpected(std::move(more).error());
        metadata = std::move(*more);
    }
    return std::unique_ptr<MallocDevice>(
        new MallocDevice(std::move(options), uuid, std::move(*memory), std::move(metadata)));
}

MallocDevice::MallocDevice(MallocOptions options, Uuid uuid, env::Mapping memory, env::Mapping metadata)
    : Device(options.name, uuid,
             {.block_bytes = options.block_bytes,
              .block_count = options.block_count,
              .optimal_blocks = optimal_blocks(options),
              .metadata = options.metadata,
              .metadata_in_data = options.metadata_in_data,
              .boundary_blocks = options.optimal_boundary_blocks}),
      options_(std::move(options)),
      memory_(std::move(memory)),
      metadata_(std::move(metadata)),
      locks_(memory_.size(), options_.block_bytes, options_.is_concurrent) {}

MallocDevice::~MallocDevice() = default;

void MallocDevice::clear_metadata(uint64_t lba, uint64_t blocks) const {
    if (metadata_.size() == 0) return;
    for (uint64_t end = lba + blocks; lba < end; ++lba) {
        const MutableBytes metadata = metadata_of(lba);
        std::memset(metadata.data(), 0, metadata.size());
        if (options_.metadata.has_tuple()) write_escape(options_.metadata, metadata);
    }
}

bool MallocDevice::supports(Op op) const {
    switch (op) {
        case Op::read:
        case Op::write:
        case Op::flush:
        case Op::unmap:
        case Op::write_zeroes:
        case Op::compare:
        case Op::verify:
        case Op::write_uncorrectable: return true;
        case Op::compare_and_write:
        case Op::copy: return metadata().metadata_bytes == 0;
        case Op::zone_append:
        case Op::zone_management: return false;
    }
    return false;
}

std::vector<BlockRange> MallocDevice::unreadable(uint64_t first, uint64_t blocks, size_t count_max) const {
    std::vector<BlockRange> found;
    for (const BadBlocks::Range& range : bad_blocks_.list(first, blocks, count_max)) {
        found.push_back({.first = range.first, .blocks = range.end - range.first});
    }
    return found;
}

Result<std::unique_ptr<IoChannel>> MallocDevice::make_channel() {
    // Without locks there must be one reactor.
    const auto is_here = [](const Thread* thread) { return &thread->reactor() == &Reactor::current(); };
    WEFT_ASSERT(options_.is_concurrent || std::ranges::all_of(channel_threads(), is_here));
    return std::make_unique<MallocChannel>(*this);
}

Task<void> MallocDevice::pretouch() {
    if (!pretouching_.try_enter()) co_return;
    untouched_bytes_ = memory_.size();
    // A job a step: between them the workers are free for others, and close() has its say.
    while (untouched_bytes_ > 0 && !is_closing_) {
        const MutableBytes step(memory_.data() + (memory_.size() - untouched_bytes_),
                                std::min(untouched_bytes_, pretouch_step_bytes));
        co_await offload([step] {
            env::populate(step);
            return true;
        });
        untouched_bytes_ -= step.size();
    }
    pretouching_.leave();
}

Task<void> MallocDevice::close() {
    is_closing_ = true;
    co_await pretouching_.close();
    // To unmap gigabytes takes a while.
    co_await offload([memory = std::move(memory_), metadata = std::move(metadata_)]() mutable {
        memory = env::Mapping();
        metadata = env::Mapping();
        return true;
    });
}

void MallocDevice::write_config(Json& entries) const {
    Json params = {
        {"name", name()}, {"num_blocks", block_count()}, {"block_size", block_bytes()}, {"uuid", uuid().to_string()}};
    if (options_.physical_block_bytes != 0) params["physical_block_size"] = options_.physical_block_bytes;
    if (options_.optimal_boundary_blocks != 0) params["optimal_io_boundary"] = options_.optimal_boundary_blocks;
    if (const ProtectionFormat& format = options_.metadata; format.metadata_bytes != 0) {
        params["md_size"] = format.metadata_bytes;
        params["md_interleave"] = options_.metadata_in_data;
        params["dif_type"] = format.type;
        params["dif_is_head_of_md"] = format.is_first;
        params["dif_pi_format"] = format.guard;
    }
    entries.push_back({{"method", "bdev_malloc_create"}, {"params", std::move(params)}});
}

Task<Result<Device*>> create_malloc_device(Registry& registry, MallocOptions options) {
    WEFT_CO_TRY(check_size(options.block_bytes, options.block_count));
    WEFT_CO_TRY(check_format(options.metadata, options.block_bytes));
    env::Environment& environment = Reactor::current().environment();
    const uint64_t size_bytes = options.block_count * (options.block_bytes + options.metadata.metadata_bytes);
    uint64_t available = co_await offload([&environment] { return available_memory(environment.files()); });
    if (available != UINT64_MAX) available -= headroom(available);
    const uint64_t promised = promised_memory(registry);
    if (options.pretouch && (promised > available || size_bytes > available - promised)) {
        co_return fail(
            Errc::no_memory,
            fmt::format("a RAM disk of {} bytes: the system has {} bytes of memory left (a sixteenth is left "
                        "free), {} of them promised to other RAM disks",
                        size_bytes, available, promised));
    }
    if (options.name.empty()) options.name = free_name(registry);
    Uuid uuid = options.uuid;
    if (uuid.is_nil()) uuid = Uuid::from_names({environment.machine_id(), "malloc", options.name});
    const bool pretouch = options.pretouch;
    auto made = MallocDevice::create(std::move(options), uuid);
    if (!made) co_return std::unexpected(std::move(made).error());
    MallocDevice& disk = **made;
    if (disk.metadata().metadata_bytes != 0) {
        co_await offload([&disk] {
            disk.clear_metadata(0, disk.block_count());
            return true;
        });
    }
    auto added = registry.add(std::move(*made));
    if (added && pretouch) spawn(disk.pretouch());
    co_return added;
}

}  // namespace weft::bdev
