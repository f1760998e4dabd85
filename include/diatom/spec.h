// What a container is asked to be. Plain values; every field's default means "as the image says" or "as contract.md
// says".
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace diatom {

struct TmpfsMount {
  std::string path;     // absolute, in the container
  std::string options;  // as docker: "size=64m,mode=1777"; default rw,noexec,nosuid,nodev
};

// What the monitor does when the program has ended (docker's --restart).
struct RestartPolicy {
  enum class Kind { no, on_failure, always, unless_stopped };
  Kind kind = Kind::no;
  unsigned max_retries = 0;  // of on_failure; 0 = no limit

  friend bool operator==(const RestartPolicy&, const RestartPolicy&) = default;
};

// A command that is run in the container again and again (docker's HEALTHCHECK). Its exit code 0 means healthy.
struct HealthCheck {
  std::vector<std::string> command;  // argv; empty: no check, not even the image's
  std::chrono::nanoseconds interval = std::chrono::seconds(30);
  std::chrono::nanoseconds timeout = std::chrono::seconds(30);  // of one run
  std::chrono::nanoseconds start_period{0};                     // failures within do not count
  unsigned retries = 3;                                         // failures in a row that make it unhealthy
};

// setrlimit(2), by docker's names: "nofile", "nproc", …
struct Ulimit {
  static constexpr uint64_t unlimited = UINT64_MAX;
  std::string name;
  uint64_t soft = 0;
  uint64_t hard = 0;
};

// Of the files that keep what the program printed.
struct LogLimits {
  uint64_t max_bytes = 100ULL << 20;  // of each
  unsigned max_files = 5;
};

// A port of the container that can be reached through one of the host's.
struct PortMapping {
  std::string host_address = {};  // an IP address; empty: 127.0.0.1
  uint16_t host_port = 0;         // 0: one that is free
  uint16_t container_port = 0;
  std::string protocol = "tcp";  // "tcp", "udp"
  uint16_t last_host_port = 0;   // not 0: the first free one from host_port to this
  bool operator==(const PortMapping&) const = default;
};

inline constexpr uint64_t default_gpu_window_bytes = 4ULL << 30;  // of the guest's addresses: no memory is taken

struct ContainerSpec {
  std::string image;     // a name, a digest, or an id (or its unique prefix)
  std::string name;      // unique; made up when empty
  std::string hostname;  // the first 12 digits of the id when empty

  std::optional<std::vector<std::string>> entrypoint;  // replaces the image's, and drops its Cmd; {} = none
  std::vector<std::string> args;                       // replaces the image's Cmd
  std::vector<std::string> env;                        // "K=V", over the image's; "K" takes the image's out
  std::string working_dir;
  std::string user;  // "name", "uid", "name:group", "uid:gid"

  bool tty = false;
  bool open_stdin = false;
  bool stdin_once = false;  // close the program's stdin when the first who is attached to it has gone
  bool read_only = false;
  std::vector<TmpfsMount> tmpfs;
  std::map<std::string, std::string> labels;

  // "none"; a network of its own behind the host's address when empty or "default"; "tsi": its sockets are the host's
  // own (libkrun only; it reaches the host's loopback, too).
  std::string network;
  std::vector<PortMapping> ports;
  bool publish_all = false;              // every port that the image or `expose` names, on a free one of the host's
  std::vector<std::string> expose;       // "80", "80/udp", "8000-8010/tcp"
  std::vector<std::string> dns;          // addresses of name servers, instead of the host's
  std::vector<std::string> dns_search;   // instead of the host's; {"."} = none
  std::vector<std::string> dns_options;  // of resolv.conf(5), instead of the host's
  std::vector<std::string> extra_hosts;  // "name:address", for /etc/hosts

  double cpus = 2;                       // rounded up, clamped to what a VM can have
  uint64_t memory_bytes = 512ULL << 20;  // at least 128 MiB
  uint64_t disk_bytes = 64ULL << 30;     // of the writable layer; sparse
  std::string engine;                    // "krun", "qemu"; the best usable one when empty
  bool no_template = false;              // its VM boots for itself, though one that has booted could be cloned
  uint64_t gpu_window_bytes = 0;         // of a GPU that it shares with the host (krun only, one on a host); 0 = none
  bool auto_remove = false;              // remove the container when it ends

  std::string stop_signal;                           // "SIGTERM", "TERM" or a number; the image's when empty
  std::optional<std::chrono::seconds> stop_timeout;  // until SIGKILL; 10 s when not given
  RestartPolicy restart;                             // not together with auto_remove
  std::optional<HealthCheck> health;                 // instead of the image's
  LogLimits log;
  bool init = false;        // a first process of ours, which passes signals on and reaps
  bool privileged = false;  // all capabilities, nothing hidden
  bool no_new_privileges = false;
  std::vector<std::string> cap_add, cap_drop;  // "NET_ADMIN", "CAP_NET_ADMIN", "ALL"
  std::vector<std::string> group_add;          // further groups of the program, by name or number
  std::vector<Ulimit> ulimits;
  std::map<std::string, std::string> sysctls;  // of the container's namespaces
  uint64_t shm_bytes = 64ULL << 20;            // of /dev/shm
  uint64_t pids_limit = 0;                     // 0 = none
};

}  // namespace diatom
