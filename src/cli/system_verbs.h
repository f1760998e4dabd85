// The verbs of `diatom system`, and of `diatom template`.
#pragma once

#include "cli/command.h"

namespace diatom::cli {

void add_info(CLI::App& parent, Invocation& invocation);
void add_disk_usage(CLI::App& parent, Invocation& invocation);
void add_template_commands(CLI::App& app, Invocation& invocation);
void add_system_prune(CLI::App& parent, Invocation& invocation);

}  // namespace diatom::cli
