// The verbs of containers: each is a word of `diatom` and of `diatom container`, with the names that docker gives it
// there.
#pragma once

#include "cli/command.h"

namespace diatom::cli {

CLI::App* add_container_list(CLI::App& parent, Invocation& invocation, const char* name);
CLI::App* add_container_remove(CLI::App& parent, Invocation& invocation, const char* name);
void add_container_prune(CLI::App& parent, Invocation& invocation);
void add_container_inspect(CLI::App& parent, Invocation& invocation);
void add_stats(CLI::App& parent, Invocation& invocation);
void add_top(CLI::App& parent, Invocation& invocation);
void add_copy(CLI::App& parent, Invocation& invocation);
void add_diff(CLI::App& parent, Invocation& invocation);
void add_commit(CLI::App& parent, Invocation& invocation);
void add_export(CLI::App& parent, Invocation& invocation);
void add_port(CLI::App& parent, Invocation& invocation);

}  // namespace diatom::cli
