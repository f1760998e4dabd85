#include "net/user_stack.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <limits>
#include <string_view>
#include <utility>

#include "base/platform/platform.h"
#include "net/host_ports.h"

// Since 4.9 it calls those functions deprecated which 4.7, and any other, has.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
#include <slirp/libslirp.h>

namespace diatom::net {

namespace {

// In polled_, before libslirp's.
constexpr size_t stop_index = 0;
constexpr size_t nic_index = 1;

constexpr std::pair<int, short> poll_flags[] = {{SLIRP_POLL_IN, POLLIN},
                                                {SLIRP_POLL_OUT, POLLOUT},
                                                {SLIRP_POLL_PRI, POLLPRI},
                                                {SLIRP_POLL_ERR, POLLERR},
                                                {SLIRP_POLL_HUP, POLLHUP}};

Result<uint32_t> parse_address(std::string_view what, const std::string& text) {
  in_addr address{};
  if (::inet_pton(AF_INET, text.c_str(), &address) == 1) return ntohl(address.s_addr);
  return fail(Errc::invalid_argument,
              "make the user-mode network: " + std::string(what) + " \"" + text + "\" is no IPv4 address");
}

Result<GuestNetwork> parse_network(const UserStackConfig& config) {
  GuestNetwork network;
  network.network = TRY(parse_address("network", config.network));
  network.gateway = TRY(parse_address("gateway", config.gateway));
  network.resolver = TRY(parse_address("resolver", config.resolver));
  network.guest = TRY(parse_address("guest address", config.guest_address));
  if (config.prefix == 0 || config.prefix > 30)
    return fail(Errc::invalid_argument,
                "make the user-mode network: no network of prefix " + std::to_string(config.prefix));
  constexpr uint16_t min_mtu = 576;  // every IPv4 host takes so much
  constexpr uint16_t max_mtu = 65520;
  if (config.mtu < min_mtu || config.mtu > max_mtu)
    return fail(Errc::invalid_argument, "make the user-mode network: an mtu of " + std::to_string(config.mtu),
                "576 to 65520 are possible");
  network.mask = ~uint32_t{0} << (32 - config.prefix);
  for (uint32_t address : {network.gateway, network.resolver, network.guest})
    if ((address & network.mask) != network.network)
      return fail(Errc::invalid_argument, "make the user-mode network: an address is not in " + config.network + "/" +
                                              std::to_string(config.prefix));
  return network;
}

in_addr network_order(uint32_t address) { return in_addr{htonl(address)}; }

void make_nonblocking(int fd) { ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK); }

// libslirp writes to sockets that their peers may have closed.
void block_sigpipe() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

}  // namespace

struct UserStack::Callbacks {
  static UserStack& self(void* opaque) { return *static_cast<UserStack*>(opaque); }

  static ssize_t send_packet(const void* bytes, size_t size, void* opaque) {
    Frame frame(static_cast<const std::byte*>(bytes), size);
    self(opaque).filter_.note(frame);
    self(opaque).nic_.send(frame);
    return static_cast<ssize_t>(size);  // dropped, too: less would only be written to stderr
  }

  static void guest_error(const char*, void*) {}  // whatever a guest does wrong, it must not fill a log

  static int64_t clock_get_ns(void*) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }

  // Not all sockets are so by themselves, and what poll() has seen may be gone when it is read.
  static void register_poll_fd(int fd, void*) { make_nonblocking(fd); }
  static void unregister_poll_fd(int, void*) {}
  static void notify(void*) {}  // of what other threads would do

  static int add_poll(int fd, int events, void* opaque) {
    short wanted = 0;
    for (auto [slirp, native] : poll_flags)
      if ((events & slirp) != 0) wanted = static_cast<short>(wanted | native);
    self(opaque).polled_.push_back(pollfd{fd, wanted, 0});
    return static_cast<int>(self(opaque).polled_.size()) - 1;
  }

  static int get_revents(int index, void* opaque) {
    short seen = self(opaque).polled_[static_cast<size_t>(index)].revents;
    int events = 0;
    for (auto [slirp, native] : poll_flags)
      if ((seen & native) != 0) events |= slirp;
    return events;
  }

  // It keeps the pointer. Its only timer is of IPv6's router advertisements, and there is no IPv6: the functions for
  // timers stay away, as do those that only later versions have.
  static const SlirpCb* table() {
    static const SlirpCb callbacks = [] {
      SlirpCb table{};
      table.send_packet = send_packet;
      table.guest_error = guest_error;
      table.clock_get_ns = clock_get_ns;
      table.register_poll_fd = register_poll_fd;
      table.unregister_poll_fd = unregister_poll_fd;
      table.notify = notify;
      return table;
    }();
    return &callbacks;
  }
};

void UserStack::CloseSlirp::operator()(Slirp* slirp) const { slirp_cleanup(slirp); }

UserStack::UserStack(const GuestNetwork& network, const std::vector<uint16_t>& published_udp, UniqueFd nic)
    : network_(network), filter_(network, published_udp), nic_(std::move(nic)) {}

UserStack::~UserStack() = default;

Result<std::unique_ptr<UserStack>> UserStack::open(const UserStackConfig& config, UniqueFd nic) {
  GuestNetwork network = TRY(parse_network(config));
  std::vector<uint16_t> published_udp;
  for (const PortMapping& mapping : config.published)
    if (mapping.protocol == "udp") published_udp.push_back(mapping.container_port);
  std::unique_ptr<UserStack> stack(new UserStack(network, published_udp, std::move(nic)));
  platform::Pipe stop = TRY(platform::make_pipe());
  stack->stop_read_ = std::move(stop.read_end);
  stack->stop_write_ = std::move(stop.write_end);
  make_nonblocking(stack->stop_write_.get());  // one byte is as good as many

  SlirpConfig slirp{};
  slirp.version = 1;  // the fields of later ones are all to be zero
  slirp.restricted = config.isolated ? 1 : 0;
  slirp.in_enabled = true;
  slirp.vnetwork = network_order(network.network);
  slirp.vnetmask = network_order(network.mask);
  slirp.vhost = network_order(network.gateway);
  slirp.vnameserver = network_order(network.resolver);
  slirp.vdhcp_start = network_order(network.guest);
  slirp.if_mtu = config.mtu;
  slirp.if_mru = config.mtu;
  stack->slirp_.reset(slirp_new(&slirp, Callbacks::table(), stack.get()));
  if (!stack->slirp_) return fail(Errc::internal, "make the user-mode network: libslirp refuses to");
  for (const PortMapping& mapping : config.published) TRY(stack->publish(mapping));
  uint32_t timeout_ms = 0;
  stack->fill_polled(&timeout_ms);
  for (const pollfd& published : stack->polled_) make_nonblocking(published.fd);
  return stack;
}

Result<> UserStack::publish(const PortMapping& mapping) {
  uint32_t address = TRY(parse_address("address of a published port", mapping.host_address));
  if (slirp_add_hostfwd(slirp_.get(), mapping.protocol == "udp" ? 1 : 0, network_order(address), mapping.host_port,
                        network_order(network_.guest), mapping.container_port) < 0)
    return publish_failed(mapping, errno);
  return {};
}

void UserStack::stop() {
  std::byte any{};
  [[maybe_unused]] ssize_t ignored = ::write(stop_write_.get(), &any, 1);
}

void UserStack::fill_polled(uint32_t* timeout_ms) {
  polled_.resize(nic_index + 1);
  polled_[stop_index] = {stop_read_.get(), POLLIN, 0};
  polled_[nic_index] = {nic_.fd(), static_cast<short>(nic_.has_queued() ? POLLIN | POLLOUT : POLLIN), 0};
  slirp_pollfds_fill(slirp_.get(), timeout_ms, Callbacks::add_poll, this);
}

Result<bool> UserStack::receive() {
  return nic_.receive([this](Frame frame) {
    switch (filter_.judge(frame)) {
      case EgressFilter::Verdict::pass:
        slirp_input(slirp_.get(), reinterpret_cast<const uint8_t*>(frame.data()), static_cast<int>(frame.size()));
        return;
      case EgressFilter::Verdict::refuse:
        nic_.send(refusal(frame, network_.gateway));
        return;
      case EgressFilter::Verdict::drop:
        return;
    }
  });
}

Result<> UserStack::run() {
  block_sigpipe();
  while (true) {
    uint32_t timeout_ms = std::numeric_limits<int>::max();
    fill_polled(&timeout_ms);
    int ready = ::poll(polled_.data(), static_cast<nfds_t>(polled_.size()), static_cast<int>(timeout_ms));
    if (ready < 0 && errno != EINTR) return fail_errno("wait for the user-mode network");
    bool told_to_stop = ready > 0 && polled_[stop_index].revents != 0;
    bool has_frames = ready > 0 && (polled_[nic_index].revents & ~POLLOUT) != 0;
    if (told_to_stop) return {};

    slirp_pollfds_poll(slirp_.get(), ready < 0 ? 1 : 0, Callbacks::get_revents, this);
    if (has_frames) {
      bool open = TRY(receive());
      if (!open) return {};
    }
    bool open = TRY(nic_.flush());
    if (!open) return {};
  }
}

}  // namespace diatom::net

#pragma GCC diagnostic pop
