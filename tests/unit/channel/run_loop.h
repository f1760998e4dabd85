#pragma once

#include <gtest/gtest.h>

#include <chrono>

#include "base/event_loop.h"

namespace diatom {

// Until a handler stops the loop. A deadline takes the place of a hang.
inline void run_loop(EventLoop& loop) {
  bool late = false;
  auto deadline = loop.after(std::chrono::seconds(20), [&loop, &late] {
    late = true;
    loop.stop();
  });
  ASSERT_TRUE(loop.run());
  loop.cancel(deadline);
  ASSERT_FALSE(late) << "what the test waits for does not come";
}

// Everything that is ready now: a post is behind what the loop has seen before it.
inline void settle(EventLoop& loop, int turns = 50) {
  std::function<void()> next = [&] {
    if (--turns > 0)
      loop.post(next);
    else
      loop.stop();
  };
  loop.post(next);
  run_loop(loop);
}

}  // namespace diatom
