// The verbs of images: each is a word of `diatom` and of `diatom image`, with the names that docker gives it there.
#pragma once

#include "cli/command.h"

namespace diatom::cli {

void add_pull(CLI::App& parent, Invocation& invocation);
void add_push(CLI::App& parent, Invocation& invocation);
void add_tag(CLI::App& parent, Invocation& invocation);
CLI::App* add_image_list(CLI::App& parent, Invocation& invocation, const char* name);
CLI::App* add_image_remove(CLI::App& parent, Invocation& invocation, const char* name);
void add_image_prune(CLI::App& parent, Invocation& invocation);
void add_save(CLI::App& parent, Invocation& invocation);
void add_load(CLI::App& parent, Invocation& invocation);
void add_import(CLI::App& parent, Invocation& invocation);
void add_history(CLI::App& parent, Invocation& invocation);
void add_image_inspect(CLI::App& parent, Invocation& invocation);

}  // namespace diatom::cli
