#pragma once

#include <cstdint>

namespace diatom {

// The rate of this CPU's time stamp counter in kHz, measured against the monotonic clock; 0 where there is none.
// The measurement spans from the program's start and is at least 10 ms long: a call within the first 10 ms waits.
uint64_t tsc_khz();

}  // namespace diatom
