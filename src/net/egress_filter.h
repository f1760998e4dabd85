// Which of a guest's frames may reach libslirp. By itself that would connect the guest to services on the host's
// loopback: it takes the gateway's address for 127.0.0.1, and sends to 127.0.0.1 and 0.0.0.0 as to any other address.
// (Its switch disable_host_loopback closes the first way alone, and with it the answers of published UDP ports.)
// Everything here is decided by a frame's bytes: the guest's kernel is not trusted.
#pragma once

#include <bitset>
#include <cstdint>
#include <map>
#include <vector>

#include "net/frame_stream.h"

namespace diatom::net {

// In the host's byte order.
struct GuestNetwork {
  uint32_t network = 0;
  uint32_t mask = 0;
  uint32_t gateway = 0;
  uint32_t resolver = 0;
  uint32_t guest = 0;
};

class EgressFilter {
 public:
  enum class Verdict { pass, drop, refuse };  // refuse: dropped, too, but the sender should hear of it (refusal())

  // Of published UDP ports the guest's side.
  EgressFilter(const GuestNetwork& network, const std::vector<uint16_t>& published_udp);

  // To the world goes IPv4, but no fragments: a datagram must fit into a frame. To the guest's own network: ARP, ICMP
  // echo, DHCP, DNS to the resolver, TCP of connections that came from outside, and the answers to datagrams that came
  // by published ports.
  Verdict judge(Frame from_guest) const;

  // Of every frame that goes to the guest: who has asked by a published UDP port may be answered.
  void note(Frame to_guest);

 private:
  Verdict judge_udp(Frame datagram, uint32_t source, uint32_t destination) const;

  GuestNetwork network_;
  std::map<uint16_t, std::bitset<1 << 16>> askers_;  // published port of the guest -> ports of the host's loopback
};

// What a firewall answers to a TCP or UDP packet that it refuses: ICMP "administratively prohibited", by which
// connect(2) fails at once. `refused` is a frame that judge() has refused.
std::vector<std::byte> refusal(Frame refused, uint32_t gateway);

}  // namespace diatom::net
