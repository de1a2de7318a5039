#include "reactor/task.h"

#include "reactor/reactor.h"

namespace weft {

env::Environment& environment_of(Thread& thread) { return thread.reactor().environment(); }

}  // namespace weft
