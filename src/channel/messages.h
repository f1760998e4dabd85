// What host and agent say to each other, as values and as JSON. Strings are bytes: argv and environment of a program
// need not be UTF-8. Decoding is total: whatever comes, it is a value or an error that names the field.
// (docs/format/channel.md)
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace diatom::channel {

struct TmpfsConfig {
  std::string path;     // absolute
  std::string options;  // of tmpfs(5), and nosuid, noexec, …
};

inline constexpr uint64_t unlimited = UINT64_MAX;

// setrlimit(2), by the names of `docker run --ulimit`: "nofile", "core", …
struct Ulimit {
  std::string name;
  uint64_t soft = unlimited;
  uint64_t hard = unlimited;
};

struct Sysctl {
  std::string name;  // "net.core.somaxconn"
  std::string value;
};

// One interface with one IPv4 address. Addresses are dotted.
struct NetworkConfig {
  std::string interface = "eth0";
  std::string mac;  // "02:…"; empty: as the device has it
  std::string address;
  uint8_t prefix = 24;
  std::string gateway;  // empty: no way out
  // The other addresses of its network lead to the host's own loopback: the container may reach only this one there,
  // to ask names, and answer who came from outside. Empty: nothing is closed.
  std::string resolver;
  std::vector<uint16_t> published_udp;  // ports of the container that answer
};

// What the agent makes before it starts the first process.
struct ContainerConfig {
  std::string hostname;
  std::vector<std::string> resolv_conf;  // lines
  std::vector<std::string> extra_hosts;  // lines, below those for localhost and the container itself
  bool read_only = false;
  bool has_upper = true;  // a disk with the serial "upper"; a tmpfs takes its place otherwise
  std::vector<TmpfsConfig> tmpfs;
  uint64_t shm_bytes = 64 << 20;
  uint64_t cpu_quota_us = 0;  // of each 100 ms; 0 = all
  uint64_t memory_max = 0;    // of the container's cgroup; 0 = what the guest can spare, which is never exceeded
  uint64_t pids_max = 0;      // 0 = no limit
  bool init = false;          // a small init of ours is pid 1: it passes signals on and reaps
  std::vector<Ulimit> ulimits;
  std::vector<Sysctl> sysctls;        // net.*, fs.mqueue.* and System V's IPC: what docker lets a container set
  std::vector<std::string> cap_add;   // docker's names: "NET_ADMIN", "CAP_NET_ADMIN", "ALL"
  std::vector<std::string> cap_drop;  // "ALL": none but those of cap_add
  bool privileged = false;            // every capability and device, nothing masked or read-only
  bool no_new_privileges = false;
  std::optional<NetworkConfig> network;  // none: loopback only
  // What a VM that was restored has of its template, and must not keep. What its CLOCK_MONOTONIC lacks of the host's
  // time, ns since 1970 UTC: so it does not matter when this arrives (0: the guest knows the time by itself). And
  // random bytes for the kernel to begin its own anew from (empty: none).
  int64_t clock_offset_ns = 0;
  std::string entropy;
};

// What of that, and of the first process, depends on no container: for a VM that others are restored from.
struct Preparation {
  ContainerConfig container;
  std::string program;           // that the image names, as argv[0]
  std::vector<std::string> env;  // to find it by
};

// What a VM must not share with the one that it was copied from while its container ran; or, with the clock alone, what
// it has missed while it stood still.
struct Identity {
  int64_t clock_offset_ns = 0;  // as ContainerConfig's, and so is the entropy
  std::string entropy;          // with any, the boot id is another, too
  std::string hostname;         // empty: it stays, and so does the next
  std::string mac;              // of its interface, where it has one
};

struct ProcessConfig {
  // Not a program of the container's, but this of the agent's own tools (agent/tools.h), with argv as its words. It may
  // run while the container is frozen, or has no first process. Of the rest only the streams count, without a terminal.
  std::string tool;
  std::vector<std::string> argv;
  std::vector<std::string> env;  // "K=V"
  std::string cwd = "/";
  std::string user;                 // "", "name", "uid", "name:group", "uid:gid"
  std::vector<std::string> groups;  // besides the user's own: names or numbers
  bool tty = false;
  uint16_t rows = 24;
  uint16_t cols = 80;
  bool open_stdin = false;
  bool detached = false;    // its outputs go nowhere: nobody will ask for them
  bool privileged = false;  // every capability, whatever the container's are
};

struct ExitReport {
  int code = 0;  // 128 + signal when a signal ended it
  int signal = 0;
  bool oom_killed = false;  // of the first process: the kernel killed something of the container for memory; else it
};

// A start that failed says with which code docker's `run` would exit: 127 no such program, 126 not executable, 125.
struct StartFailure {
  int exit_code = 125;
  std::string message;
};

// What is absent stays as it is. 0 = no limit (of memory: what the guest can spare).
struct Limits {
  std::optional<uint64_t> cpu_quota_us;  // of each 100 ms
  std::optional<uint64_t> cpu_weight;    // cgroup v2's: 1 to 10000
  std::optional<uint64_t> memory_max;
  std::optional<uint64_t> pids_max;
  bool operator==(const Limits&) const = default;
};

std::string encode(const ContainerConfig& config);
std::string encode(const Preparation& preparation);
std::string encode(const Identity& identity);
std::string encode(const ProcessConfig& config);
std::string encode(const ExitReport& report);
std::string encode(const StartFailure& failure);
std::string encode(const Limits& limits);

Result<ContainerConfig> decode_container_config(std::string_view text);
Result<Preparation> decode_preparation(std::string_view text);
Result<Identity> decode_identity(std::string_view text);
Result<ProcessConfig> decode_process_config(std::string_view text);
Result<ExitReport> decode_exit_report(std::string_view text);
Result<StartFailure> decode_start_failure(std::string_view text);
Result<Limits> decode_limits(std::string_view text);

}  // namespace diatom::channel
