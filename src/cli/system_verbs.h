// The verbs of `diatom system`, `diatom template` and `diatom snapshot`, and `diatom fork`.
#pragma once

#include "cli/command.h"

namespace diatom::cli {

void add_info(CLI::App& parent, Invocation& invocation);
void add_disk_usage(CLI::App& parent, Invocation& invocation);
void add_template_commands(CLI::App& app, Invocation& invocation);
void add_snapshot_commands(CLI::App& app, Invocation& invocation);
void add_fork_command(CLI::App& app, Invocation& invocation);
void add_system_prune(CLI::App& parent, Invocation& invocation);

}  // namespace diatom::cli
