// What devices that stand on others need of a target's process: the daemon has the same.
#pragma once

#include "accel/framework.h"
#include "bdev/registry.h"
#include "bdev/stack/awaited.h"
#include "bdev_modules/raid/raids.h"
#include "reactor/runtime.h"

namespace weft::test {

struct DeviceModules {
    DeviceModules(bdev::Registry& registry, Runtime& runtime)
        : awaited(registry), raids(registry, accel, runtime.data_reactors().size() > 1) {
        registry.set_io_thread(*runtime.data_reactors().front()->threads().front());
    }
    accel::Framework accel;
    bdev::Awaited awaited;
    bdev::Raids raids;
};

}  // namespace weft::test
