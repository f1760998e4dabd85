#include "network.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/ether.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <tuple>

#include "base/file.h"
#include "base/platform/platform.h"
#include "boot.h"
#include "bpf.h"
#include "packet_sockets.h"

namespace diatom::agent {

namespace {

using channel::NetworkConfig;
using Clock = std::chrono::steady_clock;
constexpr auto interface_deadline = std::chrono::seconds(5);

Result<in_addr> parse_address(const std::string& text) {
  in_addr address{};
  if (::inet_pton(AF_INET, text.c_str(), &address) == 1) return address;
  return fail(Errc::invalid_argument, "set network up: \"" + text + "\" is no IPv4 address");
}

in_addr netmask(uint8_t prefix) { return {htonl(prefix == 0 ? 0 : ~uint32_t{0} << (32 - prefix))}; }

// The interface is there when its driver has been loaded; a device may come later still.
Result<> await_interface(const std::string& name, int uevents) {
  auto deadline = Clock::now() + interface_deadline;
  while (::if_nametoindex(name.c_str()) == 0) {
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd event{uevents, POLLIN, 0};
    if (left <= 0 || ::poll(&event, 1, static_cast<int>(left)) == 0)
      return fail(Errc::timeout, "set network up: the VM has no interface " + name);
    char message[4096];
    while (::recv(uevents, message, sizeof message, 0) > 0) {
    }
  }
  return {};
}

class Interface {
 public:
  Interface(int fd, const std::string& name) : fd_(fd), name_(name) {}

  Result<> set(unsigned long request, in_addr address) const {
    ifreq wanted = named();
    sockaddr_in socket_address{};
    socket_address.sin_family = AF_INET;
    socket_address.sin_addr = address;
    std::memcpy(&wanted.ifr_addr, &socket_address, sizeof socket_address);
    if (::ioctl(fd_, request, &wanted) < 0) return fail_errno("set address of " + name_);
    return {};
  }

  // That of a VM that was restored is its template's.
  Result<> set_mac(const std::string& text) const {
    if (text.empty()) return {};
    const ether_addr* mac = ::ether_aton(text.c_str());
    if (mac == nullptr) return fail(Errc::invalid_argument, "set network up: \"" + text + "\" is no MAC address");
    ifreq wanted = named();
    if (::ioctl(fd_, SIOCGIFHWADDR, &wanted) < 0) return fail_errno("read MAC address of " + name_);
    if (std::memcmp(wanted.ifr_hwaddr.sa_data, mac, sizeof *mac) == 0) return {};
    std::memcpy(wanted.ifr_hwaddr.sa_data, mac, sizeof *mac);
    if (::ioctl(fd_, SIOCSIFHWADDR, &wanted) < 0) return fail_errno("set MAC address of " + name_);
    return {};
  }

  Result<> bring_up() const {
    ifreq wanted = named();
    if (::ioctl(fd_, SIOCGIFFLAGS, &wanted) < 0) return fail_errno("read flags of " + name_);
    wanted.ifr_flags = static_cast<short>(wanted.ifr_flags | IFF_UP);
    if (::ioctl(fd_, SIOCSIFFLAGS, &wanted) < 0) return fail_errno("bring " + name_ + " up");
    return {};
  }

 private:
  ifreq named() const {
    ifreq request{};
    name_.copy(request.ifr_name, IFNAMSIZ - 1);
    return request;
  }

  int fd_;
  const std::string& name_;
};

Result<> add_default_route(int fd, in_addr gateway) {
  rtentry route{};
  auto set = [](sockaddr& to, in_addr address) {
    sockaddr_in socket_address{};
    socket_address.sin_family = AF_INET;
    socket_address.sin_addr = address;
    std::memcpy(&to, &socket_address, sizeof to);
  };
  set(route.rt_dst, {});
  set(route.rt_genmask, {});
  set(route.rt_gateway, gateway);
  route.rt_flags = RTF_UP | RTF_GATEWAY;
  if (::ioctl(fd, SIOCADDRT, &route) < 0 && errno != EEXIST) return fail_errno("set default route");
  return {};
}

Result<> set_up(const NetworkConfig& config) {
  UniqueFd uevents = TRY(open_uevents());
  load_network_modules();
  TRY(await_interface(config.interface, uevents.get()));
  // As docker does where a network has none: nothing answers to its solicitations.
  if (auto setting = open_file("/proc/sys/net/ipv6/conf/" + config.interface + "/disable_ipv6", O_WRONLY))
      [[maybe_unused]]
    auto ignored = write_all(setting->get(), "1");
  UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno("set network up");
  Interface interface(fd.get(), config.interface);
  in_addr address = TRY(parse_address(config.address));
  TRY(interface.set_mac(config.mac));
  TRY(interface.set(SIOCSIFADDR, address));
  TRY(interface.set(SIOCSIFNETMASK, netmask(config.prefix)));
  TRY(interface.bring_up());
  if (config.gateway.empty()) return {};
  return add_default_route(fd.get(), TRY(parse_address(config.gateway)));
}

struct Prepared {
  NetworkConfig config;
  UniqueFd socket;
};

std::optional<Prepared>& prepared_network() {
  static std::optional<Prepared> network;
  return network;
}

bool is_prepared(const NetworkConfig& config) {
  const auto& prepared = prepared_network();
  auto prepared_part = [](const NetworkConfig& of) {
    return std::tie(of.interface, of.address, of.prefix, of.gateway);
  };
  return prepared && prepared_part(prepared->config) == prepared_part(config);
}

using Program = BpfProgram;
using Label = Program::Label;

constexpr int name_port = 53;
constexpr int loopback_index = 1;                  // of the interface
constexpr int ip_size = 20, ip_offset = -32;       // the header's copy, from the stack's register
constexpr int ports_size = 8, ports_offset = -48;  // what UDP has of a header, and TCP begins with
constexpr int tcp_flags_at = 13, tcp_size = 14;    // TCP's flags
constexpr int tcp_syn = 0x02, tcp_ack = 0x10;

struct Closed {
  int network;
  int mask;
  int resolver;
  int own;
};

int host_order(in_addr address) { return static_cast<int>(ntohl(address.s_addr)); }

Result<Closed> closed_addresses(const NetworkConfig& config) {
  int mask = host_order(netmask(config.prefix));
  int own = host_order(TRY(parse_address(config.address)));
  return Closed{own & mask, mask, host_order(TRY(parse_address(config.resolver))), own};
}

// bpf_skb_load_bytes(skb in r6, offset in r2 already, stack + to, size), or the packet is dropped.
void copy_header(Program& program, int to, int size) {
  program.move(Program::r1, Program::r6);
  program.move(Program::r3, Program::stack);
  program.add_pointer(Program::r3, to);
  program.set(Program::r4, size);
  program.call(BPF_FUNC_skb_load_bytes);
  program.jump_if(BPF_JNE, Program::r0, 0, Label::deny);
}

// A packet of the container's, on its way to an interface. It begins with the IP header.
Program egress_program(const NetworkConfig& config, const Closed& closed) {
  constexpr auto destination = Program::r7;
  constexpr auto protocol = Program::r8;
  constexpr auto value = Program::r0;
  Program program;
  program.move(Program::r6, Program::r1);
  program.load(BPF_W, value, Program::r6, offsetof(__sk_buff, ifindex));
  program.jump_if(BPF_JEQ, value, loopback_index, Label::allow);
  program.load(BPF_W, value, Program::r6, offsetof(__sk_buff, protocol));
  program.jump_if(BPF_JNE, value, htons(0x0800), Label::allow);  // IPv6: the network has none
  program.set(Program::r2, 0);
  copy_header(program, ip_offset, ip_size);
  // No fragments, wherever they go: one could hide what the next is about, and libslirp 4.7 writes to an address out of
  // one that has no beginning (docs/threat-model.md). The kernel cuts up what it sends after this.
  program.load(BPF_H, value, Program::stack, ip_offset + 6);
  program.from_network(value, 16);
  program.jump_if(BPF_JSET, value, 0x3fff, Label::deny);
  program.load(BPF_W, destination, Program::stack, ip_offset + 16);
  program.from_network(destination, 32);
  // Sent out by force (SO_BINDTODEVICE), these would mean the host itself.
  program.jump_if(BPF_JEQ, destination, -1, Label::deny);
  program.move(value, destination);
  program.alu(BPF_RSH, value, 24);
  program.jump_if(BPF_JEQ, value, 127, Label::deny);
  program.jump_if(BPF_JEQ, value, 0, Label::deny);
  program.move(value, destination);
  program.alu(BPF_AND, value, closed.mask);
  program.jump_if(BPF_JNE, value, closed.network, Label::allow);

  program.load(BPF_B, protocol, Program::stack, ip_offset + 9);
  program.jump_if(BPF_JEQ, protocol, IPPROTO_ICMP, Label::allow);
  program.load(BPF_B, Program::r2, Program::stack, ip_offset);
  program.alu(BPF_AND, Program::r2, 0xf);
  program.alu(BPF_LSH, Program::r2, 2);
  program.jump_if(BPF_JEQ, protocol, IPPROTO_TCP, Label::tcp);
  program.jump_if(BPF_JNE, protocol, IPPROTO_UDP, Label::deny);
  copy_header(program, ports_offset, ports_size);
  for (uint16_t port : config.published_udp) {
    program.load(BPF_H, value, Program::stack, ports_offset);
    program.from_network(value, 16);
    program.jump_if(BPF_JEQ, value, port, Label::allow);
  }
  program.jump(Label::ports);

  program.place(Label::tcp);
  copy_header(program, ports_offset, tcp_size);
  program.load(BPF_B, value, Program::stack, ports_offset + tcp_flags_at);
  program.alu(BPF_AND, value, tcp_syn | tcp_ack);
  program.jump_if(BPF_JNE, value, tcp_syn, Label::allow);  // of a connection that came from outside

  program.place(Label::ports);
  program.jump_if(BPF_JNE, destination, closed.resolver, Label::deny);
  program.load(BPF_H, value, Program::stack, ports_offset + 2);
  program.from_network(value, 16);
  program.jump_if(BPF_JEQ, value, name_port, Label::allow);
  program.place(Label::deny);
  program.leave(0);
  program.place(Label::allow);
  program.leave(1);
  return program;
}

// The same for connect(2), which would wait for an answer to a packet that was dropped.
Program connect_program(const Closed& closed) {
  constexpr auto value = Program::r0;
  constexpr auto destination = Program::r7;
  Program program;
  program.load(BPF_W, value, Program::r1, offsetof(bpf_sock_addr, type));
  program.jump_if(BPF_JNE, value, SOCK_STREAM, Label::allow);
  program.load(BPF_W, destination, Program::r1, offsetof(bpf_sock_addr, user_ip4));
  program.from_network(destination, 32);
  program.jump_if(BPF_JEQ, destination, closed.own, Label::allow);
  program.move(value, destination);
  program.alu(BPF_AND, value, closed.mask);
  program.jump_if(BPF_JNE, value, closed.network, Label::allow);
  program.jump_if(BPF_JNE, destination, closed.resolver, Label::deny);
  program.load(BPF_W, value, Program::r1, offsetof(bpf_sock_addr, user_port));
  program.jump_if(BPF_JEQ, value, htons(name_port), Label::allow);
  program.place(Label::deny);
  program.leave(0);
  program.place(Label::allow);
  program.leave(1);
  return program;
}

}  // namespace

void prepare_network(const NetworkConfig& config) {
  auto ready = set_up(config);
  if (!ready) return log(ready.error().message);  // it is tried again where there is a container
  prepared_network() = {config, UniqueFd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0))};
}

Result<> change_mac(const NetworkConfig& config) {
  static UniqueFd own;
  UniqueFd& socket = prepared_network() ? prepared_network()->socket : own;
  if (!socket) socket.reset(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return fail_errno("set MAC address");
  return Interface(socket.get(), config.interface).set_mac(config.mac);
}

NetworkSetup::NetworkSetup(const std::optional<NetworkConfig>& config) {
  if (!config) return;
  if (is_prepared(*config)) {
    prepared_ = change_mac(*config);
    return;
  }
  auto pipe = platform::make_pipe();
  pid_ = pipe ? ::fork() : -1;
  if (pid_ != 0) {
    if (pipe) failure_ = std::move(pipe->read_end);
    return;
  }
  if (auto ready = set_up(*config); !ready) [[maybe_unused]]
    auto ignored = write_all(pipe->write_end.get(), ready.error().message);
  ::_exit(0);
}

NetworkSetup::~NetworkSetup() { [[maybe_unused]] auto ignored = finish(); }

Result<> NetworkSetup::finish() {
  if (!failure_) return prepared_;
  std::string words = "set network up: no process can be made";
  if (pid_ > 0) words = read_to_end(failure_.get(), "what a process says").value_or("");
  while (pid_ > 0 && ::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  failure_.reset();
  pid_ = -1;
  if (words.empty()) return {};
  return fail(Errc::guest, std::move(words));
}

Result<> close_host_network(int cgroup_fd, const NetworkConfig& config) {
  if (config.resolver.empty()) return {};
  Closed closed = TRY(closed_addresses(config));
  TRY(egress_program(config, closed).attach(BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS, cgroup_fd));
  TRY(connect_program(closed).attach(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT, cgroup_fd));
  if (!can_forbid_packet_sockets()) return fail(Errc::unsupported, "forbid packet sockets: the kernel has no seccomp");
  return {};
}

}  // namespace diatom::agent
