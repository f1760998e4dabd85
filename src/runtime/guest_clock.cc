#include "runtime/guest_clock.h"

namespace diatom {

namespace {

using namespace std::chrono_literals;

// The first takes longest: all code runs for the first time in a VM that was just restored.
constexpr auto short_enough = 10ms;
constexpr int most_questions = 10;

}  // namespace

void GuestClock::add(int64_t guest_ns, int64_t host_ns, std::chrono::nanoseconds round_trip) {
  ++asked_;
  if (round_trip >= round_trip_) return;
  round_trip_ = round_trip;
  offset_ns_ = host_ns - round_trip.count() / 2 - guest_ns;
}

bool GuestClock::is_known() const { return round_trip_ <= short_enough || asked_ >= most_questions; }

Result<int64_t> GuestClock::offset_ns() const {
  if (offset_ns_ > 0) return offset_ns_;
  return fail(Errc::guest, "set the guest's clock: it shows a time that there is not");
}

}  // namespace diatom
