// A hostile guest's frames into the user-mode network: whatever they are, the network serves the next good one, what
// comes back are good frames, and none that is let through goes to the host's loopback. Nothing leaves the host:
// isolated.
#include <sys/socket.h>

#include "base/platform/platform.h"
#include "fuzz.h"
#include "net/user_stack.h"
#include "support/ethernet.h"

using namespace diatom;
using namespace diatom::net;

namespace {

// Lengths and checksums that are right: with wrong ones most inputs would end at the first look.
std::string completed(std::string frame) {
  constexpr size_t ip_begin = 14;
  if (frame.size() < ip_begin + 20 || frame.substr(12, 2) != test::ethertype_ipv4) return frame;
  std::string_view view = frame;
  size_t header_bytes = (test::number_at(view, ip_begin, 1) & 0xf) * 4;
  if (header_bytes < 20 || ip_begin + header_bytes > frame.size()) return frame;
  frame.replace(ip_begin + 2, 2, test::be16(frame.size() - ip_begin));
  frame.replace(ip_begin + 10, 2, 2, '\0');
  frame.replace(ip_begin + 10, 2, test::checksum(test::sum16(view.substr(ip_begin, header_bytes))));

  size_t begin = ip_begin + header_bytes;
  size_t bytes = frame.size() - begin;
  auto protocol = static_cast<uint8_t>(frame[ip_begin + 9]);
  size_t sum_at = protocol == test::protocol_icmp ? 2 : protocol == test::protocol_udp ? 6 : 16;
  if (bytes < sum_at + 2) return frame;
  if (protocol == test::protocol_udp) frame.replace(begin + 4, 2, test::be16(bytes));
  frame.replace(begin + sum_at, 2, 2, '\0');
  size_t pseudo =
      protocol == test::protocol_tcp ? test::sum16(view.substr(ip_begin + 12, 8)) + test::protocol_tcp + bytes : 0;
  if (protocol != test::protocol_udp)
    frame.replace(begin + sum_at, 2, test::checksum(pseudo + test::sum16(view.substr(begin))));
  return frame;
}

// Records of [length: 2][frame].
std::string framed(std::string_view input, const EgressFilter& filter) {
  std::string stream;
  while (input.size() >= 2) {
    std::string frame = completed(std::string(input.substr(2, test::number_at(input, 0, 2))));
    auto packet = test::parse(frame);
    if (packet && packet->protocol != 0 && filter.judge(test::as_frame(frame)) == EgressFilter::Verdict::pass)
      REQUIRE(!packet->to.starts_with("127.") && !packet->to.starts_with("0."));
    stream += test::be32(frame.size()) + frame;
    input.remove_prefix(std::min(input.size(), 2 + frame.size()));
  }
  return stream;
}

bool is_gateways_arp_reply(const test::Packet& packet) {
  return packet.ethertype == test::ethertype_arp && packet.data.substr(6, 2) == test::be16(2) &&
         packet.data.substr(14, 4) == test::ip("10.0.2.2");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  bool raw = (data[0] & 1) != 0;
  std::string_view input = fuzz::as_text(data + 1, size - 1);
  auto pair = platform::make_socket_pair();
  REQUIRE(pair);
  auto stack = UserStack::open({.isolated = true}, std::move(pair->ours));
  REQUIRE(stack);

  EgressFilter filter(
      {.network = 0x0a000200, .mask = 0xffffff00, .gateway = 0x0a000202, .resolver = 0x0a000203, .guest = 0x0a00020f},
      {});
  std::string question = test::arp_request("10.0.2.15", "10.0.2.2");
  std::string stream = raw ? std::string(input) : framed(input, filter) + test::be32(question.size()) + question;
  REQUIRE(write_all(pair->theirs.get(), stream));
  REQUIRE(::shutdown(pair->theirs.get(), SHUT_WR) == 0);
  auto ended = (*stack)->run();
  if (!ended) fuzz::require_refusal(ended.error(), Errc::guest);
  REQUIRE(ended || raw);
  stack->reset();

  FrameStream answers(std::move(pair->theirs));
  bool answered = false;
  for (bool open = true; open;) {
    auto more = answers.receive([&](Frame frame) {
      auto packet = test::parse({reinterpret_cast<const char*>(frame.data()), frame.size()});
      REQUIRE(packet && (packet->ethertype == test::ethertype_arp || packet->ethertype == test::ethertype_ipv4));
      REQUIRE(frame.size() <= 14 + 1500);
      answered |= is_gateways_arp_reply(*packet);
    });
    REQUIRE(more);
    open = *more;
  }
  REQUIRE(answered || raw);
  return 0;
}
