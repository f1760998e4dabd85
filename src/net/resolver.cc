#include "net/resolver.h"

#include <arpa/inet.h>

#include <algorithm>

namespace diatom::net {

namespace {

std::vector<std::string> words_of(std::string_view line) {
  std::vector<std::string> words;
  constexpr std::string_view space = " \t\r\v\f";
  for (size_t begin = 0; (begin = line.find_first_not_of(space, begin)) != std::string_view::npos;) {
    size_t end = std::min(line.find_first_of(space, begin), line.size());
    words.emplace_back(line.substr(begin, end - begin));
    begin = end;
  }
  return words;
}

bool is_address(const std::string& text) {
  in6_addr address{};
  if (text.find('\0') != std::string::npos) return false;
  return ::inet_pton(AF_INET, text.c_str(), &address) == 1 || ::inet_pton(AF_INET6, text.c_str(), &address) == 1;
}

// A word that cannot become another line of a file, nor two words.
bool is_word(std::string_view text) {
  return !text.empty() && text.size() <= 255 && std::ranges::all_of(text, [](char c) { return c > ' ' && c < 127; });
}

std::string line_of(std::string_view key, const std::vector<std::string>& words) {
  std::string line(key);
  for (const auto& word : words) line += " " + word;
  return line;
}

}  // namespace

ResolverConfig parse_resolv_conf(std::string_view text) {
  ResolverConfig config;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = std::min(text.find('\n', begin), text.size());
    auto words = words_of(text.substr(begin, end - begin));
    begin = end + 1;
    if (words.size() < 2 || !std::ranges::all_of(words, is_word)) continue;
    std::string key = words.front();
    words.erase(words.begin());
    if (key == "search") config.search = words;  // of several the last counts, and a domain is a search of one
    if (key == "domain") config.search = {words.front()};
    if (key == "options") config.options.insert(config.options.end(), words.begin(), words.end());
  }
  return config;
}

Result<std::vector<std::string>> resolv_conf_lines(const ResolverWishes& wishes, const ResolverConfig& host,
                                                   const std::string& server) {
  for (const auto& address : wishes.servers)
    if (!is_address(address)) return fail(Errc::invalid_argument, "use dns \"" + address + "\": it is no IP address");
  for (const auto& [what, list] : {std::pair{"dns search domain", &wishes.search}, {"dns option", &wishes.options}})
    for (const auto& word : *list)
      if (!is_word(word))
        return fail(Errc::invalid_argument, std::string("use ") + what + " \"" + word + "\": not one word");
  std::vector<std::string> lines;
  std::vector<std::string> servers = wishes.servers;
  if (servers.empty() && !server.empty()) servers.push_back(server);
  for (const auto& address : servers) lines.push_back("nameserver " + address);
  std::vector<std::string> search = wishes.search.empty() ? host.search : wishes.search;
  std::erase(search, ".");
  if (!search.empty()) lines.push_back(line_of("search", search));
  const auto& options = wishes.options.empty() ? host.options : wishes.options;
  if (!options.empty()) lines.push_back(line_of("options", options));
  return lines;
}

Result<std::string> hosts_line(std::string_view text) {
  size_t apart = text.find_first_of("=:");
  std::string name(text.substr(0, apart));
  std::string address(apart == std::string_view::npos ? "" : text.substr(apart + 1));
  if (address.size() > 2 && address.front() == '[' && address.back() == ']')
    address = address.substr(1, address.size() - 2);
  std::string what = "add host \"" + std::string(text) + "\": ";
  if (address == "host-gateway")
    return fail(Errc::unsupported, what + "a container cannot reach its host's loopback",
                "give an address of the host's that others reach it by");
  if (!is_word(name) || !is_address(address))
    return fail(Errc::invalid_argument, what + "not a name and an IP address", "write NAME:ADDRESS");
  return address + "\t" + name;
}

}  // namespace diatom::net
