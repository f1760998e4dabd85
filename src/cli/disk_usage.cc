#include <fmt/core.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/time_text.h"
#include "cli/container_text.h"
#include "cli/human_time.h"
#include "cli/json_output.h"
#include "cli/listing.h"
#include "cli/options.h"
#include "cli/system_verbs.h"
#include "cli/table.h"
#include "diatom/images.h"
#include "diatom/runtime.h"

namespace diatom::cli {

namespace {

struct Flags {
  bool verbose = false;
  std::string format;
};

Json row(const char* type, const DiskUsage::Kind& kind) {
  std::string reclaimable = human_size(kind.reclaimable_bytes, 4);
  // docker's: how much of it, where that says something.
  if (kind.bytes > 0) reclaimable += fmt::format(" ({}%)", 100 * kind.reclaimable_bytes / kind.bytes);
  return {{"Type", type},
          {"TotalCount", std::to_string(kind.count)},
          {"Active", std::to_string(kind.active)},
          {"Size", human_size(kind.bytes, 4)},
          {"Reclaimable", reclaimable}};
}

Result<std::string> images_table() {
  Images images = TRY(Images::open());
  Table table;
  table.add_row({"REPOSITORY:TAG", "IMAGE ID", "CREATED", "SIZE"});
  for (const ImageInfo& image : TRY(images.list())) {
    auto created = parse_rfc3339(image.created);
    table.add_row({image.tags.empty() ? "<none>" : image.tags.front(), shown_id(image.id, false),
                   created ? human_since(*created, wall_clock_ns()) : "N/A", human_size(image.size_bytes)});
  }
  return table.text();
}

Result<std::string> containers_table(Runtime& runtime, const DiskUsage& usage) {
  std::map<std::string, uint64_t> sizes;
  for (const auto& one : usage.each_container) sizes[one.id] = one.bytes;
  Table table;
  table.add_row({"CONTAINER ID", "IMAGE", "COMMAND", "SIZE", "CREATED", "STATUS", "NAMES"});
  int64_t now = wall_clock_ns();
  for (const ContainerInfo& info : TRY(runtime.containers(true)))
    table.add_row({info.id.substr(0, 12), info.image, container_command(info, false), human_size(sizes[info.id]),
                   human_since(info.created_ns, now), container_status(info, now), info.name});
  return table.text();
}

Result<int> disk_usage(const Flags& flags) {
  Runtime runtime = TRY(Runtime::open());
  DiskUsage usage = TRY(runtime.disk_usage());
  if (flags.verbose) {
    if (!flags.format.empty())
      return fail(Errc::invalid_argument, "system df: --verbose and --format do not go together");
    fmt::print("Images space usage:\n\n{}\n", TRY(images_table()));
    fmt::print("Containers space usage:\n\n{}\n", TRY(containers_table(runtime, usage)));
    fmt::print("Templates space usage: {}\n\n", human_size(usage.templates.bytes, 4));
    fmt::print("Snapshots space usage: {}\n", human_size(usage.snapshots.bytes, 4));
    return 0;
  }
  static const Json headings = {{"Type", "TYPE"},
                                {"TotalCount", "TOTAL"},
                                {"Active", "ACTIVE"},
                                {"Size", "SIZE"},
                                {"Reclaimable", "RECLAIMABLE"}};
  std::vector<Json> rows = {row("Images", usage.images), row("Containers", usage.containers),
                            row("Templates", usage.templates), row("Snapshots", usage.snapshots)};
  Listing listing{R"({{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}})", headings};
  fmt::print("{}", TRY(format_listing(flags.format, listing, rows)));
  return 0;
}

}  // namespace

void add_disk_usage(CLI::App& parent, Invocation& invocation) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb =
      parent.add_subcommand("df", "show what images, containers, templates and snapshots take on the disk");
  verb->add_flag("-v,--verbose", flags->verbose, "each image and container");
  add_format_option(*verb, flags->format);
  verb->callback([&invocation, flags] { invocation.run = [flags] { return disk_usage(*flags); }; });
}

}  // namespace diatom::cli
