#include "net/host_ports.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <set>

#include "base/unique_fd.h"
#include "net/port_mapping.h"

namespace diatom::net {
namespace {

using testing::HasSubstr;

// Somebody who has a port of 127.0.0.1.
struct Holder {
  explicit Holder(int type) : fd(::socket(AF_INET, type | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    if (type == SOCK_STREAM) {
      EXPECT_EQ(::listen(fd.get(), 1), 0);
    }
    ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port = ntohs(address.sin_port);
  }
  UniqueFd fd;
  uint16_t port = 0;
};

TEST(ChooseHostPorts, BindsLoopbackAndTakesFreePortsThatDiffer) {
  std::vector<PortMapping> wanted(50, {.container_port = 80});
  for (int i = 0; i < 50; ++i) wanted.push_back({.container_port = 53, .protocol = "udp"});
  auto chosen = choose_host_ports(wanted);
  ASSERT_TRUE(chosen) << chosen.error().message;
  ASSERT_EQ(chosen->size(), 100U);
  std::set<std::string> different;
  for (const PortMapping& mapping : *chosen) {
    EXPECT_EQ(mapping.host_address, "127.0.0.1");
    EXPECT_NE(mapping.host_port, 0);
    different.insert(print_host_port(mapping));
  }
  EXPECT_EQ(different.size(), 100U);
}

TEST(ChooseHostPorts, NamesAPortThatIsTaken) {
  for (auto [type, protocol] : {std::pair{SOCK_STREAM, "tcp"}, {SOCK_DGRAM, "udp"}}) {
    Holder holder(type);
    for (const char* address : {"", "0.0.0.0"}) {
      auto chosen = choose_host_ports(
          {{.host_address = address, .host_port = holder.port, .container_port = 80, .protocol = protocol}});
      ASSERT_FALSE(chosen) << protocol;
      EXPECT_EQ(chosen.error().code, Errc::already_exists);
      EXPECT_THAT(chosen.error().message, HasSubstr(":" + std::to_string(holder.port) + "/" + protocol));
    }
  }
}

TEST(ChooseHostPorts, TakesTheFirstFreeOneOfARangeAndFailsWhenThereIsNone) {
  Holder holder(SOCK_STREAM);
  PortMapping range{.host_port = holder.port, .container_port = 80, .last_host_port = holder.port};
  EXPECT_FALSE(choose_host_ports({range}));
  range.last_host_port = static_cast<uint16_t>(std::min(holder.port + 50, 65535));
  auto chosen = choose_host_ports({range, range, range});
  ASSERT_TRUE(chosen) << chosen.error().message;
  EXPECT_EQ(chosen->size(), 1U);  // an exact repetition
  EXPECT_GT(chosen->at(0).host_port, holder.port);
  EXPECT_EQ(chosen->at(0).last_host_port, 0);
}

TEST(ChooseHostPorts, DoesNotGiveOnePortToTwoOfThem) {
  Holder holder(SOCK_STREAM);
  uint16_t port = holder.port;
  holder.fd.reset();
  EXPECT_TRUE(
      choose_host_ports({{.host_port = port, .container_port = 80}, {.host_port = port, .container_port = 80}}));
  EXPECT_FALSE(
      choose_host_ports({{.host_port = port, .container_port = 80}, {.host_port = port, .container_port = 81}}));
  EXPECT_TRUE(choose_host_ports(
      {{.host_port = port, .container_port = 80}, {.host_port = port, .container_port = 80, .protocol = "udp"}}));
}

TEST(ChooseHostPorts, RefusesAddressesThatItCannotPublishOn) {
  auto v6 = choose_host_ports({{.host_address = "::1", .host_port = 8080, .container_port = 80}});
  ASSERT_FALSE(v6);
  EXPECT_EQ(v6.error().code, Errc::unsupported);
  EXPECT_THAT(v6.error().message, HasSubstr("[::1]:8080/tcp"));
  auto foreign = choose_host_ports({{.host_address = "203.0.113.77", .container_port = 80}});
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().code, Errc::invalid_argument);
  EXPECT_THAT(foreign.error().message, HasSubstr("no such address"));
}

}  // namespace
}  // namespace diatom::net
