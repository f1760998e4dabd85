#pragma once

#include <functional>
#include <system_error>
#include <thread>
#include <vector>

namespace diatom {

// Threads beside the one that makes this, which takes a share of the work itself. The destructor waits for all of them.
class WorkerThreads {
 public:
  // Up to `count` - 1 of them: where the system allows no more threads, the work is done by fewer.
  WorkerThreads(size_t count, const std::function<void()>& work) {
    try {
      for (size_t i = 1; i < count; ++i) threads_.emplace_back(work);
    } catch (const std::system_error&) {
    }
  }

 private:
  std::vector<std::jthread> threads_;
};

}  // namespace diatom
