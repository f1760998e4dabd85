// What a guest's clock lacks of the host's time, found out by asking what it shows. The guest reads it between the
// question and its answer, and nobody knows when: so the offset is known to half of the round trip, however late
// anybody is, and the shortest of a few knows it best.
#pragma once

#include <chrono>
#include <cstdint>

#include "base/error.h"

namespace diatom {

class GuestClock {
 public:
  // The guest's clock was at `guest_ns`. Since then the host's, ns since 1970 UTC, has come to `host_ns`; and the round
  // trip began before the guest read its clock, and ended after the host read its own.
  void add(int64_t guest_ns, int64_t host_ns, std::chrono::nanoseconds round_trip);
  // Asking again would not help, or has not.
  bool is_known() const;
  // What is added to the guest's clock. Errors: guest, where that makes no time.
  Result<int64_t> offset_ns() const;

 private:
  int asked_ = 0;
  std::chrono::nanoseconds round_trip_ = std::chrono::nanoseconds::max();
  int64_t offset_ns_ = 0;
};

}  // namespace diatom
