#include <fmt/core.h>

#include <memory>

#include "base/clock.h"
#include "base/time_text.h"
#include "cli/cancel_on_signal.h"
#include "cli/human_time.h"
#include "cli/listing.h"
#include "cli/options.h"
#include "cli/prune.h"
#include "cli/system_verbs.h"
#include "diatom/images.h"
#include "diatom/runtime.h"

namespace diatom::cli {

namespace {

struct Flags {
  bool all = false, force = false, volumes = false;
  std::vector<std::string> filters;
};

PruneOptions image_options(const PruneContainers& containers, bool all) {
  PruneOptions options;
  options.all = all;
  options.until_ns = containers.until_ns;
  options.labels = containers.labels;
  options.not_labels = containers.not_labels;
  return options;
}

void print_pruned_images(const PrunedImages& pruned) {
  if (pruned.removed.empty()) return;
  fmt::print("Deleted Images:\n");
  for (const RemovedImage& image : pruned.removed) {
    for (const auto& tag : image.untagged) fmt::print("untagged: {}\n", tag);
    if (!image.deleted.empty()) fmt::print("deleted: {}\n", image.deleted);
  }
  fmt::print("\n");
}

Result<uint64_t> prune_images(const PruneOptions& options) {
  Images images = TRY(Images::open());
  CancelOnSignal guard(images);
  PrunedImages pruned = TRY(images.prune(options));
  print_pruned_images(pruned);
  return pruned.freed_bytes;
}

// Containers go first: they need their images. With a filter, templates stay: they have neither an age nor labels.
Result<int> prune(const Flags& flags) {
  PruneContainers options = TRY(prune_containers_options(flags.filters));
  std::string what =
      "all stopped containers, " +
      std::string(flags.all ? "all images without at least one container associated to them" : "all dangling images") +
      " and all templates: of writable layers, and of VMs";
  if (!flags.force && !TRY(may_prune("system prune", what))) return 0;
  Runtime runtime = TRY(Runtime::open());
  uint64_t freed = 0;
  {
    CancelOnSignal guard(runtime);
    Runtime::Pruned pruned = TRY(runtime.prune_containers(options));
    print_pruned_containers(pruned);
    freed += pruned.freed_bytes;
    if (flags.filters.empty()) freed += TRY(runtime.prune_templates());
  }
  freed += TRY(prune_images(image_options(options, flags.all)));
  fmt::print("Total reclaimed space: {}\n", human_size(freed, 4));
  return 0;
}

}  // namespace

void add_system_prune(CLI::App& parent, Invocation& invocation) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = parent.add_subcommand("prune", "remove what nothing needs: stopped containers, dangling images");
  verb->add_flag("-a,--all", flags->all, "every image that no container was made from, not only those without a name");
  verb->add_flag("-f,--force", flags->force, "do not ask");
  verb->add_flag("--volumes", flags->volumes, "as without it: there are no volumes yet");
  many(verb->add_option("--filter", flags->filters, "until=TIME, label=KEY[=VALUE], label!=KEY[=VALUE]"));
  verb->callback([&invocation, flags] { invocation.run = [flags] { return prune(*flags); }; });
}

void add_system_commands(CLI::App& app, Invocation& invocation) {
  add_info(app, invocation);
  CLI::App* system = app.add_subcommand("system", "everything about what is here as a whole");
  system->require_subcommand(1);
  add_disk_usage(*system, invocation);
  add_events_command(*system, invocation);
  add_info(*system, invocation);
  add_system_prune(*system, invocation);
  add_template_commands(app, invocation);
  add_snapshot_commands(app, invocation);
  add_fork_command(app, invocation);
}

}  // namespace diatom::cli
