#include "cli/network_flags.h"

#include "cli/options.h"
#include "net/port_mapping.h"

namespace diatom::cli {

void add_network_flags(CLI::App& verb, ContainerSpec& spec, NetworkFlags& flags) {
  many(
      verb.add_option("-p,--publish", flags.publish, "publish a port: [ADDRESS:][HOST_PORT:]PORT[/udp], on 127.0.0.1"));
  verb.add_flag("-P,--publish-all", spec.publish_all, "publish all exposed ports, on free ones of the host");
  many(verb.add_option("--expose", spec.expose, "a port, or a range, that -P publishes"));
  one(verb.add_option("--network,--net", spec.network,
                      "none, tsi, or default: outgoing connections, and published ports"));
  many(verb.add_option("--dns", spec.dns, "address of a name server (default: the host's)"));
  many(verb.add_option("--dns-search", spec.dns_search, "search domain (default: the host's; \".\" = none)"));
  many(verb.add_option("--dns-option,--dns-opt", spec.dns_options, "option of resolv.conf (default: the host's)"));
  many(verb.add_option("--add-host", spec.extra_hosts, "a line for /etc/hosts: NAME:ADDRESS"));
}

Result<> finish_network_flags(const NetworkFlags& flags, ContainerSpec& spec) {
  for (const auto& text : flags.publish)
    for (PortMapping& mapping : TRY(net::parse_port_mapping(text))) spec.ports.push_back(std::move(mapping));
  return {};
}

}  // namespace diatom::cli
