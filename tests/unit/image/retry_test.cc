#include "image/registry/retry.h"

#include <gtest/gtest.h>

namespace diatom::image {
namespace {

using namespace std::chrono_literals;

constexpr int64_t noon = 784'111'777;  // Sun, 06 Nov 1994 08:49:37 GMT, RFC 9110's own example

TEST(RetryAfter, IsSecondsOrADate) {
  struct Case {
    std::string_view text;
    std::optional<std::chrono::seconds> expected;
  };
  const Case cases[] = {
      {"0", 0s},
      {"120", 120s},
      {"Sun, 06 Nov 1994 08:49:47 GMT", 10s},
      {"Sunday, 06-Nov-94 08:49:47 GMT", 10s},
      {"Sun Nov  6 08:49:47 1994", 10s},
      {"Sun, 06 Nov 1994 08:00:00 GMT", 0s},
      {"99999999999999999999999", 365 * 24h},
      {"", std::nullopt},
      {"-1", std::nullopt},
      {"soon", std::nullopt},
      {"12 parsecs", std::nullopt},
  };
  for (const Case& c : cases) EXPECT_EQ(parse_retry_after(c.text, noon), c.expected) << c.text;
}

TEST(Backoff, DoublesToALimitAndTakesAtMostAHalfAway) {
  for (unsigned attempt : {0U, 1U, 5U, 6U, 7U, 40U}) {
    int64_t longest = std::min<int64_t>(200LL << std::min(attempt, 16U), 20'000);
    for (uint32_t random : {0U, 1U, 99U, 12345U, UINT32_MAX}) {
      EXPECT_LE(backoff(attempt, random).count(), longest);
      EXPECT_GT(backoff(attempt, random).count(), longest / 2);
    }
  }
}

TEST(RetryBudget, RunsOutByAttemptsAndIsRenewedByProgress) {
  CancelToken token;
  RetryBudget budget(token, {.attempts = 3, .unreachable_attempts = 2});
  EXPECT_TRUE(*budget.wait(0s));
  EXPECT_TRUE(*budget.wait(0s));
  EXPECT_FALSE(*budget.wait(0s));
  budget.progress();
  EXPECT_TRUE(*budget.wait(0s));
}

TEST(RetryBudget, IsShorterForWhoWasNeverReached) {
  CancelToken token;
  RetryBudget budget(token, {.attempts = 5, .unreachable_attempts = 2});
  EXPECT_TRUE(*budget.wait(0s, true));
  EXPECT_FALSE(*budget.wait(0s, true));
  budget.progress();
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(*budget.wait(0s, true));
}

TEST(RetryBudget, DoesNotWaitForWhatComesTooLate) {
  CancelToken token;
  RetryBudget budget(token, {.attempts = 5, .total = 1min});
  EXPECT_FALSE(*budget.wait(61s));
}

TEST(RetryBudget, IsInterruptible) {
  CancelToken token;
  RetryBudget budget(token);
  token.cancel();
  EXPECT_EQ(budget.wait(60s).error().code, Errc::cancelled);
}

TEST(StallWatch, CountsTheTimeOfWaitingOnlyAgainstBytes) {
  StallWatch watch(30s, 100);
  watch.waited(29s);
  EXPECT_FALSE(watch.stalled());
  watch.moved(100);
  watch.waited(29s);
  EXPECT_FALSE(watch.stalled());
  watch.moved(99);  // too few: a trickle is no life
  watch.waited(1s);
  EXPECT_TRUE(watch.stalled());
}

TEST(TransientStatus, IsWhatPassesByItself) {
  for (long status : {408, 429, 500, 502, 503, 504}) EXPECT_TRUE(is_transient_status(status)) << status;
  for (long status : {200, 206, 301, 400, 401, 403, 404, 405, 416, 501}) EXPECT_FALSE(is_transient_status(status));
}

}  // namespace
}  // namespace diatom::image
