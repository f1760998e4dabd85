#pragma once

#include <thread>

namespace diatom::image {

// Loads what a pull will need (libcurl brings some fifty libraries) in a thread of its own, while the store is opened.
// Who needs it sooner waits for it; what cannot be loaded is told when it is needed.
class Preload {
 public:
  Preload();
  Preload(const Preload&) = delete;
  Preload& operator=(const Preload&) = delete;
  Preload(Preload&&) = delete;
  Preload& operator=(Preload&&) = delete;
  ~Preload();

 private:
  std::thread thread_;  // none where the system allows no more of them
};

}  // namespace diatom::image
