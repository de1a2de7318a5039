// The version of the programs.
#pragma once

#include "base/version.h"

namespace weft::app {

using weft::version_major;
using weft::version_minor;
using weft::version_patch;
using weft::version_text;

}  // namespace weft::app
