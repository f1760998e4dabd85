#include <fmt/core.h>
#include <unistd.h>

#include <memory>

#include "base/clock.h"
#include "base/time_text.h"
#include "cli/cancel_on_signal.h"
#include "cli/each.h"
#include "cli/human_time.h"
#include "cli/image_verbs.h"
#include "cli/listing.h"
#include "cli/options.h"
#include "cli/prompt.h"
#include "diatom/images.h"

namespace diatom::cli {

namespace {

struct Flags {
  bool force = false;
  bool all = false;
  bool no_prune = false;
  std::vector<std::string> filters;
  std::vector<std::string> names;
};

Result<int> remove(const Flags& flags) {
  Images images = TRY(Images::open());
  return for_each_name(flags.names, [&](const std::string& name) -> Result<> {
    auto result = images.remove(name, flags.force);
    if (!result && result.error().code == Errc::not_found && flags.force) {  // as `rm -f`, and docker
      print_error(result.error());
      return {};
    }
    RemovedImage removed = TRY(std::move(result));
    for (const auto& tag : removed.untagged) fmt::print("Untagged: {}\n", tag);
    if (!removed.deleted.empty()) fmt::print("Deleted: {}\n", removed.deleted);
    return {};
  });
}

Result<PruneOptions> prune_options(const Flags& flags) {
  PruneOptions options;
  options.all = flags.all;
  for (const Filter& filter : TRY(parse_filters(flags.filters, {"dangling", "label", "label!", "until"}))) {
    const auto& [key, value] = filter;
    if (key == "dangling") options.all = !TRY(parse_filter_bool(filter));
    if (key == "label") options.labels.push_back(parse_label_filter(value));
    if (key == "label!") options.not_labels.push_back(parse_label_filter(value));
    if (key == "until") options.until_ns = TRY(parse_point_in_time(value, wall_clock_ns()));
  }
  return options;
}

// Without a person to ask, nothing is removed.
Result<bool> may_prune(const PruneOptions& options) {
  if (::isatty(STDIN_FILENO) == 0)
    return fail(Errc::invalid_argument, "image prune: there is nobody to ask, standard input is no terminal",
                "use --force to remove without a question");
  fmt::print(stderr, "WARNING! This will remove all {}.\n",
             options.all ? "images without at least one container associated to them" : "dangling images");
  return confirm("Are you sure you want to continue?");
}

Result<int> prune(const Flags& flags) {
  PruneOptions options = TRY(prune_options(flags));
  if (!flags.force && !TRY(may_prune(options))) return 0;
  Images images = TRY(Images::open());
  CancelOnSignal guard(images);
  PrunedImages pruned = TRY(images.prune(options));
  if (!pruned.removed.empty()) fmt::print("Deleted Images:\n");
  for (const RemovedImage& image : pruned.removed) {
    for (const auto& tag : image.untagged) fmt::print("untagged: {}\n", tag);
    if (!image.deleted.empty()) fmt::print("deleted: {}\n", image.deleted);
  }
  fmt::print("{}Total reclaimed space: {}\n", pruned.removed.empty() ? "" : "\n", human_size(pruned.freed_bytes, 4));
  return 0;
}

}  // namespace

CLI::App* add_image_remove(CLI::App& parent, Invocation& invocation, const char* name) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = parent.add_subcommand(name, "remove images: a name, and with its last name the image");
  verb->add_flag("-f,--force", flags->force,
                 "also with several names, or with containers made from it; what is not there is no failure");
  verb->add_flag("--no-prune", flags->no_prune, "as without it: an image has no parents that would go with it");
  verb->add_option("IMAGE", flags->names, "names or ids")->required();
  verb->callback([&invocation, flags] { invocation.run = [flags] { return remove(*flags); }; });
  return verb;
}

void add_image_prune(CLI::App& parent, Invocation& invocation) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = parent.add_subcommand("prune", "remove images that nothing refers to");
  verb->add_flag("-a,--all", flags->all, "every image that no container was made from, not only those without a name");
  verb->add_flag("-f,--force", flags->force, "do not ask");
  many(verb->add_option("--filter", flags->filters, "until=TIME, label=KEY[=VALUE], label!=KEY[=VALUE]"));
  verb->callback([&invocation, flags] { invocation.run = [flags] { return prune(*flags); }; });
}

}  // namespace diatom::cli
