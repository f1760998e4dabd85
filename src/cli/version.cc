#include <fmt/core.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "cli/command.h"

namespace diatom::cli {

void add_version_command(CLI::App& app, Invocation& invocation) {
  CLI::App* verb = app.add_subcommand("version", "print the version");
  verb->callback([&invocation] {
    invocation.run = []() -> Result<int> {
      fmt::print("diatom {}\n", DIATOM_VERSION);
      return 0;
    };
  });
}

}  // namespace diatom::cli
