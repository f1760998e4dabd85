// The guest's names are resolved by the host's resolver, which on many hosts is a service on loopback (127.0.0.53): the
// one thing there that a guest reaches. In namespaces of the test's own, where port 53 and /etc/resolv.conf are its to
// have.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cstring>
#include <thread>

#include "base/platform/platform.h"
#include "net/user_stack.h"
#include "support/guest_nic.h"
#include "support/scratch.h"

namespace diatom::net {
namespace {

using test::GuestNic;

constexpr int not_possible_here = 77;

bool enter_namespaces(const std::string& resolv_conf) {
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET) != 0) return false;
  UniqueFd any(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq loopback{};
  std::strcpy(loopback.ifr_name, "lo");
  loopback.ifr_flags = IFF_UP;
  return ::ioctl(any.get(), SIOCSIFFLAGS, &loopback) == 0 &&
         ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount(resolv_conf.c_str(), "/etc/resolv.conf", nullptr, MS_BIND, nullptr) == 0;
}

bool answers(int service) {
  pollfd polled{service, POLLIN, 0};
  constexpr int deadline_ms = 20'000;
  char bytes[64];
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  if (::poll(&polled, 1, deadline_ms) <= 0) return false;
  ssize_t got = ::recvfrom(service, bytes, sizeof bytes, 0, reinterpret_cast<sockaddr*>(&peer), &size);
  return got == 5 && ::sendto(service, "answer", 6, 0, reinterpret_cast<sockaddr*>(&peer), size) == 6;
}

// Of the child: 0 when the guest got its answer.
int ask_a_resolver_on_loopback(const std::string& resolv_conf) {
  if (!enter_namespaces(resolv_conf)) return not_possible_here;
  UniqueFd service(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(53);
  address.sin_addr.s_addr = htonl(0x7f000035);
  if (::bind(service.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return not_possible_here;

  auto pair = platform::make_socket_pair();
  auto stack = UserStack::open({}, std::move(pair->ours));
  if (!stack) return 2;
  std::thread thread([&] { static_cast<void>((*stack)->run().has_value()); });
  GuestNic nic(std::move(pair->theirs));
  nic.send(test::arp_request("10.0.2.15", "10.0.2.3"));
  nic.send(test::udp({.to = "10.0.2.3"}, 40000, 53, "query"));
  bool asked = answers(service.get());
  auto answer = nic.await([](const test::Packet& packet) { return packet.protocol == test::protocol_udp; });
  (*stack)->stop();
  thread.join();
  bool good = answer && answer->from == "10.0.2.3" && answer->from_port == 53 && answer->data == "answer";
  return asked && good ? 0 : 1;
}

TEST(UserStackDns, TheHostsResolverMayBeOnItsLoopback) {
  test::ScratchDirectory scratch;
  std::string resolv_conf = (scratch / "resolv.conf").string();
  ASSERT_TRUE(replace_file(resolv_conf, "nameserver 127.0.0.53\n"));
  pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) ::_exit(ask_a_resolver_on_loopback(resolv_conf));
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == not_possible_here) GTEST_SKIP() << "this user may not make namespaces";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace diatom::net
