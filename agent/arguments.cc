#include "arguments.h"

#include <algorithm>
#include <charconv>
#include <string_view>

namespace diatom::agent {

namespace {

constexpr std::string_view vsock_prefix = "channel=vsock:";
constexpr std::string_view disk_prefix = "disk=";
constexpr std::string_view network_prefix = "network=";

std::string_view take_until(char end, std::string_view& rest) {
  size_t at = std::min(rest.find(end), rest.size());
  std::string_view taken = rest.substr(0, at);
  rest.remove_prefix(std::min(at + 1, rest.size()));
  return taken;
}

// Address/prefix,gateway,resolver.
std::optional<channel::NetworkConfig> parse_network(std::string_view text) {
  channel::NetworkConfig network;
  network.address = take_until('/', text);
  std::string_view prefix = take_until(',', text);
  auto [end, error] = std::from_chars(prefix.data(), prefix.data() + prefix.size(), network.prefix);
  network.gateway = take_until(',', text);
  network.resolver = text;
  if (error != std::errc() || end != prefix.data() + prefix.size() || network.resolver.empty()) return std::nullopt;
  return network;
}

}  // namespace

Arguments parse_arguments(std::span<char* const> words) {
  Arguments arguments;
  for (std::string_view word : words) {
    if (word.starts_with(vsock_prefix)) {
      std::string_view digits = word.substr(vsock_prefix.size());
      uint32_t port = 0;
      auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
      if (error == std::errc() && end == digits.data() + digits.size()) arguments.vsock_port = port;
    } else if (word == "nic=none") {
      arguments.without_nics = true;
    } else if (word == "prepare") {
      arguments.prepare = true;
    } else if (word.starts_with(network_prefix)) {
      arguments.network = parse_network(word.substr(network_prefix.size()));
    } else if (word == "disks=files") {
      arguments.disks_are_files = true;
    } else if (word.starts_with(disk_prefix)) {
      word.remove_prefix(disk_prefix.size());
      size_t colon = word.find(':');
      if (colon != std::string_view::npos) arguments.disks.emplace(word.substr(0, colon), word.substr(colon + 1));
    }
  }
  return arguments;
}

}  // namespace diatom::agent
