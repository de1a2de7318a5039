// Static probes for tracers (USDT): a no-op until bpftrace, perf or SystemTap replaces it, so that a user sees where
// time goes in the program that runs. Provider "weft"; docs/performance.md lists them, scripts/hot_path.bt uses them.
//
// Arguments are integers and pointers that are at hand: they are computed whether or not anybody looks.
#pragma once

#define SDT_USE_VARIADIC
#include <sys/sdt.h>

// At least one argument.
#define WEFT_PROBE(name, ...) STAP_PROBEV(weft, name, __VA_ARGS__)
