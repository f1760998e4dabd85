#include <fmt/core.h>

#include <algorithm>
#include <memory>

#include "cli/container_text.h"
#include "cli/container_verbs.h"
#include "cli/options.h"
#include "diatom/runtime.h"
#include "net/port_mapping.h"

namespace diatom::cli {

namespace {

struct Flags {
  std::string name, port;
};

Result<int> port(const Flags& flags) {
  Runtime runtime = TRY(Runtime::open());
  ContainerInfo info = TRY(runtime.container(flags.name));
  std::ranges::sort(info.ports, {}, &PortMapping::container_port);
  if (flags.port.empty()) {
    for (const PortMapping& one : info.ports)
      fmt::print("{} -> {}\n", net::print_container_port(one), host_port_text(one));
    return 0;
  }
  auto wanted = TRY(net::parse_exposed_port(flags.port));
  bool found = false;
  for (const PortMapping& one : info.ports)
    for (const PortMapping& other : wanted) {
      if (net::print_container_port(one) != net::print_container_port(other)) continue;
      fmt::print("{}\n", host_port_text(one));
      found = true;
    }
  if (found) return 0;
  return fail(Errc::not_found,
              fmt::format("show port of container \"{}\": {} is not published", info.name,
                          net::print_container_port(wanted.front())),
              info.ports.empty() ? "no port of it is" : "`diatom port " + info.name + "` lists those that are");
}

}  // namespace

void add_port(CLI::App& parent, Invocation& invocation) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = parent.add_subcommand("port", "show where the ports of a container are published");
  verb->add_option("CONTAINER", flags->name, "name or id")->required();
  verb->add_option("PORT", flags->port, "only that port: PORT[/PROTOCOL]");
  verb->callback([&invocation, flags] { invocation.run = [flags] { return port(*flags); }; });
}

}  // namespace diatom::cli
