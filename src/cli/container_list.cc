#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/each.h"
#include "cli/human_time.h"
#include "cli/json_output.h"
#include "cli/listing.h"
#include "cli/options.h"
#include "cli/text.h"
#include "diatom/runtime.h"

namespace diatom::cli {

namespace {

struct Flags {
  bool all = false, quiet = false, no_trunc = false, json = false, force = false;
  std::string format;
  std::vector<std::string> filters;
  std::vector<std::string> names;
};

std::string status(const ContainerInfo& info, int64_t now_ns) {
  if (info.state == "exited")
    return fmt::format("Exited ({}) {}", info.exit_code, human_since(info.finished_ns, now_ns));
  if (info.state == "failed") return "Failed";
  if (info.state == "running") return "Up " + human_duration((now_ns - info.started_ns) / 1'000'000'000);
  return info.state;
}

// Quoted, as docker shows it.
std::string command(const ContainerInfo& info, bool whole) {
  std::string line;
  for (const auto& word : info.command) line += (line.empty() ? "" : " ") + word;
  return "\"" + (whole ? line : ellipsis(printable(line, uncut), 20)) + "\"";
}

const Json& headings() {
  static const Json json = {{"Command", "COMMAND"},    {"CreatedAt", "CREATED AT"}, {"Engine", "ENGINE"},
                            {"ExitCode", "EXIT CODE"}, {"ID", "CONTAINER ID"},      {"Image", "IMAGE"},
                            {"Names", "NAMES"},        {"RunningFor", "CREATED"},   {"State", "STATE"},
                            {"Status", "STATUS"}};
  return json;
}

Json row(const ContainerInfo& info, bool whole) {
  int64_t now = wall_clock_ns();
  return {{"Command", command(info, whole)},
          {"CreatedAt", time_in_zone(info.created_ns)},
          {"Engine", info.engine},
          {"ExitCode", info.exit_code},
          {"ID", whole ? info.id : info.id.substr(0, 12)},
          {"Image", info.image},
          {"Names", info.name},
          {"RunningFor", human_since(info.created_ns, now)},
          {"State", info.state},
          {"Status", status(info, now)}};
}

// Those of one key: one must fit; of several keys: each.
bool wanted(const ContainerInfo& info, const std::vector<Filter>& filters) {
  auto fits = [&](const Filter& filter) {
    const auto& [key, value] = filter;
    if (key == "id") return info.id.starts_with(value);
    if (key == "name") return info.name.find(value) != std::string::npos;
    if (key == "status") return info.state == value;
    if (key == "exited") return info.state == "exited" && std::to_string(info.exit_code) == value;
    return info.image == value || info.image_id == value || shown_id(info.image_id, false) == value;  // ancestor
  };
  return std::ranges::all_of(filters, [&](const Filter& filter) {
    return std::ranges::any_of(filters,
                               [&](const Filter& other) { return other.first == filter.first && fits(other); });
  });
}

Result<int> list(const Flags& flags) {
  auto filters = TRY(parse_filters(flags.filters, {"ancestor", "exited", "id", "name", "status"}));
  // As in docker: who asks for a state or an exit code means all.
  bool all = flags.all || std::ranges::any_of(filters, [](const Filter& filter) {
               return filter.first == "status" || filter.first == "exited";
             });
  Runtime runtime = TRY(Runtime::open());
  std::vector<ContainerInfo> containers = TRY(runtime.containers(all));
  std::erase_if(containers, [&](const ContainerInfo& info) { return !wanted(info, filters); });
  if (flags.json) {
    print_containers_json(containers);
    return 0;
  }
  std::vector<Json> rows;
  for (const ContainerInfo& info : containers) rows.push_back(row(info, flags.no_trunc));
  Listing listing{R"({{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Names}})", headings()};
  std::string format = flags.quiet && flags.format.empty() ? "{{.ID}}" : flags.format;
  fmt::print("{}", TRY(format_listing(format, listing, rows)));
  return 0;
}

}  // namespace

void add_container_commands(CLI::App& app, Invocation& invocation) {
  auto flags = std::make_shared<Flags>();

  CLI::App* ps = app.add_subcommand("ps", "list containers");
  ps->add_flag("-a,--all", flags->all, "also those that have ended");
  ps->add_flag("-q,--quiet", flags->quiet, "ids only");
  ps->add_flag("--no-trunc", flags->no_trunc, "whole ids and commands");
  add_format_option(*ps, flags->format);
  ps->add_flag("--json", flags->json, "print one JSON array of everything, as `inspect`");
  many(ps->add_option("-f,--filter", flags->filters, "id=, name=, status=, exited=CODE, ancestor=IMAGE"));
  ps->callback([&invocation, flags] { invocation.run = [flags] { return list(*flags); }; });

  CLI::App* rm = app.add_subcommand("rm", "remove containers and their disks");
  rm->add_flag("-f,--force", flags->force, "also running ones");
  rm->add_option("CONTAINER", flags->names, "name or id")->required();
  rm->callback([&invocation, flags] {
    invocation.run = [flags]() -> Result<int> {
      Runtime runtime = TRY(Runtime::open());
      return for_each_name(flags->names, [&](const std::string& name) -> Result<> {
        TRY(runtime.remove_container(name, flags->force));
        fmt::print("{}\n", name);
        return {};
      });
    };
  });
}

}  // namespace diatom::cli
