// What the agent measures: a container's use of its guest, and its processes. Decoding is total, as that of messages.h:
// numbers from a guest are whatever it says, but they are numbers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace diatom::channel {

// Counters go up for the life of the container's VM; a kernel that does not know one leaves it at 0.
struct CpuStats {
  uint64_t usage_us = 0;
  uint64_t user_us = 0;
  uint64_t system_us = 0;
  uint64_t nr_periods = 0;
  uint64_t nr_throttled = 0;
  uint64_t throttled_us = 0;
};

struct MemoryStats {
  uint64_t current = 0;
  uint64_t peak = 0;   // 0 = the kernel does not keep it
  uint64_t limit = 0;  // the guest's RAM where there is none
  uint64_t cache = 0;
  uint64_t anon = 0;
  uint64_t inactive_file = 0;  // docker's "usage" is current without it
  uint64_t swap = 0;
  uint64_t oom_kills = 0;
};

struct DeviceStats {
  uint32_t major = 0;
  uint32_t minor = 0;
  uint64_t read_bytes = 0;
  uint64_t written_bytes = 0;
  uint64_t reads = 0;
  uint64_t writes = 0;
};

struct IoStats {
  uint64_t read_bytes = 0;  // of all devices
  uint64_t written_bytes = 0;
  uint64_t reads = 0;
  uint64_t writes = 0;
  std::vector<DeviceStats> devices;
};

struct PidsStats {
  uint64_t current = 0;
  uint64_t limit = 0;  // 0 = none
};

struct InterfaceStats {
  std::string name;
  uint64_t rx_bytes = 0;
  uint64_t rx_packets = 0;
  uint64_t rx_errors = 0;
  uint64_t rx_dropped = 0;
  uint64_t tx_bytes = 0;
  uint64_t tx_packets = 0;
  uint64_t tx_errors = 0;
  uint64_t tx_dropped = 0;
};

struct Stats {
  CpuStats cpu;
  MemoryStats memory;
  IoStats io;
  PidsStats pids;
  std::vector<InterfaceStats> interfaces;  // all but lo
  uint32_t online_cpus = 0;
  uint64_t time_us = 0;  // the guest's clock, since 1970
  uint64_t uptime_us = 0;
  uint64_t agent_rss_bytes = 0;
  uint32_t agent_processes = 0;  // that the agent keeps account of: the first, and execs not yet reported
};

struct ProcessEntry {
  uint64_t pid = 0;  // as the container sees it
  uint64_t ppid = 0;
  uint32_t uid = 0;   // effective
  std::string user;   // of the container's passwd(5); empty when it has none
  std::string state;  // one letter, as ps prints it
  std::string tty;    // "pts/0"; empty without one
  uint64_t start_time = 0;
  uint64_t cpu_ms = 0;
  uint64_t cpu_permille = 0;  // of one CPU, since it started
  uint64_t vsz_kib = 0;
  uint64_t rss_kib = 0;
  int nice = 0;
  uint64_t threads = 0;
  std::string comm;
  std::string cmdline;  // arguments end with NUL bytes; empty for a kernel's thread or a zombie
};

inline constexpr size_t most_listed_processes = 1024;

struct ProcessList {
  std::vector<ProcessEntry> processes;  // by pid; at most most_listed_processes
  uint64_t total = 0;
};

// The guest's CLOCK_MONOTONIC, which nobody sets: what the host's time is measured against.
struct ClockReading {
  int64_t monotonic_ns = 0;
};

std::string encode(const Stats& stats);
std::string encode(const ProcessList& list);
std::string encode(const ClockReading& reading);

Result<Stats> decode_stats(std::string_view text);
Result<ProcessList> decode_process_list(std::string_view text);
Result<ClockReading> decode_clock_reading(std::string_view text);

}  // namespace diatom::channel
