// Whether and when a container runs again after its program has ended. Pure.
#pragma once

#include <chrono>
#include <optional>

#include "diatom/spec.h"

namespace diatom {

struct RunEnd {
  int exit_code = 0;
  bool by_request = false;  // somebody stopped it
  std::chrono::nanoseconds lasted{0};
};

class RestartDecision {
 public:
  explicit RestartDecision(RestartPolicy policy) : policy_(policy) {}
  void set_policy(RestartPolicy policy) { policy_ = policy; }
  // How long to wait before the next run; empty: there is none. docker's: 100 ms, then twice as long each time, at most
  // a minute; from the beginning again after a run of ten seconds.
  std::optional<std::chrono::milliseconds> after(const RunEnd& end);
  unsigned restarts() const { return restarts_; }

 private:
  RestartPolicy policy_;
  unsigned restarts_ = 0;
  unsigned in_a_row_ = 0;
};

}  // namespace diatom
