// What a stateful fuzzer plays with: a target with three subsystems, a well-behaved host that does I/O all the while,
// and an administrator. Subsystem a is everybody's to break: three namespaces (RAM disk, file, null device), hosts a
// and b. Subsystem b belongs to host c, subsystem c to the well-behaved host d; nobody else may ever see their data.
//
// Whatever is found wrong ends the program with a text that says what.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nvmf/subsystem.h"
#include "sim/fuzz_link.h"
#include "sim/rig.h"

namespace weft::test {

struct FuzzWorldOptions {
    uint64_t seed = 1;
    bool two_reactors = false;
    bool segmentation = false;
    bool small_windows = false;
    bool c2h_success = true;
    bool zero_copy_reads = false;
    bool no_in_capsule_data = false;
};

// A host that keeps the rules: an admin queue and an I/O queue of subsystem c.
struct RightHost {
    std::unique_ptr<FuzzLink> admin;
    std::unique_ptr<FuzzLink> io;
};

class FuzzWorld {
public:
    explicit FuzzWorld(const FuzzWorldOptions& options);
    ~FuzzWorld();

    [[nodiscard]] Rig& rig() { return *rig_; }
    std::unique_ptr<FuzzLink> open();
    // Runs the world for so long, with everything sent and read in between, and looks at what came.
    void run_for(env::TimeNs time);
    // The well-behaved host writes, and reads what it wrote.
    void work_bystander();
    // Starts what the administrator does; it goes on while the world runs. At most a few at a time.
    void administrate(uint8_t what, uint8_t which);
    // Every link is closed, the administrator finishes: nothing is left, and a fresh host can work.
    void finish();

    std::vector<std::unique_ptr<FuzzLink>> links;

private:
    Task<void> export_subsystem(size_t subsystem);
    Task<void> add_namespaces(size_t subsystem);
    Task<void> make_device(std::string name);
    Task<void> administer(uint8_t what, uint8_t which);
    Task<void> change_hosts(uint8_t what);
    Task<void> change_listener(bool add);
    RightHost connect_right_host();
    void work(RightHost& host);
    void settle(FuzzLink& link, const char* what);
    void look(FuzzLink* link) const;
    [[nodiscard]] size_t free_buffers();

    std::unique_ptr<Rig> rig_;
    std::unique_ptr<env::Environment> machine_;
    RightHost bystander_;
    uint32_t rounds_ = 0;
    uint32_t tasks_ = 0;
    size_t buffers_at_start_ = 0;
};

[[noreturn]] void fuzz_failed(const std::string& what);

}  // namespace weft::test
