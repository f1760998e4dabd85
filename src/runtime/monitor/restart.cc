#include "runtime/monitor/restart.h"

#include <algorithm>

namespace diatom {

namespace {

using namespace std::chrono_literals;

constexpr auto first_delay = 100ms;
constexpr std::chrono::milliseconds longest_delay = 1min;
constexpr auto long_enough = 10s;
constexpr unsigned most_doublings = 16;

}  // namespace

std::optional<std::chrono::milliseconds> RestartDecision::after(const RunEnd& end) {
  if (end.lasted >= long_enough) in_a_row_ = 0;
  bool wanted = false;
  switch (policy_.kind) {
    case RestartPolicy::Kind::no:
      break;
    case RestartPolicy::Kind::on_failure:
      wanted = end.exit_code != 0 && (policy_.max_retries == 0 || restarts_ < policy_.max_retries);
      break;
    case RestartPolicy::Kind::always:
    case RestartPolicy::Kind::unless_stopped:
      wanted = true;
      break;
  }
  if (!wanted || end.by_request) return std::nullopt;
  ++restarts_;
  return std::min<std::chrono::milliseconds>(first_delay * (1U << std::min(in_a_row_++, most_doublings)),
                                             longest_delay);
}

}  // namespace diatom
