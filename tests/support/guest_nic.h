// A guest's end of its NIC, as a test drives it: frames out, and packets in, each awaited with a deadline.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "support/ethernet.h"

namespace diatom::test {

class GuestNic {
 public:
  explicit GuestNic(UniqueFd socket) : socket_(std::move(socket)) {}

  void send(const std::string& frame) { send_raw(be32(frame.size()) + frame); }
  void send_raw(std::string_view bytes) { EXPECT_TRUE(write_all(socket_.get(), bytes)); }
  void close() { socket_.reset(); }

  // The next frame; none when the other end has closed, or nothing has come in time. What asks for the guest's MAC is
  // answered, as a kernel does.
  std::optional<std::string> receive() {
    while (true) {
      auto header = read_bytes(4);
      auto frame = header ? read_bytes(number_at(*header, 0, 4)) : std::nullopt;
      if (!frame) return std::nullopt;
      auto packet = parse(*frame);
      if (!packet || packet->ethertype != ethertype_arp || packet->data.substr(6, 2) != be16(1)) return frame;
      send(arp_reply(ip_text(packet->data.substr(24)), packet->source_mac, ip_text(packet->data.substr(14))));
    }
  }

  // The first packet of that kind; others are passed over.
  std::optional<Packet> await(const std::function<bool(const Packet&)>& wanted) {
    while (auto frame = receive()) {
      auto packet = parse(*frame);
      if (packet && wanted(*packet)) return packet;
    }
    return std::nullopt;
  }

  // Everything that comes up to an answer to a ping: all that was sent before has been dealt with by then.
  std::vector<Packet> settle() {
    std::string id = be16(++pings_);
    std::string echo = std::string("\x08\x00", 2) + checksum(0x0800 + number_at(id, 0, 2)) + id + be16(0);
    send(ipv4({.protocol = protocol_icmp}, echo));
    std::vector<Packet> before;
    bool answered = await([&](const Packet& packet) {
                      bool pong = packet.protocol == protocol_icmp && packet.data.substr(0, 2) == be16(0) &&
                                  packet.data.substr(4, 2) == id;
                      if (!pong) before.push_back(packet);
                      return pong;
                    }).has_value();
    EXPECT_TRUE(answered) << "the gateway does not answer";
    return before;
  }

 private:
  std::optional<std::string> read_bytes(size_t bytes) {
    std::string read(bytes, '\0');
    for (size_t have = 0; have < bytes;) {
      pollfd polled{socket_.get(), POLLIN, 0};
      constexpr int deadline_ms = 20'000;
      if (::poll(&polled, 1, deadline_ms) <= 0) return std::nullopt;
      auto got = read_some(socket_.get(), std::as_writable_bytes(std::span(read)).subspan(have));
      if (!got || *got == 0) return std::nullopt;
      have += *got;
    }
    return read;
  }

  UniqueFd socket_;
  uint16_t pings_ = 0;
};

}  // namespace diatom::test
