#include "net/egress_filter.h"

#include <gtest/gtest.h>

#include "support/ethernet.h"

namespace diatom::net {
namespace {

using namespace test;  // its builders read like what they build
using Verdict = EgressFilter::Verdict;

constexpr GuestNetwork network{
    .network = 0x0a000200, .mask = 0xffffff00, .gateway = 0x0a000202, .resolver = 0x0a000203, .guest = 0x0a00020f};

const char* name(Verdict verdict) {
  return verdict == Verdict::pass ? "pass" : verdict == Verdict::drop ? "drop" : "refuse";
}

std::string judged(const EgressFilter& filter, std::string_view frame) { return name(filter.judge(as_frame(frame))); }

std::string syn_to(const std::string& address, uint16_t port) {
  return tcp({.to = address}, {.from_port = 40000, .to_port = port, .flags = syn});
}

TEST(EgressFilter, LetsOutWhatGoesToTheWorld) {
  EgressFilter filter(network, {});
  for (const char* address : {"192.0.2.1", "10.0.3.1", "10.0.1.255", "128.0.0.1", "169.254.169.254", "224.0.0.251"}) {
    EXPECT_EQ(judged(filter, syn_to(address, 80)), "pass") << address;
    EXPECT_EQ(judged(filter, udp({.to = address}, 40000, 53, "x")), "pass") << address;
    EXPECT_EQ(judged(filter, ipv4({.to = address, .protocol = protocol_icmp}, "12345678")), "pass") << address;
  }
  EXPECT_EQ(judged(filter, arp_request("10.0.2.15", "10.0.2.2")), "pass");
}

TEST(EgressFilter, ClosesTheHostsLoopbackByEveryAddress) {
  EgressFilter filter(network, {});
  for (const char* address : {"127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.2.2", "10.0.2.99"}) {
    EXPECT_EQ(judged(filter, syn_to(address, 80)), "refuse") << address;
    EXPECT_EQ(judged(filter, udp({.to = address}, 40000, 80, "x")), "refuse") << address;
    // Options move the ports, and must not hide them.
    EXPECT_EQ(judged(filter, udp({.to = address, .options = "\1\1\1\1"}, 40000, 80, "x")), "refuse") << address;
  }
  for (const char* address : {"10.0.2.255", "255.255.255.255", "10.0.2.0"}) {
    EXPECT_NE(judged(filter, syn_to(address, 80)), "pass") << address;
    EXPECT_NE(judged(filter, udp({.to = address}, 40000, 80, "x")), "pass") << address;
  }
}

// One alone makes libslirp 4.7 write to where its bytes point.
TEST(EgressFilter, LetsNoFragmentsThrough) {
  EgressFilter filter(network, {});
  for (const char* address : {"127.0.0.1", "10.0.2.2", "10.0.2.3", "192.0.2.1"})
    for (uint8_t protocol : {protocol_icmp, protocol_tcp, protocol_udp})
      for (int fragment : {0x0001, 0x1fff, 0x2000, 0x2001, 0x8000, 0x6000})
        EXPECT_EQ(
            judged(filter, ipv4({.to = address, .protocol = protocol, .fragment = static_cast<uint16_t>(fragment)},
                                std::string(20, 'x'))),
            "drop")
            << address << " " << fragment;
  EXPECT_EQ(judged(filter, ipv4({.to = "192.0.2.1", .fragment = 0x4000}, "12345678")), "pass");  // "don't fragment"
}

TEST(EgressFilter, LetsTheNetworksOwnServicesBeAsked) {
  EgressFilter filter(network, {});
  EXPECT_EQ(judged(filter, udp({.to = "10.0.2.3"}, 40000, 53, "query")), "pass");
  EXPECT_EQ(judged(filter, syn_to("10.0.2.3", 53)), "pass");
  EXPECT_EQ(judged(filter, udp({.from = "0.0.0.0", .to = "255.255.255.255"}, 68, 67, "dhcp")), "pass");
  EXPECT_EQ(judged(filter, udp({}, 68, 67, "dhcp")), "pass");
  for (const char* address : {"10.0.2.2", "10.0.2.3"})
    EXPECT_EQ(judged(filter, ipv4({.to = address, .protocol = protocol_icmp}, "12345678")), "pass") << address;
  EXPECT_EQ(judged(filter, udp({.to = "10.0.2.3"}, 40000, 54, "x")), "refuse");
  EXPECT_EQ(judged(filter, syn_to("10.0.2.3", 80)), "refuse");
  EXPECT_EQ(judged(filter, udp({}, 40000, 69, "tftp")), "refuse");
}

TEST(EgressFilter, LetsConnectionsFromOutsideBeAnswered) {
  EgressFilter filter(network, {});
  for (int flags : {syn | ack, ack, fin | ack, rst, rst | ack, 0})
    EXPECT_EQ(judged(filter, tcp({}, {.from_port = 80, .to_port = 40000, .flags = static_cast<uint8_t>(flags)})),
              "pass")
        << flags;
  for (int flags : {syn | fin, syn | rst, syn | 0x20, syn | 0x08})
    EXPECT_EQ(judged(filter, tcp({}, {.to_port = 80, .flags = static_cast<uint8_t>(flags)})), "refuse") << flags;
  std::string header = tcp({}, {.from_port = 80, .to_port = 40000, .flags = ack}).substr(34);
  EXPECT_EQ(judged(filter, ipv4({.protocol = protocol_tcp}, header.substr(0, 19))), "drop");
}

TEST(EgressFilter, LetsWhoAskedByAPublishedUdpPortBeAnswered) {
  EgressFilter filter(network, {7});
  auto answer = [](uint16_t from_port, uint16_t to_port) { return udp({}, from_port, to_port, "answer"); };
  EXPECT_EQ(judged(filter, answer(7, 5000)), "refuse");
  filter.note(as_frame(udp({.from = "10.0.2.2", .to = "10.0.2.15"}, 5000, 7, "question")));
  EXPECT_EQ(judged(filter, answer(7, 5000)), "pass");
  EXPECT_EQ(judged(filter, answer(7, 5001)), "refuse");
  EXPECT_EQ(judged(filter, answer(8, 5000)), "refuse");
  EXPECT_EQ(judged(filter, udp({.from = "10.0.2.16"}, 7, 5000, "answer")), "refuse");
  EXPECT_EQ(judged(filter, udp({.to = "127.0.0.1"}, 7, 5000, "answer")), "refuse");
  filter.note(as_frame(udp({.from = "10.0.2.2", .to = "10.0.2.15"}, 5001, 8, "to a port that is not published")));
  EXPECT_EQ(judged(filter, answer(8, 5001)), "refuse");
}

TEST(EgressFilter, DropsWhatItDoesNotKnowOrThatIsCutShort) {
  EgressFilter filter(network, {7});
  std::string good = udp({.to = "192.0.2.1"}, 1, 2, "data");
  for (size_t bytes = 0; bytes < good.size(); ++bytes)
    EXPECT_EQ(judged(filter, good.substr(0, bytes)), "drop") << bytes;
  for (std::string_view ethertype : {std::string_view("\x86\xdd"), std::string_view("\x81\x00", 2),
                                     std::string_view("\x88\xf8"), std::string_view("\x00\x04", 2)})
    EXPECT_EQ(judged(filter, std::string(good).replace(12, 2, ethertype)), "drop");
  for (char version_and_length : {'\x44', '\x65', '\x4f', '\x05'})
    EXPECT_EQ(judged(filter, std::string(good).replace(14, 1, 1, version_and_length)), "drop");
  EXPECT_EQ(judged(filter, ipv4({.protocol = 2}, "a protocol that is none of ours")), "drop");
}

TEST(Refusal, IsWhatAFirewallAnswers) {
  std::string refused = udp({.options = "\1\1\1\1"}, 40000, 80, "data");
  auto bytes = refusal(as_frame(refused), network.gateway);
  std::string_view answer(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  auto packet = parse(answer);
  ASSERT_TRUE(packet);
  EXPECT_EQ(answer.substr(0, 6), guest_mac);
  EXPECT_EQ(packet->source_mac, refused.substr(0, 6));
  EXPECT_EQ(packet->protocol, protocol_icmp);
  EXPECT_EQ(packet->from, "10.0.2.2");
  EXPECT_EQ(packet->to, "10.0.2.15");
  EXPECT_EQ(packet->data.substr(0, 2), "\x03\x0d");
  EXPECT_EQ(checksum(sum16(packet->data)), be16(0));
  EXPECT_EQ(packet->data.substr(8), refused.substr(14, 24 + 8));
}

}  // namespace
}  // namespace diatom::net
