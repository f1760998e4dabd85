#include "arguments.h"

#include <charconv>
#include <string_view>

namespace diatom::agent {

namespace {

constexpr std::string_view vsock_prefix = "channel=vsock:";
constexpr std::string_view disk_prefix = "disk=";

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
    } else if (word == "load-network") {
      arguments.load_network = true;
    } else if (word == "find-disks") {
      arguments.find_disks = true;
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
