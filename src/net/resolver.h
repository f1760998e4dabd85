// resolv.conf(5) of a container, from the host's and what was asked for.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace diatom::net {

struct ResolverConfig {
  std::vector<std::string> search;
  std::vector<std::string> options;
};

// What a container takes over of the host's file: not its name servers, which may be out of its reach. Total.
ResolverConfig parse_resolv_conf(std::string_view text);

struct ResolverWishes {
  std::vector<std::string> servers;  // empty: `server`
  std::vector<std::string> search;   // empty: the host's; {"."} = none
  std::vector<std::string> options;  // empty: the host's
};

// The lines of the container's file. Errors: invalid_argument names what is no address or no word.
Result<std::vector<std::string>> resolv_conf_lines(const ResolverWishes& wishes, const ResolverConfig& host,
                                                   const std::string& server);

// docker's --add-host, "name:address" or "name=address", as a line of hosts(5).
Result<std::string> hosts_line(std::string_view text);

}  // namespace diatom::net
