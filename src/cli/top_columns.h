// `top`: the words of ps(1) that it knows, and what they show. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "diatom/container.h"

namespace diatom::cli {

struct TopContext {
  int64_t now_ns = 0;
  uint64_t memory_bytes = 0;  // that %MEM is a part of
};
struct TopColumn {
  std::string header;
  std::string (*show)(const ProcessInfo& process, const TopContext& context);
};

// What stands behind the container's name: "-ef" (also when there is nothing), "aux", "-o pid,comm", "-eo …". Errors:
// invalid_argument names what is supported.
Result<std::vector<TopColumn>> parse_ps_options(const std::vector<std::string>& words);
std::string top_table(const std::vector<TopColumn>& columns, const std::vector<ProcessInfo>& processes,
                      const TopContext& context);

}  // namespace diatom::cli
