#pragma once

#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace diatom::cli {

// The stages of a run, as a table with a bar for each.
class Timing {
 public:
  struct Stage {
    std::string name;
    std::chrono::microseconds at;  // when it was reached, since the start
  };
  void add(std::string_view name, std::chrono::microseconds at) { stages_.push_back({std::string(name), at}); }
  void print(FILE* out) const;
  const std::vector<Stage>& stages() const { return stages_; }

 private:
  std::vector<Stage> stages_;
};

}  // namespace diatom::cli
