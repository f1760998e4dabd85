#include "cli/timing.h"

#include <fmt/core.h>

#include <algorithm>

namespace diatom::cli {

void Timing::print(FILE* out) const {
  if (stages_.empty()) return;
  constexpr int64_t width = 50;
  int64_t total = std::max<int64_t>(stages_.back().at.count(), 1);
  int64_t before = 0;
  for (const Stage& stage : stages_) {
    int64_t from = before * width / total;
    int64_t length = std::max<int64_t>(stage.at.count() * width / total - from, 0);
    fmt::print(out, "{:>9.1f} ms  {:<8} {:{}}{:#<{}}\n", static_cast<double>(stage.at.count() - before) / 1000,
               stage.name, "", from, "", length);
    before = stage.at.count();
  }
  fmt::print(out, "{:>9.1f} ms  total\n", static_cast<double>(total) / 1000);
}

}  // namespace diatom::cli
