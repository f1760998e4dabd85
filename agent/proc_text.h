// What the kernel's text files of /proc and of cgroups say. Pure; what is not there is 0.
#pragma once

#include <optional>
#include <string_view>

#include "channel/reports.h"

namespace diatom::agent {

// The number behind a name at the beginning of a line: "usage_usec 12", "MemTotal:   12 kB".
std::optional<uint64_t> number_of(std::string_view text, std::string_view name);
// The only number of a file; none for "max".
std::optional<uint64_t> single_number(std::string_view text);

channel::CpuStats parse_cpu_stat(std::string_view text);
channel::IoStats parse_io_stat(std::string_view text);
std::vector<channel::InterfaceStats> parse_net_dev(std::string_view text);  // all but lo

// One process, of /proc/PID/{stat,status}.
struct ProcessTexts {
  std::string_view stat;
  std::string_view status;
};
struct KernelClock {
  uint64_t ticks_per_second = 100;
  uint64_t uptime_us = 0;
  uint64_t time_us = 0;  // since 1970
};
struct ParsedProcess {
  channel::ProcessEntry entry;  // without its user, its parent and its command line
  uint64_t guest_pid = 0;       // as the agent sees them
  uint64_t guest_parent = 0;
};
// Nothing for one that is not in a pid namespace below the agent's own, or when it has gone meanwhile.
std::optional<ParsedProcess> parse_process(const ProcessTexts& texts, const KernelClock& clock);

}  // namespace diatom::agent
