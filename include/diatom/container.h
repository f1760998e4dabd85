// What can be known of a container. Plain values. Times are nanoseconds since 1970 UTC, 0 = not yet.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "diatom/spec.h"

namespace diatom {

struct HealthProbe {  // one run of the health check
  int64_t started_ns = 0;
  int64_t ended_ns = 0;
  int exit_code = 0;
  std::string output;  // the first 4 KiB
};
struct HealthState {
  std::string status;  // "starting", "healthy", "unhealthy"; empty: no check
  unsigned failing_streak = 0;
  std::vector<HealthProbe> log;  // the last five, oldest first
};

// A stage that a container's last run has reached, of "begin", "template" (one had to be made first), "vmm", "clock"
// (of a VM that was restored), "agent", "started", "exited", "ended".
struct StageTime {
  std::string name;
  int64_t time_ns = 0;
};

struct ContainerInfo {
  std::string id;  // 64 hex digits
  std::string name;
  // contract.md: created starting running paused stopping exited failed; also "restarting", between two runs
  std::string state;
  std::string image_id;
  std::string image;  // as it was asked for
  ContainerSpec spec;
  std::vector<std::string> command;  // that is, or would be, executed
  int64_t created_ns = 0;
  int64_t started_ns = 0;
  int64_t finished_ns = 0;
  int exit_code = 0;
  int signal = 0;
  bool oom_killed = false;
  std::string error;
  unsigned restart_count = 0;
  HealthState health;
  int64_t pid = 0;                 // of the VMM on this host; 0 = none
  std::string address;             // on its network; empty: none
  std::vector<PortMapping> ports;  // as they are bound
  std::string engine;              // "qemu"
  std::string accelerator;         // "kvm", "hvf", "tcg" (emulation)
  std::string kernel;
  // "warm": its VM is a clone of one that has booted; "cold": it has booted itself; "copied": it went on from where
  // another was (a snapshot, a fork).
  std::string start_kind;
  std::vector<StageTime> stages;
  std::string spec_json;  // everything that was decided, for inspect
  std::string log_path;
};

// Measured in the guest's cgroup, and beside it what the VM costs this host.
struct BlockDeviceStats {
  std::string device;  // "254:0"
  uint64_t read_bytes = 0, write_bytes = 0, read_operations = 0, write_operations = 0;
};
struct InterfaceStats {
  std::string name;
  uint64_t rx_bytes = 0, rx_packets = 0, rx_errors = 0, rx_dropped = 0;
  uint64_t tx_bytes = 0, tx_packets = 0, tx_errors = 0, tx_dropped = 0;
};
struct ContainerStats {
  std::string id;
  std::string name;
  int64_t time_ns = 0;  // of this sample, by the host's clock
  uint64_t cpu_us = 0, cpu_user_us = 0, cpu_system_us = 0;
  uint64_t cpu_periods = 0, cpu_throttled_periods = 0, cpu_throttled_us = 0;
  unsigned cpus = 0;  // of the guest
  uint64_t memory_bytes = 0, memory_peak_bytes = 0, memory_limit_bytes = 0;
  uint64_t memory_cache_bytes = 0, memory_inactive_file_bytes = 0, memory_anon_bytes = 0;
  uint64_t oom_kills = 0;
  std::vector<BlockDeviceStats> block;
  uint64_t pids = 0, pids_limit = 0;
  std::vector<InterfaceStats> networks;
  uint64_t host_rss_bytes = 0, host_pss_bytes = 0;  // of the VMM and the monitor
  uint64_t host_cpu_us = 0;
};

// A process of the container, for `top`. Numbers are those inside the container.
struct ProcessInfo {
  int64_t pid = 0, ppid = 0;
  uint32_t uid = 0;
  std::string user;
  char state = '?';
  std::string tty;  // "pts/0"; empty: none
  int64_t started_ns = 0;
  uint64_t cpu_ms = 0;
  uint64_t cpu_permille = 0;  // of one CPU, since it started
  uint64_t vsz_bytes = 0, rss_bytes = 0;
  int64_t nice = 0;
  uint64_t threads = 0;
  std::string command;                 // the short name
  std::vector<std::string> arguments;  // bytes
};

struct PruneContainers {
  std::optional<int64_t> until_ns;                                             // only what was created before
  std::vector<std::pair<std::string, std::optional<std::string>>> labels;      // all must be there
  std::vector<std::pair<std::string, std::optional<std::string>>> not_labels;  // none may be there
};

// What takes room below $DIATOM_HOME.
struct DiskUsage {
  struct Kind {
    uint64_t count = 0, active = 0;
    uint64_t bytes = 0, reclaimable_bytes = 0;
  };
  Kind images, containers, templates;
  Kind snapshots;  // which no prune removes
  struct Container {
    std::string id;
    uint64_t bytes = 0;
  };
  std::vector<Container> each_container;
};

}  // namespace diatom
