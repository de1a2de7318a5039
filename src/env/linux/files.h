// Files and block devices of the kernel.
#pragma once

#include "env/files.h"
#include "env/linux/confinement.h"

namespace weft::env {

// Any thread; every call blocks.
class LinuxFiles final : public Files {
public:
    Result<std::unique_ptr<File>> open(const std::string& path, const OpenOptions& options) override;
    Result<std::string> read_all(const std::string& path, size_t size_max) override;
    Result<std::string> read_allowed(const std::string& path, size_t size_max) override;
    Result<std::string> read_secret(const std::string& path, size_t size_max) override;
    Result<size_t> read_key(const std::string& path, MutableBytes into) override;
    Result<void> write_atomically(const std::string& path, std::string_view contents) override;
    Result<void> write_allowed(const std::string& path, std::string_view contents) override;
    Result<void> remove(const std::string& path) override;
    Result<void> rename(const std::string& from, const std::string& to) override;
    Result<void> make_folder(const std::string& path) override;
    Result<void> confine(const std::vector<std::string>& folders) override;

private:
    Result<std::unique_ptr<File>> open_once(const std::string& path, const OpenOptions& options);
    // Of files that may not be made.
    Result<Descriptor> open_existing(const std::string& path, int flags, Reach reach, int& refused) const;

    Confinement allowed_;
};

}  // namespace weft::env
