// Folders beyond which a name that somebody else gave does not lead.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "env/linux/descriptor.h"

namespace weft::env {

// Constant once it is made; any thread. Calls block.
class Confinement {
public:
    // Everything is allowed.
    Confinement() = default;
    // Opens the folders, which are these from now on, whatever is put in their place later. Errors: those of opening;
    // invalid_argument (no absolute path), not_supported (no openat2: Linux before 5.6).
    static Result<Confinement> to(const std::vector<std::string>& folders);

    // As open(2), but the kernel refuses what leads out of the folder that `path` begins with: "..", symbolic links,
    // also those that are put there meanwhile. Errors: permission_denied, with the folders that are allowed; else
    // what open(2) says, by `refused` (then it is an errno and the descriptor is closed).
    Result<Descriptor> open(const std::string& path, int flags, int& refused) const;

private:
    struct Folder {
        std::string name;  // as it was given, without a slash at the end
        std::string place;  // where that is, symbolic links resolved
        Descriptor descriptor;
    };
    [[nodiscard]] std::unexpected<Error> fail_outside(const std::string& path) const;

    std::vector<Folder> folders_;
    bool is_confined_ = false;
};

}  // namespace weft::env
