#include "net/port_mapping.h"

#include <arpa/inet.h>

#include <charconv>
#include <optional>

namespace diatom::net {

namespace {

constexpr std::string_view hint = "write [ADDRESS:][PORT:]PORT[/tcp|/udp], as 8080:80, 127.0.0.1:5353:53/udp or 80";

std::unexpected<Error> refuse(std::string_view text, std::string_view why) {
  return fail(Errc::invalid_argument, "parse port \"" + std::string(text) + "\": " + std::string(why),
              std::string(hint));
}

struct Range {
  uint16_t first = 0;
  uint16_t last = 0;
  int count() const { return last - first + 1; }
};

std::optional<uint16_t> parse_number(std::string_view text) {
  uint16_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Port 0 is none.
std::optional<Range> parse_range(std::string_view text) {
  size_t dash = text.find('-');
  auto first = parse_number(text.substr(0, dash));
  auto last = dash == std::string_view::npos ? first : parse_number(text.substr(dash + 1));
  if (!first || !last || *first == 0 || *first > *last) return std::nullopt;
  return Range{*first, *last};
}

// Cuts the protocol off; nothing when it is one that cannot be published.
std::optional<std::string> take_protocol(std::string_view& text) {
  size_t slash = text.rfind('/');
  if (slash == std::string_view::npos) return "tcp";
  std::string protocol(text.substr(slash + 1));
  text = text.substr(0, slash);
  for (char& c : protocol)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  if (protocol == "tcp" || protocol == "udp") return protocol;
  return std::nullopt;
}

bool is_address(const std::string& text) {
  in6_addr address{};
  return ::inet_pton(AF_INET, text.c_str(), &address) == 1 || ::inet_pton(AF_INET6, text.c_str(), &address) == 1;
}

// Cuts "address:" off, in brackets or not; nothing when there is something that is no address.
std::optional<std::string> take_address(std::string_view& text) {
  std::string address;
  if (text.starts_with('[')) {
    size_t end = text.find("]:");
    if (end == std::string_view::npos) return std::nullopt;
    address = text.substr(1, end - 1);
    text.remove_prefix(end + 2);
  } else {
    size_t last = text.rfind(':');
    size_t before = last == std::string_view::npos || last == 0 ? last : text.rfind(':', last - 1);
    if (last == std::string_view::npos || last == 0 || before == std::string_view::npos) return "";
    address = text.substr(0, before);
    text.remove_prefix(before + 1);
    if (address.empty()) return "";  // docker's "::80": any
  }
  if (address.find('\0') != std::string::npos || !is_address(address)) return std::nullopt;
  return address;
}

std::vector<PortMapping> pair_up(const std::string& address, std::optional<Range> host, Range container,
                                 const std::string& protocol) {
  std::vector<PortMapping> mappings;
  for (int i = 0; i < container.count(); ++i) {
    PortMapping& mapping = mappings.emplace_back();
    mapping.host_address = address;
    mapping.container_port = static_cast<uint16_t>(container.first + i);
    mapping.protocol = protocol;
    if (!host) continue;
    bool any_of_range = container.count() == 1 && host->count() > 1;
    mapping.host_port = static_cast<uint16_t>(host->first + i);
    if (any_of_range) mapping.last_host_port = host->last;
  }
  return mappings;
}

}  // namespace

Result<std::vector<PortMapping>> parse_port_mapping(std::string_view text) {
  std::string_view rest = text;
  auto protocol = take_protocol(rest);
  if (!protocol) return refuse(text, "the protocol is neither tcp nor udp");
  auto address = take_address(rest);
  if (!address) return refuse(text, "it begins with no IP address");
  size_t colon = rest.find(':');
  std::string_view host_text = colon == std::string_view::npos ? "" : rest.substr(0, colon);
  auto container = parse_range(colon == std::string_view::npos ? rest : rest.substr(colon + 1));
  if (!container) return refuse(text, "the container's port is none");
  std::optional<Range> host;
  if (!host_text.empty() && host_text != "0") {
    host = parse_range(host_text);
    if (!host) return refuse(text, "the host's port is none");
    if (host->count() != container->count() && container->count() != 1)
      return refuse(text, "the ranges differ in length");
  }
  return pair_up(*address, host, *container, *protocol);
}

Result<std::vector<PortMapping>> parse_exposed_port(std::string_view text) {
  std::string_view rest = text;
  auto protocol = take_protocol(rest);
  if (!protocol) return refuse(text, "the protocol is neither tcp nor udp");
  auto container = parse_range(rest);
  if (!container) return refuse(text, "it is no port");
  return pair_up("", std::nullopt, *container, *protocol);
}

std::string print_host_port(const PortMapping& mapping) {
  bool is_v6 = mapping.host_address.find(':') != std::string::npos;
  std::string address = is_v6 ? "[" + mapping.host_address + "]" : mapping.host_address;
  return address + ":" + std::to_string(mapping.host_port) + "/" + mapping.protocol;
}

std::string print_container_port(const PortMapping& mapping) {
  return std::to_string(mapping.container_port) + "/" + mapping.protocol;
}

}  // namespace diatom::net
