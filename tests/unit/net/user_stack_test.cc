#include "net/user_stack.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <future>
#include <random>
#include <thread>

#include "base/platform/platform.h"
#include "support/guest_nic.h"

namespace diatom::net {
namespace {

using namespace test;  // its builders read like what they build
using testing::HasSubstr;
using testing::IsEmpty;

constexpr auto deadline = std::chrono::seconds(20);

sockaddr_in socket_address(const std::string& address, uint16_t port) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_port = htons(port);
  EXPECT_EQ(::inet_pton(AF_INET, address.c_str(), &result.sin_addr), 1);
  return result;
}

// A socket of the host's. What it waits for comes within the deadline, or is an error.
struct HostSocket {
  explicit HostSocket(int type) : HostSocket(UniqueFd(::socket(AF_INET, type | SOCK_CLOEXEC, 0))) {}
  explicit HostSocket(UniqueFd socket) : fd(std::move(socket)) {
    timeval limit{.tv_sec = deadline.count(), .tv_usec = 0};
    EXPECT_EQ(::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
  }

  static HostSocket bound(int type, const std::string& address) {
    HostSocket made(type);
    sockaddr_in wanted = socket_address(address, 0);
    EXPECT_EQ(::bind(made.fd.get(), reinterpret_cast<sockaddr*>(&wanted), sizeof wanted), 0);
    if (type == SOCK_STREAM) {
      EXPECT_EQ(::listen(made.fd.get(), 8), 0);
    }
    return made;
  }
  static HostSocket connected(int type, const std::string& address, uint16_t port) {
    HostSocket made(type);
    sockaddr_in peer = socket_address(address, port);
    EXPECT_EQ(::connect(made.fd.get(), reinterpret_cast<sockaddr*>(&peer), sizeof peer), 0);
    return made;
  }

  HostSocket accept() const { return HostSocket(UniqueFd(::accept(fd.get(), nullptr, nullptr))); }
  bool has_something() const {
    pollfd polled{fd.get(), POLLIN, 0};
    return ::poll(&polled, 1, 0) > 0;
  }
  uint16_t port() const {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size);
    return ntohs(address.sin_port);
  }
  std::string read() const {
    std::string bytes(1 << 16, '\0');
    ssize_t got = ::recv(fd.get(), bytes.data(), bytes.size(), 0);
    return got < 0 ? "<nothing>" : bytes.substr(0, static_cast<size_t>(got));
  }
  void write(std::string_view bytes) const { EXPECT_TRUE(write_all(fd.get(), bytes)); }

  UniqueFd fd;
};

uint16_t free_port(int type) { return HostSocket::bound(type, "127.0.0.1").port(); }

// An address of this machine that is not loopback; empty when it has none. Nothing is sent.
std::string own_address() {
  HostSocket probe(SOCK_DGRAM);
  sockaddr_in address = socket_address("198.51.100.1", 9);
  socklen_t size = sizeof address;
  if (::connect(probe.fd.get(), reinterpret_cast<sockaddr*>(&address), size) < 0) return {};
  ::getsockname(probe.fd.get(), reinterpret_cast<sockaddr*>(&address), &size);
  std::string text = ::inet_ntoa(address.sin_addr);
  return text.starts_with("127.") ? "" : text;
}

class UserStackTest : public testing::Test {
 protected:
  void start(const UserStackConfig& config = {}) {
    auto pair = platform::make_socket_pair();
    ASSERT_TRUE(pair);
    nic.emplace(std::move(pair->theirs));
    auto opened = UserStack::open(config, std::move(pair->ours));
    ASSERT_TRUE(opened) << opened.error().message;
    stack = std::move(*opened);
    std::promise<Result<>> promise;
    ended = promise.get_future();
    thread = std::thread([this, ended_with = std::move(promise)]() mutable { ended_with.set_value(stack->run()); });
    // As every guest does first: libslirp learns the address from it.
    nic->send(arp_request("10.0.2.15", "10.0.2.2"));
  }

  void TearDown() override {
    if (!thread.joinable()) return;
    stack->stop();
    thread.join();
  }

  // Whether run() returns.
  bool ends() { return ended.wait_for(deadline) == std::future_status::ready; }

  // The guest's side of a connection, from the SYN that it got to the one that it sent; then both can send.
  Tcp accept(const Packet& opening) {
    Tcp ours{.from_port = opening.to_port,
             .to_port = opening.from_port,
             .sequence = 1000,
             .acknowledged = opening.segment.sequence + 1,
             .flags = syn | ack};
    nic->send(tcp({.to = opening.from}, ours));
    ++ours.sequence;
    ours.flags = ack;
    return ours;
  }
  std::optional<Packet> await_tcp(const std::function<bool(const Packet&)>& wanted) {
    return nic->await([&](const Packet& packet) { return packet.protocol == protocol_tcp && wanted(packet); });
  }
  std::optional<Packet> await_udp() {
    return nic->await([](const Packet& packet) { return packet.protocol == protocol_udp; });
  }

  std::optional<GuestNic> nic;
  std::unique_ptr<UserStack> stack;
  std::future<Result<>> ended;
  std::thread thread;
};

bool is_syn(const Packet& packet) { return packet.segment.flags == syn; }
bool has_data(const Packet& packet) { return !packet.data.empty(); }

PortMapping published(uint16_t host_port, uint16_t guest_port, std::string protocol) {
  return {.host_address = "127.0.0.1",
          .host_port = host_port,
          .container_port = guest_port,
          .protocol = std::move(protocol)};
}

TEST_F(UserStackTest, TheGatewayAndTheResolverAreThere) {
  start();
  for (const char* address : {"10.0.2.2", "10.0.2.3"}) {
    nic->send(arp_request("10.0.2.15", address));
    auto reply = nic->await([&](const Packet& packet) {
      return packet.ethertype == ethertype_arp && packet.data.substr(14, 4) == ip(address);
    });
    ASSERT_TRUE(reply) << address;
    EXPECT_EQ(reply->data.substr(6, 2), be16(2));
  }
  nic->settle();
  nic->send(arp_request("10.0.2.15", "10.0.2.99"));
  EXPECT_THAT(nic->settle(), IsEmpty());
}

TEST_F(UserStackTest, GivesTheGuestItsAddress) {
  start();
  std::string discover = std::string("\x01\x01\x06\x00", 4) + "xid!" + std::string(20, '\0') + std::string(guest_mac) +
                         std::string(202, '\0') + "\x63\x82\x53\x63" + "\x35\x01\x01" + "\xff";
  nic->send(udp({.from = "0.0.0.0", .to = "255.255.255.255"}, 68, 67, discover));
  auto offer = await_udp();
  ASSERT_TRUE(offer);
  EXPECT_EQ(offer->from, "10.0.2.2");
  EXPECT_EQ(ip_text(offer->data.substr(16, 4)), "10.0.2.15");
  EXPECT_THAT(offer->data, HasSubstr("\x01\x04\xff\xff\xff" + std::string(1, '\0')));  // the mask
  EXPECT_THAT(offer->data, HasSubstr("\x03\x04" + ip("10.0.2.2")));                    // the router
  EXPECT_THAT(offer->data, HasSubstr("\x06\x04" + ip("10.0.2.3")));                    // the name server
}

TEST_F(UserStackTest, TheGuestReachesTheWorld) {
  std::string address = own_address();
  if (address.empty()) GTEST_SKIP() << "this machine has no address but loopback";
  start();

  auto datagrams = HostSocket::bound(SOCK_DGRAM, address);
  nic->send(udp({.to = address}, 40000, datagrams.port(), "question"));
  sockaddr_in guest{};
  socklen_t size = sizeof guest;
  char bytes[64];
  ASSERT_EQ(::recvfrom(datagrams.fd.get(), bytes, sizeof bytes, 0, reinterpret_cast<sockaddr*>(&guest), &size), 8);
  EXPECT_EQ(::sendto(datagrams.fd.get(), "answer", 6, 0, reinterpret_cast<sockaddr*>(&guest), size), 6);
  auto answer = await_udp();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->from, address);
  EXPECT_EQ(answer->to_port, 40000);
  EXPECT_EQ(answer->data, "answer");

  auto listener = HostSocket::bound(SOCK_STREAM, address);
  nic->send(tcp({.to = address}, {.from_port = 40001, .to_port = listener.port(), .sequence = 1, .flags = syn}));
  auto opened = await_tcp([](const Packet& packet) { return packet.segment.flags == (syn | ack); });
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->segment.acknowledged, 2U);
  auto connection = listener.accept();
  Tcp ours{.from_port = 40001,
           .to_port = listener.port(),
           .sequence = 2,
           .acknowledged = opened->segment.sequence + 1,
           .flags = ack};
  nic->send(tcp({.to = address}, ours, "hello"));
  EXPECT_EQ(connection.read(), "hello");
  connection.write("hello, guest");
  auto got = await_tcp(has_data);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->data, "hello, guest");
}

TEST_F(UserStackTest, APublishedTcpPortLeadsToTheGuest) {
  uint16_t port = free_port(SOCK_STREAM);
  start({.published = {published(port, 80, "tcp")}});
  auto client = HostSocket::connected(SOCK_STREAM, "127.0.0.1", port);
  auto opening = await_tcp(is_syn);
  ASSERT_TRUE(opening);
  EXPECT_EQ(opening->from, "10.0.2.2");
  EXPECT_EQ(opening->to, "10.0.2.15");
  EXPECT_EQ(opening->to_port, 80);

  Tcp ours = accept(*opening);
  client.write("question");
  auto question = await_tcp(has_data);
  ASSERT_TRUE(question);
  EXPECT_EQ(question->data, "question");
  ours.acknowledged += 8;
  nic->send(tcp({}, ours, "answer"));
  EXPECT_EQ(client.read(), "answer");
  ours.sequence += 6;
  ours.flags = fin | ack;
  nic->send(tcp({}, ours));
  EXPECT_EQ(client.read(), "");
}

TEST_F(UserStackTest, APublishedUdpPortLeadsToTheGuest) {
  uint16_t port = free_port(SOCK_DGRAM);
  start({.published = {published(port, 7, "udp")}});
  auto client = HostSocket::connected(SOCK_DGRAM, "127.0.0.1", port);
  client.write("question");
  auto question = await_udp();
  ASSERT_TRUE(question);
  EXPECT_EQ(question->from, "10.0.2.2");
  EXPECT_EQ(question->from_port, client.port());
  EXPECT_EQ(question->to_port, 7);
  EXPECT_EQ(question->data, "question");
  nic->send(udp({}, 7, question->from_port, "answer"));
  EXPECT_EQ(client.read(), "answer");

  // Others on the host's loopback get nothing by that way.
  auto service = HostSocket::bound(SOCK_DGRAM, "127.0.0.1");
  nic->send(udp({}, 7, service.port(), "not asked for"));
  nic->settle();
  EXPECT_FALSE(service.has_something());
}

TEST_F(UserStackTest, ServicesOnTheHostsLoopbackAreClosed) {
  uint16_t port = free_port(SOCK_STREAM);
  start({.published = {published(port, 80, "tcp")}});
  auto tcp_service = HostSocket::bound(SOCK_STREAM, "0.0.0.0");
  auto udp_service = HostSocket::bound(SOCK_DGRAM, "0.0.0.0");
  for (const char* address :
       {"10.0.2.2", "10.0.2.3", "10.0.2.99", "10.0.2.255", "127.0.0.1", "127.1.2.3", "0.0.0.0", "255.255.255.255"}) {
    nic->send(tcp({.to = address}, {.from_port = 40000, .to_port = tcp_service.port(), .flags = syn}));
    nic->send(udp({.to = address}, 40000, udp_service.port(), "x"));
    for (const Packet& packet : nic->settle())
      EXPECT_TRUE(packet.ethertype == ethertype_arp || packet.protocol == protocol_icmp) << address;
    EXPECT_FALSE(tcp_service.has_something()) << address;
    EXPECT_FALSE(udp_service.has_something()) << address;
  }
  // The sender hears of it at once.
  nic->send(tcp({}, {.from_port = 40000, .to_port = tcp_service.port(), .flags = syn}));
  auto answers = nic->settle();
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_EQ(answers[0].data.substr(0, 2), "\x03\x0d");

  std::string address = own_address();
  if (address.empty()) return;
  nic->send(tcp({.to = address}, {.from_port = 40000, .to_port = tcp_service.port(), .flags = syn}));
  EXPECT_TRUE(await_tcp([](const Packet& packet) { return packet.segment.flags == (syn | ack); }));
}

TEST_F(UserStackTest, AnIsolatedGuestReachesNobodyAndIsReached) {
  uint16_t port = free_port(SOCK_STREAM);
  start({.published = {published(port, 80, "tcp")}, .isolated = true});
  std::string address = own_address().empty() ? "198.51.100.1" : own_address();
  nic->send(tcp({.to = address}, {.from_port = 40000, .to_port = 80, .flags = syn}));
  auto refused = await_tcp([](const Packet& packet) { return (packet.segment.flags & rst) != 0; });
  EXPECT_TRUE(refused);
  auto client = HostSocket::connected(SOCK_STREAM, "127.0.0.1", port);
  EXPECT_TRUE(await_tcp(is_syn));
}

TEST_F(UserStackTest, GarbageChangesNothing) {
  uint16_t port = free_port(SOCK_STREAM);
  start({.published = {published(port, 80, "tcp")}});
  std::mt19937 random(1);
  auto noise = [&](size_t bytes) {
    std::string made(bytes, '\0');
    for (char& byte : made) byte = static_cast<char>(random());
    return made;
  };
  std::string good = tcp({.to = "198.51.100.1"}, {.from_port = 1, .to_port = 2, .flags = ack}, "data");
  for (size_t bytes = 0; bytes <= good.size(); ++bytes) nic->send(good.substr(0, bytes));
  for (std::string_view ethertype : {ethertype_arp, ethertype_ipv4, std::string_view("\x86\xdd")})
    for (int bytes : {0, 1, 14, 28, 60, 1500, 9000, 65536})
      nic->send(noise(12) + std::string(ethertype) + noise(static_cast<size_t>(bytes)));
  nic->send(ipv4({.protocol = protocol_icmp, .fragment = 2}, "the rest"));
  for (size_t at = 14; at < good.size(); ++at) nic->send(std::string(good).replace(at, 1, noise(1)));
  nic->settle();
  auto client = HostSocket::connected(SOCK_STREAM, "127.0.0.1", port);
  EXPECT_TRUE(await_tcp(is_syn));
}

TEST_F(UserStackTest, AGuestThatDoesNotReadStopsNothing) {
  uint16_t port = free_port(SOCK_DGRAM);
  start({.published = {published(port, 7, "udp")}});
  nic->settle();
  auto client = HostSocket::connected(SOCK_DGRAM, "127.0.0.1", port);
  // More than the socket and the queue hold; what the host drops by itself does not matter.
  for (int i = 0; i < 20'000; ++i) client.write(std::string(1400, 'x'));
  nic->settle();  // reads again, and is served
}

TEST_F(UserStackTest, EndsWithItsNic) {
  start();
  nic->settle();
  nic->close();
  ASSERT_TRUE(ends());
  EXPECT_TRUE(ended.get());
}

TEST_F(UserStackTest, EndsWhenItIsToldTo) {
  start();
  nic->settle();
  stack->stop();
  ASSERT_TRUE(ends());
  EXPECT_TRUE(ended.get());
}

TEST_F(UserStackTest, EndsWithAnErrorWhenTheNicSendsWhatIsNoFrame) {
  start();
  nic->send_raw(be32(0x7fffffff));
  ASSERT_TRUE(ends());
  auto result = ended.get();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::guest);
}

Error open_error(const UserStackConfig& config) {
  auto pair = platform::make_socket_pair();
  auto opened = UserStack::open(config, std::move(pair->ours));
  EXPECT_FALSE(opened);
  return opened ? Error{} : opened.error();
}

TEST(UserStackOpen, NamesAPortThatIsTaken) {
  for (auto [type, protocol] : {std::pair{SOCK_STREAM, "tcp"}, {SOCK_DGRAM, "udp"}}) {
    auto holder = HostSocket::bound(type, "127.0.0.1");
    uint16_t free = free_port(type);
    Error error = open_error({.published = {published(free, 80, protocol), published(holder.port(), 80, protocol)}});
    EXPECT_EQ(error.code, Errc::already_exists);
    EXPECT_EQ(error.message, "publish port 127.0.0.1:" + std::to_string(holder.port()) + "/" + protocol +
                                 ": it is taken on this host");
    EXPECT_THAT(error.hint, HasSubstr("-p CONTAINER_PORT"));
    // What had been bound before is free again.
    EXPECT_FALSE(open_error({.published = {published(free, 80, protocol), published(holder.port(), 80, protocol)}})
                     .message.empty());
  }
  PortMapping foreign{.host_address = "203.0.113.77", .host_port = 8080, .container_port = 80};
  EXPECT_THAT(open_error({.published = {foreign}}).message, HasSubstr("no such address"));
}

TEST(UserStackOpen, RefusesWhatIsNoNetwork) {
  for (const auto& [config, words] : std::initializer_list<std::pair<UserStackConfig, const char*>>{
           {{.gateway = "nowhere"}, "gateway \"nowhere\""},
           {{.network = "10.0.2.0/24"}, "network \"10.0.2.0/24\""},
           {{.resolver = "10.0.3.3"}, "not in 10.0.2.0/24"},
           {{.prefix = 0}, "prefix 0"},
           {{.prefix = 33}, "prefix 33"},
           {{.mtu = 1}, "mtu of 1"},
           {{.published = {{.host_address = "::1", .host_port = 1, .container_port = 1}}}, "\"::1\""}}) {
    Error error = open_error(config);
    EXPECT_EQ(error.code, Errc::invalid_argument);
    EXPECT_THAT(error.message, HasSubstr(words));
  }
}

TEST(UserStackOpen, MayBeStoppedBeforeItRuns) {
  auto pair = platform::make_socket_pair();
  auto opened = UserStack::open({}, std::move(pair->ours));
  ASSERT_TRUE(opened);
  (*opened)->stop();
  EXPECT_TRUE((*opened)->run());
}

}  // namespace
}  // namespace diatom::net
