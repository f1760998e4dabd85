#include "cli/container_text.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "base/text.h"
#include "cli/human_time.h"
#include "cli/text.h"
#include "net/port_mapping.h"
#include "runtime/json/documents.h"

namespace diatom::cli {

namespace {

std::string up(const ContainerInfo& info, int64_t now_ns) {
  std::string text = "Up " + human_duration((now_ns - info.started_ns) / 1'000'000'000);
  if (info.state == "paused") return text + " (Paused)";
  if (info.state == "stopping") return text + " (Stopping)";
  if (info.health.status == "starting") return text + " (health: starting)";
  if (!info.health.status.empty()) return text + " (" + info.health.status + ")";
  return text;
}

// docker's DisplayablePorts: neighbours that are published under their own number, or not at all, are shown as a
// range.
class PortGroups {
 public:
  void add(const std::string& host, uint16_t port, const std::string& protocol) {
    auto last = std::ranges::find_if(groups_, [&](const Group& group) {
      return group.host == host && group.protocol == protocol && group.last + 1 == port;
    });
    if (last != groups_.end())
      last->last = port;
    else
      groups_.push_back({host, protocol, port, port});
  }
  std::vector<std::string> texts() const {
    std::vector<std::string> texts;
    for (const Group& group : groups_) {
      std::string range = std::to_string(group.first);
      if (group.last != group.first) range += "-" + std::to_string(group.last);
      if (!group.host.empty()) range = group.host + ":" + range + "->" + range;
      texts.push_back(range + "/" + group.protocol);
    }
    return texts;
  }

 private:
  struct Group {
    std::string host, protocol;
    uint16_t first, last;
  };
  std::vector<Group> groups_;
};

std::string host_text(const PortMapping& port) {
  std::string host = port.host_address.empty() ? "127.0.0.1" : port.host_address;
  return host.find(':') == std::string::npos ? host : "[" + host + "]";
}

}  // namespace

std::string container_status(const ContainerInfo& info, int64_t now_ns) {
  if (info.state == "exited")
    return fmt::format("Exited ({}) {}", info.exit_code, human_since(info.finished_ns, now_ns));
  if (info.state == "failed")
    return info.finished_ns == 0 ? "Failed"
                                 : fmt::format("Failed ({}) {}", info.exit_code, human_since(info.finished_ns, now_ns));
  if (info.state == "restarting")
    return fmt::format("Restarting ({}) {}", info.exit_code, human_since(info.finished_ns, now_ns));
  if (info.state == "created") return "Created";
  if (info.state == "starting" || info.started_ns == 0) return "Starting";
  return up(info, now_ns);
}

std::string container_command(const ContainerInfo& info, bool whole) {
  std::string line;
  for (const auto& word : info.command) line += (line.empty() ? "" : " ") + word;
  return "\"" + (whole ? line : ellipsis(printable(line, uncut), 20)) + "\"";
}

std::string host_port_text(const PortMapping& port) { return fmt::format("{}:{}", host_text(port), port.host_port); }

std::string container_ports(const ContainerInfo& info) {
  struct Shown {
    PortMapping port;
    bool published;
  };
  std::vector<Shown> all;
  for (const PortMapping& port : info.ports) all.push_back({port, true});
  bool runs = info.started_ns != 0 && info.finished_ns == 0;
  for (const auto& text : runs ? container_exposed(info) : std::vector<std::string>())
    if (auto parsed = net::parse_exposed_port(text))
      for (const PortMapping& port : *parsed)
        if (std::ranges::none_of(info.ports, [&](const PortMapping& other) {
              return net::print_container_port(other) == net::print_container_port(port);
            }))
          all.push_back({port, false});
  std::ranges::sort(all, {}, [](const Shown& one) {
    return std::tuple(one.port.container_port, one.port.host_address, one.port.host_port, one.port.protocol);
  });
  PortGroups groups;
  std::vector<std::string> others;
  for (const auto& [port, published] : all) {
    if (published && port.host_port != port.container_port)
      others.push_back(host_port_text(port) + "->" + net::print_container_port(port));
    else
      groups.add(published ? host_text(port) : "", port.container_port, port.protocol);
  }
  std::vector<std::string> texts = groups.texts();
  texts.insert(texts.end(), others.begin(), others.end());
  std::string line;
  for (const auto& text : texts) line += (line.empty() ? "" : ", ") + text;
  return line;
}

}  // namespace diatom::cli
