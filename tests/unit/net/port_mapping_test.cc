#include "net/port_mapping.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace diatom::net {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Words = std::vector<std::string>;

// "address|host port[-last]|container port/protocol"
Words shown(const std::vector<PortMapping>& mappings) {
  Words out;
  for (const PortMapping& mapping : mappings) {
    std::string range = mapping.last_host_port != 0 ? "-" + std::to_string(mapping.last_host_port) : "";
    out.push_back(mapping.host_address + "|" + std::to_string(mapping.host_port) + range + "|" +
                  std::to_string(mapping.container_port) + "/" + mapping.protocol);
  }
  return out;
}

TEST(PortMapping, FollowsDockersGrammar) {
  const std::pair<const char*, Words> cases[] = {
      {"80", {"|0|80/tcp"}},
      {"8080:80", {"|8080|80/tcp"}},
      {"8080:80/udp", {"|8080|80/udp"}},
      {"8080:80/TCP", {"|8080|80/tcp"}},
      {"0:80", {"|0|80/tcp"}},
      {":80", {"|0|80/tcp"}},
      {"::80", {"|0|80/tcp"}},
      {"127.0.0.1:8080:80", {"127.0.0.1|8080|80/tcp"}},
      {"127.0.0.1::80", {"127.0.0.1|0|80/tcp"}},
      {"0.0.0.0:53:53/udp", {"0.0.0.0|53|53/udp"}},
      {"[::1]:8080:80", {"::1|8080|80/tcp"}},
      {"[::1]::80", {"::1|0|80/tcp"}},
      {"::1:8080:80", {"::1|8080|80/tcp"}},
      {"80-82", {"|0|80/tcp", "|0|81/tcp", "|0|82/tcp"}},
      {"8000-8002:80-82/udp", {"|8000|80/udp", "|8001|81/udp", "|8002|82/udp"}},
      {"8000-8010:80", {"|8000-8010|80/tcp"}},
      {"65535:65535", {"|65535|65535/tcp"}},
      {"8000-8000:80-80", {"|8000|80/tcp"}},
  };
  for (const auto& [text, wanted] : cases) {
    auto parsed = parse_port_mapping(text);
    ASSERT_TRUE(parsed) << text << ": " << parsed.error().message;
    EXPECT_EQ(shown(*parsed), wanted) << text;
  }
}

TEST(PortMapping, RefusesWhatIsNoneAndNamesIt) {
  const char* cases[] = {"",
                         "x",
                         "0",
                         "65536",
                         "-1",
                         "80-",
                         "82-80",
                         "80/sctp",
                         "80/",
                         "80/tcp/udp",
                         "x:80",
                         "65536:80",
                         "1-2:3-5",
                         "1-3:4-5",
                         "a:1:80",
                         "localhost:1:80",
                         "1.2.3:1:80",
                         "1.2.3.4.5:1:80",
                         "[::1:80",
                         "[]:1:80",
                         "[1.2.3.4:1:80",
                         "1:2:3",
                         " 80",
                         "80 ",
                         "+80",
                         "0x50",
                         "0-5:0-5",
                         "8080:0",
                         "8080:",
                         "1:2:3:4"};
  for (const char* text : cases) {
    auto parsed = parse_port_mapping(text);
    ASSERT_FALSE(parsed) << text << ": " << testing::PrintToString(shown(*parsed));
    EXPECT_EQ(parsed.error().code, Errc::invalid_argument) << text;
    EXPECT_THAT(parsed.error().message, HasSubstr("\"" + std::string(text) + "\"")) << text;
  }
}

TEST(ExposedPort, IsAPortOrARangeAndAProtocol) {
  EXPECT_THAT(shown(parse_exposed_port("80").value()), ElementsAre("|0|80/tcp"));
  EXPECT_THAT(shown(parse_exposed_port("80-81/udp").value()), ElementsAre("|0|80/udp", "|0|81/udp"));
  for (const char* text : {"", "0", "/tcp", "8080:80", "80/x", "81-80", "127.0.0.1:80"})
    EXPECT_FALSE(parse_exposed_port(text)) << text;
}

TEST(PrintHostPort, PutsIpv6InBrackets) {
  EXPECT_EQ(print_host_port({.host_address = "127.0.0.1", .host_port = 80}), "127.0.0.1:80/tcp");
  EXPECT_EQ(print_host_port({.host_address = "::1", .host_port = 80, .protocol = "udp"}), "[::1]:80/udp");
}

}  // namespace
}  // namespace diatom::net
