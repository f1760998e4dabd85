#include <fmt/core.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/text.h"
#include "base/time_text.h"
#include "cli/human_time.h"
#include "cli/image_verbs.h"
#include "cli/json_output.h"
#include "cli/listing.h"
#include "cli/options.h"
#include "cli/text.h"
#include "diatom/images.h"

namespace diatom::cli {

namespace {

struct Flags {
  bool human = true, no_trunc = false, quiet = false;
  std::string format;
  std::string name;
};

constexpr size_t shown_command = 45;

const Json& headings() {
  static const Json json = {{"Comment", "COMMENT"},
                            {"CreatedAt", "CREATED AT"},
                            {"CreatedBy", "CREATED BY"},
                            {"CreatedSince", "CREATED"},
                            {"ID", "IMAGE"},
                            {"Size", "SIZE"}};
  return json;
}

Json row(const HistoryEntry& entry, const Flags& flags) {
  auto created = parse_rfc3339(entry.created);
  std::string since = created ? human_since(*created, wall_clock_ns()) : "N/A";
  return {
      {"Comment", entry.comment},
      {"CreatedAt", created ? entry.created : "N/A"},
      {"CreatedBy", flags.no_trunc ? entry.created_by : ellipsis(printable(entry.created_by, uncut), shown_command)},
      {"CreatedSince", flags.human ? since : entry.created},
      {"ID", entry.image_id.empty() ? "<missing>" : shown_id(entry.image_id, flags.no_trunc)},
      {"Size", flags.human ? human_size(entry.size_bytes) : std::to_string(entry.size_bytes)}};
}

Result<int> history(const Flags& flags) {
  Images images = TRY(Images::open());
  std::vector<Json> rows;
  for (const HistoryEntry& entry : TRY(images.history(flags.name))) rows.push_back(row(entry, flags));
  Listing listing{R"({{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}})", headings()};
  std::string format = flags.quiet && flags.format.empty() ? "{{.ID}}" : flags.format;
  fmt::print("{}", TRY(format_listing(format, listing, rows)));
  return 0;
}

}  // namespace

void add_history(CLI::App& parent, Invocation& invocation) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = parent.add_subcommand("history", "show how an image came about, newest step first");
  verb->add_flag("-H,--human", flags->human, "sizes and dates for people; =false for programs (default true)");
  verb->add_flag("--no-trunc", flags->no_trunc, "whole ids and commands");
  verb->add_flag("-q,--quiet", flags->quiet, "ids only");
  add_format_option(*verb, flags->format);
  verb->add_option("IMAGE", flags->name, "name or id")->required();
  verb->callback([&invocation, flags] { invocation.run = [flags] { return history(*flags); }; });
}

}  // namespace diatom::cli
