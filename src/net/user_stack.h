// A VM's user-mode network: what is at the other end of its NIC when the VMM brings no network of its own. libslirp
// does the work: what the guest sends leaves the host from sockets of this process, so nothing needs privileges. The
// same library is inside QEMU, so a container's network is the same with every engine.
#pragma once

#include <poll.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"
#include "diatom/spec.h"
#include "net/egress_filter.h"
#include "net/frame_stream.h"

struct Slirp;  // <slirp/libslirp.h>

namespace diatom::net {

// IPv4 addresses as text.
struct UserStackConfig {
  std::string network = "10.0.2.0";
  uint8_t prefix = 24;
  std::string gateway = "10.0.2.2";         // answers ARP, ICMP echo and DHCP
  std::string resolver = "10.0.2.3";        // DNS goes on to the host's own resolver, on its loopback, too
  std::string guest_address = "10.0.2.15";  // what DHCP gives, and published ports lead to
  std::vector<PortMapping> published = {};  // of one address and port each (choose_host_ports)
  uint16_t mtu = 1500;                      // of the guest's NIC: no larger IP packet is sent to it
  bool isolated = false;                    // the guest reaches nobody but who comes by a published port
};

// One at a time in a process: libslirp has state of its own, such as the clock.
class UserStack {
 public:
  // Binds the published ports before it returns. `nic` is a stream socket (FrameStream). Errors: those of
  // choose_host_ports for a port; invalid_argument names what is no address.
  static Result<std::unique_ptr<UserStack>> open(const UserStackConfig& config, UniqueFd nic);

  UserStack(const UserStack&) = delete;
  UserStack& operator=(const UserStack&) = delete;
  UserStack(UserStack&&) = delete;
  UserStack& operator=(UserStack&&) = delete;
  ~UserStack();

  // Serves the guest until its NIC closes or stop() is called. Blocks SIGPIPE for its thread, and leaves that so.
  // Errors: guest, when the NIC sends what is no frame; internal.
  Result<> run();
  void stop();  // from any thread, also before run()

 private:
  struct Callbacks;  // what libslirp calls
  struct CloseSlirp {
    void operator()(Slirp* slirp) const;
  };

  UserStack(const GuestNetwork& network, const std::vector<uint16_t>& published_udp, UniqueFd nic);
  Result<> publish(const PortMapping& mapping);
  void fill_polled(uint32_t* timeout_ms);
  Result<bool> receive();

  GuestNetwork network_;
  EgressFilter filter_;
  FrameStream nic_;
  UniqueFd stop_read_;
  UniqueFd stop_write_;
  std::vector<pollfd> polled_;
  std::unique_ptr<Slirp, CloseSlirp> slirp_;
};

}  // namespace diatom::net
