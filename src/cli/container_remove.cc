#include <fmt/core.h>
#include <unistd.h>

#include <memory>

#include "base/clock.h"
#include "base/time_text.h"
#include "cli/cancel_on_signal.h"
#include "cli/container_verbs.h"
#include "cli/each.h"
#include "cli/human_time.h"
#include "cli/listing.h"
#include "cli/options.h"
#include "cli/prompt.h"
#include "cli/prune.h"
#include "diatom/runtime.h"

namespace diatom::cli {

namespace {

struct Flags {
  bool force = false, volumes = false, link = false;
  std::vector<std::string> filters;
  std::vector<std::string> names;
};

Result<int> remove(const Flags& flags) {
  if (flags.link)
    return fail(Errc::unsupported, "remove link: containers have no links", "without --link, it removes containers");
  Runtime runtime = TRY(Runtime::open());
  return for_each_name(flags.names, [&](const std::string& name) -> Result<> {
    auto removed = runtime.remove_container(name, flags.force);
    if (!removed && removed.error().code == Errc::not_found && flags.force) {  // as docker: it is not there, as wanted
      print_error(removed.error());
      return {};
    }
    TRY(std::move(removed));
    fmt::print("{}\n", name);
    return {};
  });
}

Result<int> prune(const Flags& flags) {
  PruneContainers options = TRY(prune_containers_options(flags.filters));
  if (!flags.force && !TRY(may_prune("container prune", "all stopped containers"))) return 0;
  Runtime runtime = TRY(Runtime::open());
  CancelOnSignal guard(runtime);
  Runtime::Pruned pruned = TRY(runtime.prune_containers(options));
  print_pruned_containers(pruned);
  fmt::print("Total reclaimed space: {}\n", human_size(pruned.freed_bytes, 4));
  return 0;
}

}  // namespace

Result<PruneContainers> prune_containers_options(const std::vector<std::string>& filters) {
  PruneContainers options;
  for (const auto& [key, value] : TRY(parse_filters(filters, {"label", "label!", "until"}))) {
    if (key == "label") options.labels.push_back(parse_label_filter(value));
    if (key == "label!") options.not_labels.push_back(parse_label_filter(value));
    if (key == "until") options.until_ns = TRY(parse_point_in_time(value, wall_clock_ns()));
  }
  return options;
}

// Without a person to ask, nothing is removed.
Result<bool> may_prune(std::string_view verb, std::string_view what) {
  if (::isatty(STDIN_FILENO) == 0)
    return fail(Errc::invalid_argument, fmt::format("{}: there is nobody to ask, standard input is no terminal", verb),
                "use --force to remove without a question");
  fmt::print(stderr, "WARNING! This will remove {}.\n", what);
  return confirm("Are you sure you want to continue?");
}

void print_pruned_containers(const Runtime::Pruned& pruned) {
  if (pruned.ids.empty()) return;
  fmt::print("Deleted Containers:\n");
  for (const auto& id : pruned.ids) fmt::print("{}\n", id);
  fmt::print("\n");
}

CLI::App* add_container_remove(CLI::App& parent, Invocation& invocation, const char* name) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = parent.add_subcommand(name, "remove containers and their disks");
  verb->add_flag("-f,--force", flags->force, "also running ones; what is not there is no failure");
  verb->add_flag("-v,--volumes", flags->volumes, "as without it: there are no volumes yet");
  verb->add_flag("-l,--link", flags->link, "refused: containers have no links");
  verb->add_option("CONTAINER", flags->names, "names or ids")->required();
  verb->callback([&invocation, flags] { invocation.run = [flags] { return remove(*flags); }; });
  return verb;
}

void add_container_prune(CLI::App& parent, Invocation& invocation) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = parent.add_subcommand("prune", "remove all containers that do not run");
  verb->add_flag("-f,--force", flags->force, "do not ask");
  many(verb->add_option("--filter", flags->filters, "until=TIME, label=KEY[=VALUE], label!=KEY[=VALUE]"));
  verb->callback([&invocation, flags] { invocation.run = [flags] { return prune(*flags); }; });
}

}  // namespace diatom::cli
