#include "runtime/guest_clock.h"

#include <gtest/gtest.h>

namespace diatom {
namespace {

using namespace std::chrono_literals;

constexpr int64_t now_ns = 1'790'000'000'000'000'000;
constexpr int64_t ms = 1'000'000;

TEST(GuestClock, IsKnownByOneShortRoundTrip) {
  GuestClock clock;
  EXPECT_FALSE(clock.is_known());
  clock.add(5 * ms, now_ns, 2ms);
  EXPECT_TRUE(clock.is_known());
  EXPECT_EQ(clock.offset_ns().value(), now_ns - 1 * ms - 5 * ms);
}

TEST(GuestClock, IsKnownBestByTheShortestOfLongRoundTrips) {
  GuestClock clock;
  clock.add(100 * ms, now_ns, 80ms);
  clock.add(200 * ms, now_ns + 90 * ms, 20ms);
  clock.add(300 * ms, now_ns + 500 * ms, 400ms);
  EXPECT_FALSE(clock.is_known());
  EXPECT_EQ(clock.offset_ns().value(), now_ns + 90 * ms - 10 * ms - 200 * ms);
}

TEST(GuestClock, IsNotAskedForever) {
  GuestClock clock;
  int asked = 0;
  for (; !clock.is_known() && asked < 1000; ++asked) clock.add(asked, now_ns, 1s);
  EXPECT_EQ(asked, 10);
}

// Whatever the guest says, as long as it is decoded: no number of ours overflows.
TEST(GuestClock, MakesNoTimeOfOneThatIsBeyondTheHosts) {
  GuestClock clock;
  clock.add(INT64_MAX, now_ns, 1ms);
  EXPECT_EQ(clock.offset_ns().error().code, Errc::guest);
}

}  // namespace
}  // namespace diatom
