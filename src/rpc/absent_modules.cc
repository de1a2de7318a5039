#include "rpc/absent_modules.h"

namespace weft::rpc {

namespace {

struct Absent {
    std::string_view method;
    std::string_view reason;
};

constexpr std::string_view no_accel = "there is no such acceleration module here; what it would do is done by the CPU";

// Options only, by the names that 23.05 and 26.09 write.
constexpr Absent absent[] = {
    {"ae4dma_scan_accel_module", no_accel},
    {"compressdev_scan_accel_module", no_accel},
    {"dpdk_cryptodev_scan_accel_module", no_accel},
    {"dpdk_cryptodev_set_driver", no_accel},
    {"dsa_scan_accel_module", no_accel},
    {"iaa_scan_accel_module", no_accel},
    {"ioat_scan_accel_module", no_accel},
    {"mlx5_scan_accel_module", no_accel},
    {"bdev_compress_set_pmd", "there is no compress bdev here"},
    {"bdev_iscsi_set_options", "there is no iSCSI bdev here"},
    {"bdev_nvme_set_hotplug", "there is no NVMe bdev here"},
    {"bdev_nvme_set_options", "there is no NVMe bdev here"},
    {"bdev_raid_set_options", "there is no RAID bdev here"},
    {"blobfs_set_cache_size", "there is no BlobFS here"},
    {"fsdev_set_opts", "there are no file system devices here"},
    {"fsdev_set_options", "there are no file system devices here"},
    {"iscsi_set_options", "there is no iSCSI target here"},
    {"keyring_linux_set_options", "there is no keyring here"},
    {"vfu_tgt_set_base_path", "there is no vfio-user target here"},
    {"vmd_enable", "no PCI device is touched"},
};

}  // namespace

std::string_view reason_to_skip(std::string_view method) {
    for (const Absent& one : absent) {
        if (one.method == method) return one.reason;
    }
    return {};
}

}  // namespace weft::rpc
