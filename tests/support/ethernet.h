// Ethernet, ARP, IPv4, UDP and TCP, as much as a guest in a test has to speak. Frames are strings of their bytes.
#pragma once

#include <arpa/inet.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace diatom::test {

constexpr uint8_t protocol_icmp = 1;
constexpr uint8_t protocol_tcp = 6;
constexpr uint8_t protocol_udp = 17;
constexpr std::string_view guest_mac("\x02\x00\x00\x00\x00\x01", 6);
constexpr std::string_view broadcast_mac("\xff\xff\xff\xff\xff\xff", 6);
constexpr std::string_view ethertype_ipv4("\x08\x00", 2);
constexpr std::string_view ethertype_arp("\x08\x06", 2);

// The flags of TCP.
constexpr int fin = 0x01;
constexpr int syn = 0x02;
constexpr int rst = 0x04;
constexpr int ack = 0x10;

inline std::string be16(size_t value) {
  return {static_cast<char>(value >> 8 & 0xff), static_cast<char>(value & 0xff)};
}
inline std::string be32(size_t value) { return be16(value >> 16) + be16(value & 0xffff); }
inline uint32_t number_at(std::string_view bytes, size_t at, size_t count) {
  uint32_t value = 0;
  for (char byte : bytes.substr(at, count)) value = value << 8 | static_cast<uint8_t>(byte);
  return value;
}
inline std::string ip(const std::string& text) {
  in_addr address{};
  if (::inet_pton(AF_INET, text.c_str(), &address) != 1) std::abort();
  return be32(ntohl(address.s_addr));
}
inline std::string ip_text(std::string_view bytes) {
  in_addr address{htonl(number_at(bytes, 0, 4))};
  return ::inet_ntoa(address);
}

inline size_t sum16(std::string_view bytes) {
  size_t sum = 0;
  for (size_t i = 0; i < bytes.size(); i += 2) sum += number_at(std::string(bytes.substr(i, 2)) + '\0', 0, 2);
  return sum;
}
inline std::string checksum(size_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return be16(~sum & 0xffff);
}

inline std::string arp_request(const std::string& sender, const std::string& target) {
  return std::string(broadcast_mac) + std::string(guest_mac) + std::string(ethertype_arp) + be16(1) + be16(0x0800) +
         "\x06\x04" + be16(1) + std::string(guest_mac) + ip(sender) + std::string(6, '\0') + ip(target);
}
inline std::string arp_reply(const std::string& sender, std::string_view to_mac, const std::string& target) {
  return std::string(to_mac) + std::string(guest_mac) + std::string(ethertype_arp) + be16(1) + be16(0x0800) +
         "\x06\x04" + be16(2) + std::string(guest_mac) + ip(sender) + std::string(to_mac) + ip(target);
}

struct Ip {
  std::string from = "10.0.2.15";
  std::string to = "10.0.2.2";
  uint8_t protocol = protocol_udp;
  uint16_t fragment = 0;  // flags and offset, as in the header
  std::string options = {};
};

inline std::string ipv4(const Ip& header, std::string_view payload) {
  size_t header_bytes = 20 + header.options.size();
  std::string before = std::string(1, static_cast<char>(0x40 | header_bytes / 4)) + '\0' +
                       be16(header_bytes + payload.size()) + be16(7) + be16(header.fragment) + '\x40' +
                       static_cast<char>(header.protocol);
  std::string after = ip(header.from) + ip(header.to) + header.options;
  return std::string("\x52\x55\x0a\x00\x02\x02", 6) + std::string(guest_mac) + std::string(ethertype_ipv4) + before +
         checksum(sum16(before) + sum16(after)) + after + std::string(payload);
}

inline std::string udp(Ip header, uint16_t from_port, uint16_t to_port, std::string_view data) {
  header.protocol = protocol_udp;
  // No checksum: UDP over IPv4 may leave it out.
  return ipv4(header, be16(from_port) + be16(to_port) + be16(8 + data.size()) + be16(0) + std::string(data));
}

struct Tcp {
  uint16_t from_port = 0;
  uint16_t to_port = 0;
  uint32_t sequence = 0;
  uint32_t acknowledged = 0;
  uint8_t flags = 0;
};

inline std::string tcp(Ip header, const Tcp& segment, std::string_view data = {}) {
  header.protocol = protocol_tcp;
  std::string before = be16(segment.from_port) + be16(segment.to_port) + be32(segment.sequence) +
                       be32(segment.acknowledged) + '\x50' + static_cast<char>(segment.flags) + be16(65535);
  std::string after = be16(0) + std::string(data);
  std::string pseudo = ip(header.from) + ip(header.to) + be16(protocol_tcp) + be16(20 + data.size());
  return ipv4(header, before + checksum(sum16(pseudo) + sum16(before) + sum16(after)) + after);
}

// What a frame is, as far as it could be told.
struct Packet {
  std::string ethertype;
  std::string source_mac;
  uint8_t protocol = 0;
  std::string from;
  std::string to;
  uint16_t from_port = 0;
  uint16_t to_port = 0;
  Tcp segment = {};
  std::string data = {};  // ARP's and ICMP's: the whole message
};

inline std::optional<Packet> parse(std::string_view frame) {
  if (frame.size() < 14) return std::nullopt;
  Packet packet{.ethertype = std::string(frame.substr(12, 2)),
                .source_mac = std::string(frame.substr(6, 6)),
                .from = {},
                .to = {}};
  std::string_view rest = frame.substr(14);
  packet.data = rest;
  if (packet.ethertype != ethertype_ipv4) return packet;
  if (rest.size() < 20) return std::nullopt;
  size_t header_bytes = (number_at(rest, 0, 1) & 0xf) * 4;
  size_t total = number_at(rest, 2, 2);
  if (header_bytes < 20 || total < header_bytes || total > rest.size()) return std::nullopt;
  if (checksum(sum16(rest.substr(0, header_bytes))) != std::string(2, '\0')) return std::nullopt;
  packet.protocol = static_cast<uint8_t>(rest[9]);
  packet.from = ip_text(rest.substr(12, 4));
  packet.to = ip_text(rest.substr(16, 4));
  rest = rest.substr(header_bytes, total - header_bytes);
  packet.data = rest;
  if (packet.protocol == protocol_udp && rest.size() >= 8) {
    packet.data = rest.substr(8);
  } else if (packet.protocol == protocol_tcp && rest.size() >= 20) {
    packet.segment = {.from_port = static_cast<uint16_t>(number_at(rest, 0, 2)),
                      .to_port = static_cast<uint16_t>(number_at(rest, 2, 2)),
                      .sequence = number_at(rest, 4, 4),
                      .acknowledged = number_at(rest, 8, 4),
                      .flags = static_cast<uint8_t>(rest[13])};
    packet.data = rest.substr(std::min<size_t>(number_at(rest, 12, 1) >> 4, rest.size() / 4) * 4);
  } else {
    return packet;
  }
  packet.from_port = static_cast<uint16_t>(number_at(rest, 0, 2));
  packet.to_port = static_cast<uint16_t>(number_at(rest, 2, 2));
  return packet;
}

inline std::span<const std::byte> as_frame(std::string_view bytes) { return std::as_bytes(std::span(bytes)); }

}  // namespace diatom::test
