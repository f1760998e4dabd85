#include "cli/command.h"
#include "cli/container_verbs.h"
#include "cli/options.h"

namespace diatom::cli {

namespace {

constexpr void (*shared_verbs[])(CLI::App&, Invocation&) = {
    add_run_command,   add_create_command, add_lifecycle_commands,
    add_exec_commands, add_logs_command,   add_stats,
    add_top,           add_port,           add_copy,
    add_diff,          add_commit,         add_export,
};

}  // namespace

void add_container_commands(CLI::App& app, Invocation& invocation) {
  for (auto add : shared_verbs) add(app, invocation);
  add_container_list(app, invocation, "ps");
  add_container_remove(app, invocation, "rm");
  CLI::App* container = app.add_subcommand("container", "everything about containers");
  container->require_subcommand(1);
  // Once it is asked for: half of the time that a command needs to start goes into making options.
  container->preparse_callback([container, &invocation](size_t) {
    for (auto add : shared_verbs) add(*container, invocation);
    add_container_list(*container, invocation, "ls")->alias("list")->alias("ps");
    add_container_remove(*container, invocation, "rm")->alias("remove");
    add_container_inspect(*container, invocation);
    add_container_prune(*container, invocation);
  });
}

}  // namespace diatom::cli
