#include <fmt/core.h>
#include <fnmatch.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/time_text.h"
#include "cli/human_time.h"
#include "cli/image_verbs.h"
#include "cli/json_output.h"
#include "cli/listing.h"
#include "cli/options.h"
#include "diatom/images.h"
#include "oci/reference.h"

namespace diatom::cli {

namespace {

struct Flags {
  bool all = false, quiet = false, no_trunc = false, digests = false, json = false;
  std::string format;
  std::vector<std::string> filters;
  std::string name;
};

constexpr std::string_view none = "<none>";
constexpr std::string_view columns = R"({{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}})";
constexpr std::string_view columns_with_digests =
    R"({{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}})";

const Json& headings() {
  static const Json json = {{"Containers", "CONTAINERS"},
                            {"CreatedAt", "CREATED AT"},
                            {"CreatedSince", "CREATED"},
                            {"Digest", "DIGEST"},
                            {"ID", "IMAGE ID"},
                            {"Repository", "REPOSITORY"},
                            {"SharedSize", "SHARED SIZE"},
                            {"Size", "SIZE"},
                            {"Tag", "TAG"},
                            {"UniqueSize", "UNIQUE SIZE"},
                            {"VirtualSize", "SIZE"}};
  return json;
}

// A line of the list: an image may have several.
struct Name {
  std::string repository{none};
  std::string tag{none};
  std::string digest{none};
};

// "REPOSITORY:TAG" and "REPOSITORY@DIGEST", as ImageInfo has them.
std::pair<std::string, std::string> split_name(const std::string& text, char separator) {
  size_t at = text.rfind(separator);
  return {text.substr(0, at), at == std::string::npos ? "" : text.substr(at + 1)};
}

std::vector<Name> names_of(const ImageInfo& image) {
  std::vector<Name> names;
  for (const auto& text : image.tags) {
    auto [repository, tag] = split_name(text, ':');
    names.push_back({repository, tag, std::string(none)});
  }
  for (const auto& text : image.digests) {
    size_t at = text.find('@');
    if (at == std::string::npos) continue;
    std::string repository = text.substr(0, at);
    bool used = false;
    for (Name& name : names)
      if (name.repository == repository && name.digest == none) {
        name.digest = text.substr(at + 1);
        used = true;
      }
    if (!used && std::ranges::find(names, repository, &Name::repository) == names.end())
      names.push_back({repository, std::string(none), text.substr(at + 1)});
  }
  if (names.empty()) names.emplace_back();
  return names;
}

// docker's rule: the pattern fits the name with its tag or digest, or without; "*" does not pass a "/".
bool fits(const Name& name, const std::string& pattern) {
  if (name.repository == none) return false;
  std::string whole = name.tag != none ? name.repository + ":" + name.tag : name.repository + "@" + name.digest;
  std::vector<std::string> spellings = {name.repository, whole, name.repository + "@" + name.digest};
  if (auto reference = oci::Reference::parse(whole)) {
    spellings.push_back(reference->registry + "/" + reference->repository);
    spellings.push_back(reference->canonical());
  }
  return std::ranges::any_of(spellings, [&](const auto& spelling) {
    return spelling == pattern || ::fnmatch(pattern.c_str(), spelling.c_str(), FNM_PATHNAME) == 0;
  });
}

// The filters, with what they refer to looked up.
struct Wanted {
  std::vector<std::string> patterns;  // one must fit
  std::optional<bool> dangling;
  std::vector<LabelFilter> labels;  // all must be there
  std::optional<int64_t> before_ns;
  std::optional<int64_t> since_ns;

  bool image(const ImageInfo& info) const {
    if (dangling && *dangling != info.tags.empty()) return false;
    int64_t created = parse_rfc3339(info.created).value_or(0);
    if (before_ns && created >= *before_ns) return false;
    if (since_ns && created <= *since_ns) return false;
    return std::ranges::all_of(labels, [&](const LabelFilter& label) {
      auto found = info.labels.find(label.first);
      return found != info.labels.end() && (!label.second || found->second == *label.second);
    });
  }
  bool name(const Name& name) const {
    return patterns.empty() || std::ranges::any_of(patterns, [&](const auto& pattern) { return fits(name, pattern); });
  }
};

Result<Wanted> look_up_filters(Images& images, const Flags& flags) {
  Wanted wanted;
  if (!flags.name.empty()) wanted.patterns.push_back(flags.name);
  auto created = [&](const std::string& name) -> Result<int64_t> {
    return parse_rfc3339(TRY(images.inspect(name)).created).value_or(0);
  };
  for (const Filter& filter :
       TRY(parse_filters(flags.filters, {"before", "dangling", "label", "reference", "since", "until"}))) {
    const auto& [key, value] = filter;
    if (key == "reference") wanted.patterns.push_back(value);
    if (key == "dangling") wanted.dangling = TRY(parse_filter_bool(filter));
    if (key == "label") wanted.labels.push_back(parse_label_filter(value));
    if (key == "since") wanted.since_ns = TRY(created(value));
    if (key != "before" && key != "until") continue;
    int64_t time = key == "before" ? TRY(created(value)) : TRY(parse_point_in_time(value, wall_clock_ns()));
    wanted.before_ns = std::min(time, wanted.before_ns.value_or(time));
  }
  return wanted;
}

Json row(const ImageInfo& image, const Name& name, bool whole_id) {
  auto created = parse_rfc3339(image.created);
  std::string size = human_size(image.size_bytes);
  return {{"Containers", "N/A"},
          {"CreatedAt", created ? time_in_zone(*created) : "N/A"},
          {"CreatedSince", !image.damage.empty() ? "damaged"
                           : created             ? human_since(*created, wall_clock_ns())
                                                 : "N/A"},
          {"Digest", name.digest},
          {"ID", shown_id(image.id, whole_id)},
          {"Repository", name.repository},
          {"SharedSize", "N/A"},
          {"Size", size},
          {"Tag", name.tag},
          {"UniqueSize", "N/A"},
          {"VirtualSize", size}};
}

// Whoever wants to know what there is gets it, and learns what is wrong with it besides.
void warn_of_damage(const std::vector<ImageInfo>& images) {
  for (const ImageInfo& image : images) {
    if (image.damage.empty()) continue;
    std::string name = image.tags.empty() ? shown_id(image.id, false) : image.tags.front();
    print_error({Errc::internal, "warning: " + image.damage, "pull or load it again, or `diatom rmi " + name + "`"});
  }
}

Result<int> list(const Flags& flags) {
  Images images = TRY(Images::open());
  Wanted wanted = TRY(look_up_filters(images, flags));
  std::vector<ImageInfo> found;
  std::vector<Json> rows;
  for (ImageInfo& image : TRY(images.list())) {
    if (!wanted.image(image)) continue;
    size_t before = rows.size();
    for (const Name& name : names_of(image))
      if (wanted.name(name)) rows.push_back(row(image, name, flags.no_trunc));
    if (rows.size() > before) found.push_back(std::move(image));
  }
  warn_of_damage(found);
  if (flags.json) {
    print_image_list_json(found);
    return 0;
  }
  Listing listing{flags.digests ? columns_with_digests : columns, headings()};
  std::string format = flags.quiet && flags.format.empty() ? "{{.ID}}" : flags.format;
  fmt::print("{}", TRY(format_listing(format, listing, rows)));
  return 0;
}

}  // namespace

CLI::App* add_image_list(CLI::App& parent, Invocation& invocation, const char* name) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = parent.add_subcommand(name, "list the images of the store");
  verb->add_flag("-a,--all", flags->all, "every image, as without it: there are no hidden ones");
  verb->add_flag("-q,--quiet", flags->quiet, "ids only");
  verb->add_flag("--no-trunc", flags->no_trunc, "whole ids");
  verb->add_flag("--digests", flags->digests, "also what registries call them");
  add_format_option(*verb, flags->format);
  verb->add_flag("--json", flags->json, "print one JSON array");
  many(verb->add_option("-f,--filter", flags->filters,
                        "reference=PATTERN, dangling=BOOL, label=KEY[=VALUE], before=IMAGE, since=IMAGE, until=TIME"));
  verb->add_option("NAME", flags->name, "only those of REPOSITORY[:TAG]; a pattern, as for --filter reference");
  verb->callback([&invocation, flags] { invocation.run = [flags] { return list(*flags); }; });
  return verb;
}

}  // namespace diatom::cli
