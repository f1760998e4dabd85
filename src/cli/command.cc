#include "cli/command.h"

#include <fmt/core.h>
#include <signal.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdio>

namespace diatom::cli {

namespace {

// The table of verbs.
constexpr void (*verbs[])(CLI::App&, Invocation&) = {
    add_run_command,    add_container_commands, add_inspect_command, add_image_commands,
    add_login_commands, add_doctor_command,     add_version_command,
};

// docker exits with 125 when its own `run` is called wrongly.
bool is_run(const CLI::App& app) {
  for (const CLI::App* verb : app.get_subcommands())
    if (verb->get_name() == "run") return true;
  return false;
}

int report(const Error& error, const Invocation& invocation) {
  print_error(error);
  if (invocation.error_exit_code) return invocation.error_exit_code(error);
  return error.code == Errc::cancelled ? 130 : 1;
}

}  // namespace

void print_error(const Error& error) {
  std::fflush(stdout);  // what was said before comes before, also where both are one file
  fmt::print(stderr, "diatom: {}\n", error.message);
  if (!error.hint.empty()) fmt::print(stderr, "  {}\n", error.hint);
}

int main(int argc, char** argv) {
  // A reader that went away is an error of write(2), not the end of this process with a VM half started.
  ::signal(SIGPIPE, SIG_IGN);
  CLI::App app("OCI containers, each in a microVM of its own", "diatom");
  app.require_subcommand(1);
  Invocation invocation;
  for (auto add : verbs) add(app, invocation);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {  // CLI11 speaks in exceptions; they end here
    int code = app.exit(error);
    return code == 0 ? 0 : is_run(app) ? 125 : 2;
  }
  if (!invocation.run) return 2;
  auto result = invocation.run();
  if (!result) return report(result.error(), invocation);
  return *result;
}

}  // namespace diatom::cli
