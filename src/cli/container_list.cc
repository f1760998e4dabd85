#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <nlohmann/json.hpp>
#include <regex>

#include "base/clock.h"
#include "cli/container_text.h"
#include "cli/container_verbs.h"
#include "cli/human_time.h"
#include "cli/json_output.h"
#include "cli/listing.h"
#include "cli/options.h"
#include "diatom/runtime.h"
#include "net/port_mapping.h"
#include "runtime/json/documents.h"

namespace diatom::cli {

namespace {

struct Flags {
  bool all = false, quiet = false, no_trunc = false, json = false, latest = false, size = false;
  int64_t last = -1;
  std::string format;
  std::vector<std::string> filters;
};

constexpr std::string_view columns =
    R"({{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}})";
constexpr std::string_view columns_with_size =
    R"({{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}\t{{.Size}})";

const Json& headings() {
  static const Json json = {{"Command", "COMMAND"},    {"CreatedAt", "CREATED AT"},
                            {"Engine", "ENGINE"},      {"ExitCode", "EXIT CODE"},
                            {"ID", "CONTAINER ID"},    {"Image", "IMAGE"},
                            {"Labels", "LABELS"},      {"LocalVolumes", "LOCAL VOLUMES"},
                            {"Mounts", "MOUNTS"},      {"Names", "NAMES"},
                            {"Networks", "NETWORKS"},  {"Ports", "PORTS"},
                            {"RunningFor", "CREATED"}, {"Size", "SIZE"},
                            {"State", "STATE"},        {"Status", "STATUS"}};
  return json;
}

std::string network_of(const ContainerInfo& info) { return info.spec.network.empty() ? "default" : info.spec.network; }

Json row(const ContainerInfo& info, const std::string& size, bool whole) {
  int64_t now = wall_clock_ns();
  std::string labels;
  for (const auto& [key, value] : info.spec.labels) labels += (labels.empty() ? "" : ",") + key + "=" + value;
  return {{"Command", container_command(info, whole)},
          {"CreatedAt", time_in_zone(info.created_ns)},
          {"Engine", info.engine},
          {"ExitCode", info.exit_code},
          {"ID", whole ? info.id : info.id.substr(0, 12)},
          {"Image", info.image},
          {"Labels", labels},
          {"LocalVolumes", "0"},
          {"Mounts", ""},
          {"Names", info.name},
          {"Networks", network_of(info)},
          {"Ports", container_ports(info)},
          {"RunningFor", human_since(info.created_ns, now)},
          {"Size", size},
          {"State", info.state},
          {"Status", container_status(info, now)}};
}

Error wrong_filter(const Filter& filter, std::string hint) {
  return {Errc::invalid_argument, fmt::format("parse filter \"{}={}\"", filter.first, filter.second), std::move(hint),
          0};
}

// A filter, ready to be asked.
using Fits = std::function<bool(const ContainerInfo&)>;

Result<Fits> one_of(const Filter& filter, const std::vector<std::string_view>& words,
                    const std::function<std::string(const ContainerInfo&)>& value_of) {
  std::string hint;
  for (auto word : words) hint += (hint.empty() ? "" : ", ") + std::string(word);
  if (std::ranges::find(words, filter.second) == words.end())
    return std::unexpected(wrong_filter(filter, "one of " + hint));
  return Fits([value = filter.second, value_of](const ContainerInfo& info) { return value_of(info) == value; });
}

// docker's: a regular expression that fits somewhere in the name, which may be written with its slash.
Result<Fits> name_fits(const Filter& filter) {
  try {
    std::regex pattern(filter.second);
    return Fits([pattern](const ContainerInfo& info) {
      return std::regex_search(info.name, pattern) || std::regex_search("/" + info.name, pattern);
    });
  } catch (const std::regex_error&) {
    return std::unexpected(wrong_filter(filter, "write a regular expression"));
  }
}

Result<Fits> port_fits(const Filter& filter) {
  auto wanted = net::parse_exposed_port(filter.second);
  if (!wanted) return std::unexpected(wrong_filter(filter, "write PORT[/PROTOCOL], or a range of ports"));
  auto fits = [wanted = *wanted](uint16_t port, const std::string& protocol) {
    return std::ranges::any_of(
        wanted, [&](const PortMapping& one) { return one.container_port == port && one.protocol == protocol; });
  };
  if (filter.first == "publish")
    return Fits([fits](const ContainerInfo& info) {
      return std::ranges::any_of(info.ports, [&](const auto& port) { return fits(port.host_port, port.protocol); });
    });
  return Fits([fits](const ContainerInfo& info) {
    return std::ranges::any_of(container_exposed(info), [&](const std::string& text) {
      auto ports = net::parse_exposed_port(text);
      return ports &&
             std::ranges::any_of(*ports, [&](const auto& port) { return fits(port.container_port, port.protocol); });
    });
  });
}

Result<Fits> exit_code_fits(const Filter& filter) {
  int code = 0;
  const char* end = filter.second.data() + filter.second.size();
  auto [rest, error] = std::from_chars(filter.second.data(), end, code);
  if (error != std::errc() || rest != end) return std::unexpected(wrong_filter(filter, "write an exit code"));
  return Fits([code](const ContainerInfo& info) { return info.state == "exited" && info.exit_code == code; });
}

bool has_label(const ContainerInfo& info, const LabelFilter& label) {
  auto found = info.spec.labels.find(label.first);
  return found != info.spec.labels.end() && (!label.second || found->second == *label.second);
}

// By the name it was asked for, with or without its tag, and by its id.
bool made_from(const ContainerInfo& info, const std::string& image) {
  return info.image == image || info.image == image + ":latest" || info.image + ":latest" == image ||
         info.image_id == image || (image.size() >= 12 && info.image_id.starts_with("sha256:" + image));
}

Result<Fits> make_fits(Runtime& runtime, const Filter& filter) {
  const auto& [key, value] = filter;
  if (key == "id") return Fits([value](const ContainerInfo& info) { return info.id.starts_with(value); });
  if (key == "name") return name_fits(filter);
  if (key == "exited") return exit_code_fits(filter);
  if (key == "publish" || key == "expose") return port_fits(filter);
  if (key == "ancestor") return Fits([value](const ContainerInfo& info) { return made_from(info, value); });
  if (key == "network") return Fits([value](const ContainerInfo& info) { return network_of(info) == value; });
  if (key == "label")
    return Fits([label = parse_label_filter(value)](const ContainerInfo& info) { return has_label(info, label); });
  if (key == "status")
    return one_of(filter, {"created", "starting", "running", "paused", "restarting", "stopping", "exited", "failed"},
                  [](const ContainerInfo& info) { return info.state; });
  if (key == "health")
    return one_of(filter, {"starting", "healthy", "unhealthy", "none"},
                  [](const ContainerInfo& info) { return info.health.status.empty() ? "none" : info.health.status; });
  if (key == "volume")
    return fail(Errc::unsupported, fmt::format("filter by volume \"{}\": there are no volumes yet", value));
  int64_t other = TRY(runtime.container(value)).created_ns;
  if (key == "before") return Fits([other](const ContainerInfo& info) { return info.created_ns < other; });
  return Fits([other](const ContainerInfo& info) { return info.created_ns > other; });  // since
}

// Of one key, one must fit (of labels each); of several keys, each.
class Wanted {
 public:
  static Result<Wanted> make(Runtime& runtime, const std::vector<Filter>& filters) {
    Wanted wanted;
    for (const Filter& filter : filters) {
      std::string group = filter.first == "label" ? "label " + filter.second : filter.first;
      wanted.groups_[group].push_back(TRY(make_fits(runtime, filter)));
    }
    return wanted;
  }
  bool operator()(const ContainerInfo& info) const {
    return std::ranges::all_of(groups_, [&](const auto& group) {
      return std::ranges::any_of(group.second, [&](const Fits& fits) { return fits(info); });
    });
  }

 private:
  std::map<std::string, std::vector<Fits>> groups_;
};

Result<std::vector<ContainerInfo>> find(Runtime& runtime, const Flags& flags) {
  auto filters = TRY(parse_filters(flags.filters, {"ancestor", "before", "exited", "expose", "health", "id", "label",
                                                   "name", "network", "publish", "since", "status", "volume"}));
  Wanted wanted = TRY(Wanted::make(runtime, filters));
  size_t last = flags.latest ? 1 : flags.last >= 0 ? static_cast<size_t>(flags.last) : 0;
  // As in docker: who asks for a state, an exit code or the last ones means all.
  bool all = flags.all || last > 0 || std::ranges::any_of(filters, [](const Filter& filter) {
               return filter.first == "status" || filter.first == "exited";
             });
  std::vector<ContainerInfo> containers = TRY(runtime.containers(all));
  std::erase_if(containers, [&](const ContainerInfo& info) { return !wanted(info); });
  if (last > 0 && containers.size() > last) containers.resize(last);
  return containers;
}

Result<int> list(const Flags& flags) {
  Runtime runtime = TRY(Runtime::open());
  std::vector<ContainerInfo> containers = TRY(find(runtime, flags));
  if (flags.json) {
    print_containers_json(containers);
    return 0;
  }
  std::map<std::string, std::string> sizes;
  if (flags.size || listing_mentions(flags.format, "Size"))
    for (const auto& one : TRY(runtime.disk_usage()).each_container) sizes[one.id] = human_size(one.bytes);
  std::vector<Json> rows;
  for (const ContainerInfo& info : containers) rows.push_back(row(info, sizes[info.id], flags.no_trunc));
  Listing listing{flags.size ? columns_with_size : columns, headings()};
  std::string format = flags.quiet && flags.format.empty() ? "{{.ID}}" : flags.format;
  fmt::print("{}", TRY(format_listing(format, listing, rows)));
  return 0;
}

}  // namespace

CLI::App* add_container_list(CLI::App& parent, Invocation& invocation, const char* name) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = parent.add_subcommand(name, "list containers");
  verb->add_flag("-a,--all", flags->all, "also those that do not run");
  verb->add_flag("-q,--quiet", flags->quiet, "ids only");
  verb->add_flag("-l,--latest", flags->latest, "the newest, whatever its state");
  one(verb->add_option("-n,--last", flags->last, "the newest so many, whatever their states"));
  verb->add_flag("-s,--size", flags->size, "also what each takes on the disk");
  verb->add_flag("--no-trunc", flags->no_trunc, "whole ids and commands");
  add_format_option(*verb, flags->format);
  verb->add_flag("--json", flags->json, "print one JSON array of everything, as `inspect`");
  many(verb->add_option("-f,--filter", flags->filters,
                        "id=, name=REGEX, status=, exited=CODE, health=, ancestor=IMAGE, label=KEY[=VALUE], "
                        "before=CONTAINER, since=CONTAINER, publish=PORT, expose=PORT, network="));
  verb->callback([&invocation, flags] { invocation.run = [flags] { return list(*flags); }; });
  return verb;
}

}  // namespace diatom::cli
