#pragma once

#include "diatom/images.h"

namespace diatom::cli {

// While it lives, the first Ctrl-C (SIGTERM, SIGHUP) ends what `images` is doing in an orderly way, a second one ends
// the process. One at a time.
class CancelOnSignal {
 public:
  explicit CancelOnSignal(Images& images);
  CancelOnSignal(const CancelOnSignal&) = delete;
  CancelOnSignal& operator=(const CancelOnSignal&) = delete;
  CancelOnSignal(CancelOnSignal&&) = delete;
  CancelOnSignal& operator=(CancelOnSignal&&) = delete;
  ~CancelOnSignal();
};

}  // namespace diatom::cli
