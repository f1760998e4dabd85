#include "net/host_ports.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/platform/platform.h"
#include "net/port_mapping.h"

namespace diatom::net {

namespace {

constexpr const char* default_address = "127.0.0.1";

// Binds as libslirp will: for TCP with SO_REUSEADDR, so that connections of a past container that linger do not count;
// for UDP without, because there it would share the port. 0 or errno.
int bind_port(int fd, const PortMapping& mapping, uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  ::inet_pton(AF_INET, mapping.host_address.c_str(), &address.sin_addr);
  bool tcp = mapping.protocol == "tcp";
  int on = 1;
  if (tcp) ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) return errno;
  if (tcp && ::listen(fd, 1) < 0) return errno;
  return 0;
}

uint16_t bound_port(int fd) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

std::unexpected<Error> port_is_taken(const PortMapping& mapping) {
  std::string last = mapping.last_host_port > mapping.host_port ? " to " + std::to_string(mapping.last_host_port) : "";
  return fail(Errc::already_exists, "publish port " + print_host_port(mapping) + last + ": it is taken on this host",
              "choose another one, or leave it out: -p CONTAINER_PORT takes a free one");
}

// Port 0 is the kernel's choice of its ephemeral range.
Result<UniqueFd> take_port(PortMapping& mapping) {
  uint16_t last = std::max(mapping.host_port, mapping.last_host_port);
  for (uint16_t port = mapping.host_port;; ++port) {
    UniqueFd fd = TRY(platform::make_socket(AF_INET, mapping.protocol == "tcp" ? SOCK_STREAM : SOCK_DGRAM));
    int error = bind_port(fd.get(), mapping, port);
    if (error != 0 && (error != EADDRINUSE || port == last)) return publish_failed(mapping, error);
    if (error != 0) continue;
    mapping.host_port = bound_port(fd.get());
    mapping.last_host_port = 0;
    return fd;
  }
}

}  // namespace

std::unexpected<Error> publish_failed(const PortMapping& mapping, int error_number) {
  std::string what = "publish port " + print_host_port(mapping);
  if (error_number == EADDRINUSE) return port_is_taken(mapping);
  if (error_number == EADDRNOTAVAIL)
    return fail(Errc::invalid_argument, what + ": this host has no such address", "0.0.0.0 stands for all it has");
  if (error_number == EACCES)
    return fail(Errc::invalid_argument, what + ": permission denied",
                "ports below net.ipv4.ip_unprivileged_port_start (1024) are root's: use a higher one");
  return fail_errno(what, error_number);
}

Result<std::vector<PortMapping>> choose_host_ports(const std::vector<PortMapping>& wanted) {
  std::vector<PortMapping> chosen;
  std::vector<UniqueFd> held;  // until all are chosen: none is taken twice
  std::vector<PortMapping> seen;
  // Those that somebody named come first: no random choice must take one of them.
  auto named_first = wanted;
  std::ranges::stable_partition(named_first, [](const PortMapping& mapping) { return mapping.host_port != 0; });
  for (PortMapping mapping : named_first) {
    bool repeated = mapping.host_port != 0 && std::ranges::find(seen, mapping) != seen.end();
    seen.push_back(mapping);
    if (repeated) continue;
    if (mapping.host_address.empty()) mapping.host_address = default_address;
    if (mapping.host_address.find(':') != std::string::npos)
      return fail(Errc::unsupported,
                  "publish port " + print_host_port(mapping) + ": the user-mode network publishes on IPv4 only",
                  "use an IPv4 address of this host, or 0.0.0.0 for all");
    held.push_back(TRY(take_port(mapping)));
    chosen.push_back(mapping);
  }
  return chosen;
}

}  // namespace diatom::net
