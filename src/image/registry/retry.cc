#include "image/registry/retry.h"

#include <curl/curl.h>
#include <poll.h>

#include <algorithm>
#include <charconv>
#include <random>
#include <string>

#include "image/registry/libcurl.h"

namespace diatom::image {

using std::chrono::milliseconds;

namespace {

constexpr milliseconds look_at_token{100};  // a signal handler sets it and cannot wake us

uint32_t random_number() {
  thread_local std::minstd_rand engine(std::random_device{}());
  return static_cast<uint32_t>(engine());
}

}  // namespace

bool is_transient_status(long status) {
  static constexpr long transient[] = {408, 429, 500, 502, 503, 504};
  return std::ranges::find(transient, status) != std::end(transient);
}

std::optional<std::chrono::seconds> parse_retry_after(std::string_view text, int64_t now_unix_seconds) {
  constexpr int64_t most = 365LL * 24 * 3600;
  if (text.empty() || text.size() > 64) return std::nullopt;
  int64_t seconds = 0;
  auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (rest == text.data() + text.size() && text.front() != '-')
    return std::chrono::seconds(error == std::errc{} ? std::min(seconds, most) : most);
  if (text.find(':') == std::string_view::npos) return std::nullopt;  // curl would take a bare number for a day
  time_t when = libcurl().getdate(std::string(text).c_str(), nullptr);
  if (when < 0) return std::nullopt;
  return std::chrono::seconds(std::clamp<int64_t>(static_cast<int64_t>(when) - now_unix_seconds, 0, most));
}

milliseconds backoff(unsigned attempt, uint32_t random) {
  int64_t longest = std::min<int64_t>(200LL << std::min(attempt, 16U), 20'000);
  return milliseconds(longest - static_cast<int64_t>(random % static_cast<uint32_t>(longest / 2)));
}

RetryBudget::RetryBudget(const CancelToken& cancel, RetryLimits limits) : cancel_(&cancel), limits_(limits) {}

void RetryBudget::progress() {
  since_ = Clock::now();
  attempts_ = 0;
  had_progress_ = true;
}

Result<bool> RetryBudget::wait(std::optional<std::chrono::seconds> retry_after, bool unreachable) {
  TRY(cancel_->check());
  milliseconds pause = retry_after ? milliseconds(*retry_after) : backoff(attempts_, random_number());
  ++attempts_;
  unsigned most =
      unreachable && !had_progress_ ? std::min(limits_.unreachable_attempts, limits_.attempts) : limits_.attempts;
  if (attempts_ >= most) return false;
  auto until = Clock::now() + pause;
  if (until > since_ + limits_.total) return false;
  for (auto now = Clock::now(); now < until; now = Clock::now()) {
    auto left = std::chrono::ceil<milliseconds>(until - now);
    ::poll(nullptr, 0, static_cast<int>(std::min(left, look_at_token).count()));
    TRY(cancel_->check());
  }
  return true;
}

}  // namespace diatom::image
