#include "cli/command.h"
#include "cli/image_verbs.h"
#include "cli/options.h"

namespace diatom::cli {

namespace {

constexpr void (*shared_verbs[])(CLI::App&, Invocation&) = {
    add_pull, add_push, add_tag, add_save, add_load, add_import, add_history,
};

}  // namespace

void add_image_commands(CLI::App& app, Invocation& invocation) {
  for (auto add : shared_verbs) add(app, invocation);
  add_image_list(app, invocation, "images");
  add_image_remove(app, invocation, "rmi");
  CLI::App* image = app.add_subcommand("image", "everything about images");
  image->require_subcommand(1);
  image->preparse_callback([image, &invocation](size_t) {  // as in container.cc
    for (auto add : shared_verbs) add(*image, invocation);
    add_image_list(*image, invocation, "ls")->alias("list");
    add_image_remove(*image, invocation, "rm")->alias("remove");
    add_image_inspect(*image, invocation);
    add_image_prune(*image, invocation);
  });
}

}  // namespace diatom::cli
