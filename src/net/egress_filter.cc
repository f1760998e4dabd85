#include "net/egress_filter.h"

#include <algorithm>
#include <optional>

namespace diatom::net {

namespace {

using Verdict = EgressFilter::Verdict;

constexpr size_t address_bytes = 6;
constexpr size_t ethernet_bytes = 14;
constexpr uint16_t ethertype_ipv4 = 0x0800;
constexpr uint16_t ethertype_arp = 0x0806;
constexpr size_t min_ipv4_bytes = 20;
constexpr uint8_t protocol_icmp = 1;
constexpr uint8_t protocol_tcp = 6;
constexpr uint8_t protocol_udp = 17;
constexpr size_t tcp_header_bytes = 20;  // without options
constexpr size_t udp_header_bytes = 8;
constexpr uint32_t broadcast = 0xffffffff;

uint8_t u8(Frame bytes, size_t at) { return std::to_integer<uint8_t>(bytes[at]); }
uint16_t u16(Frame bytes, size_t at) { return static_cast<uint16_t>(u8(bytes, at) << 8 | u8(bytes, at + 1)); }
uint32_t u32(Frame bytes, size_t at) { return static_cast<uint32_t>(u16(bytes, at)) << 16 | u16(bytes, at + 2); }

struct Ipv4Packet {
  uint8_t protocol = 0;
  uint32_t source = 0;
  uint32_t destination = 0;
  bool first = true;      // holds the beginning of what it carries
  bool fragment = false;  // and is not all of it
  size_t header_bytes = 0;
  Frame payload;  // not beyond what libslirp will take for it
};

std::optional<Ipv4Packet> parse_ipv4(Frame frame) {
  if (frame.size() < ethernet_bytes + min_ipv4_bytes || u16(frame, 12) != ethertype_ipv4) return std::nullopt;
  Frame bytes = frame.subspan(ethernet_bytes);
  size_t header_bytes = (u8(bytes, 0) & 0xfU) * 4;
  size_t total_bytes = u16(bytes, 2);
  if (u8(bytes, 0) >> 4 != 4 || header_bytes < min_ipv4_bytes || total_bytes < header_bytes ||
      total_bytes > bytes.size())
    return std::nullopt;
  uint16_t fragment = u16(bytes, 6);
  return Ipv4Packet{.protocol = u8(bytes, 9),
                    .source = u32(bytes, 12),
                    .destination = u32(bytes, 16),
                    .first = (fragment & 0x1fff) == 0,
                    .fragment = (fragment & 0xbfff) != 0,  // everything but "don't fragment", as libslirp sees it
                    .header_bytes = header_bytes,
                    .payload = bytes.subspan(header_bytes, total_bytes - header_bytes)};
}

Verdict refuse(const Ipv4Packet& packet) {
  bool answerable =
      packet.payload.size() >= udp_header_bytes && (packet.protocol == protocol_tcp || packet.protocol == protocol_udp);
  return answerable ? Verdict::refuse : Verdict::drop;
}

// Whether libslirp would take it for the beginning of a connection.
bool begins_connection(Frame segment) {
  constexpr uint8_t syn = 0x02;
  constexpr uint8_t ack = 0x10;
  return (u8(segment, 13) & (syn | ack)) == syn;
}

// The Internet checksum of RFC 1071.
uint16_t checksum(std::span<const std::byte> bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) sum += u16(bytes, i);
  if (bytes.size() % 2 != 0) sum += static_cast<uint32_t>(u8(bytes, bytes.size() - 1) << 8);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

void put_u16(std::span<std::byte> bytes, size_t at, uint16_t value) {
  bytes[at] = static_cast<std::byte>(value >> 8);
  bytes[at + 1] = static_cast<std::byte>(value & 0xff);
}

void put_u32(std::span<std::byte> bytes, size_t at, uint32_t value) {
  put_u16(bytes, at, static_cast<uint16_t>(value >> 16));
  put_u16(bytes, at + 2, static_cast<uint16_t>(value & 0xffff));
}

}  // namespace

EgressFilter::EgressFilter(const GuestNetwork& network, const std::vector<uint16_t>& published_udp)
    : network_(network) {
  for (uint16_t port : published_udp) askers_[port];
}

Verdict EgressFilter::judge(Frame frame) const {
  if (frame.size() < ethernet_bytes) return Verdict::drop;
  if (u16(frame, 12) == ethertype_arp) return Verdict::pass;
  auto packet = parse_ipv4(frame);
  // libslirp before 4.8, as GCC 12 compiles it, takes a last fragment without others for a whole packet, and writes to
  // where its bytes point (its commit 26be815b).
  if (!packet || packet->fragment) return Verdict::drop;

  uint32_t destination = packet->destination;
  uint32_t first_octet = destination >> 24;
  if (first_octet == 127 || first_octet == 0) return refuse(*packet);  // 0.0.0.0 is the host itself, too
  bool is_local = destination == broadcast || (destination & network_.mask) == network_.network;
  if (!is_local) return Verdict::pass;

  switch (packet->protocol) {
    case protocol_icmp:
      return destination == network_.gateway || destination == network_.resolver ? Verdict::pass : Verdict::drop;
    case protocol_tcp:
      if (packet->payload.size() < tcp_header_bytes) return Verdict::drop;
      if (!begins_connection(packet->payload)) return Verdict::pass;
      if (destination == network_.resolver && u16(packet->payload, 2) == 53) return Verdict::pass;
      return refuse(*packet);
    case protocol_udp: {
      if (packet->payload.size() < udp_header_bytes) return Verdict::drop;
      Verdict verdict = judge_udp(packet->payload, packet->source, destination);
      return verdict == Verdict::refuse ? refuse(*packet) : verdict;
    }
    default:
      return Verdict::drop;
  }
}

Verdict EgressFilter::judge_udp(Frame datagram, uint32_t source, uint32_t destination) const {
  uint16_t source_port = u16(datagram, 0);
  uint16_t destination_port = u16(datagram, 2);
  constexpr uint16_t dhcp = 67;
  constexpr uint16_t dns = 53;
  if (destination_port == dhcp && (destination == network_.gateway || destination == broadcast)) return Verdict::pass;
  if (destination_port == dns && destination == network_.resolver) return Verdict::pass;
  if (destination == network_.gateway && source == network_.guest)
    if (auto found = askers_.find(source_port); found != askers_.end() && found->second[destination_port])
      return Verdict::pass;
  // Nobody answers to a broadcast.
  return (destination | network_.mask) == broadcast ? Verdict::drop : Verdict::refuse;
}

void EgressFilter::note(Frame frame) {
  if (askers_.empty()) return;
  auto packet = parse_ipv4(frame);
  if (!packet || packet->protocol != protocol_udp || packet->source != network_.gateway || !packet->first ||
      packet->payload.size() < udp_header_bytes)
    return;
  if (auto found = askers_.find(u16(packet->payload, 2)); found != askers_.end())
    found->second.set(u16(packet->payload, 0));
}

std::vector<std::byte> refusal(Frame refused, uint32_t gateway) {
  constexpr size_t icmp_header_bytes = 8;
  auto packet = parse_ipv4(refused);
  Frame quoted = refused.subspan(ethernet_bytes, packet->header_bytes + udp_header_bytes);
  std::vector<std::byte> answer(ethernet_bytes + min_ipv4_bytes + icmp_header_bytes + quoted.size());

  std::ranges::copy(refused.subspan(address_bytes, address_bytes), answer.begin());
  std::ranges::copy(refused.first(address_bytes), answer.begin() + address_bytes);
  put_u16(answer, 12, ethertype_ipv4);

  std::span<std::byte> ip = std::span(answer).subspan(ethernet_bytes);
  ip[0] = std::byte{0x45};
  put_u16(ip, 2, static_cast<uint16_t>(ip.size()));
  ip[8] = std::byte{64};
  ip[9] = std::byte{protocol_icmp};
  put_u32(ip, 12, gateway);
  put_u32(ip, 16, packet->source);
  put_u16(ip, 10, checksum(ip.first(min_ipv4_bytes)));

  std::span<std::byte> icmp = ip.subspan(min_ipv4_bytes);
  icmp[0] = std::byte{3};   // destination unreachable
  icmp[1] = std::byte{13};  // communication administratively prohibited
  std::ranges::copy(quoted, icmp.begin() + icmp_header_bytes);
  put_u16(icmp, 2, checksum(icmp));
  return answer;
}

}  // namespace diatom::net
