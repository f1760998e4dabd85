// What a container is asked to be. Plain values; every field's default means "as the image says" or "as contract.md
// says".
#pragma once

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

// A port of the container that can be reached through one of the host's.
struct PortMapping {
  std::string host_address = {};  // an IP address; empty: 127.0.0.1
  uint16_t host_port = 0;         // 0: one that is free
  uint16_t container_port = 0;
  std::string protocol = "tcp";  // "tcp", "udp"
  uint16_t last_host_port = 0;   // not 0: the first free one from host_port to this
  bool operator==(const PortMapping&) const = default;
};

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
  bool read_only = false;
  std::vector<TmpfsMount> tmpfs;
  std::map<std::string, std::string> labels;

  std::string network;  // "none"; a network of its own behind the host's address when empty or "default"
  std::vector<PortMapping> ports;
  bool publish_all = false;              // every port that the image or `expose` names, on a free one of the host's
  std::vector<std::string> expose;       // "80", "80/udp", "8000-8010/tcp"
  std::vector<std::string> dns;          // addresses of name servers, instead of the host's
  std::vector<std::string> dns_search;   // instead of the host's; {"."} = none
  std::vector<std::string> dns_options;  // of resolv.conf(5), instead of the host's
  std::vector<std::string> extra_hosts;  // "name:address", for /etc/hosts

  double cpus = 2;                       // rounded up, clamped to what the host has
  uint64_t memory_bytes = 512ULL << 20;  // at least 128 MiB
  uint64_t disk_bytes = 64ULL << 30;     // of the writable layer; sparse
  std::string engine;                    // "qemu"; the best usable one when empty
  bool auto_remove = false;              // remove the container when it ends
};

}  // namespace diatom
