#include "cli/command.h"

#include <fmt/core.h>
#include <signal.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

#include "base/error.h"
#include "base/text.h"

namespace diatom::cli {

namespace {

// The table of verbs.
constexpr void (*verbs[])(CLI::App&, Invocation&) = {
    add_container_commands, add_inspect_command, add_image_commands, add_login_commands,
    add_events_command,     add_system_commands, add_doctor_command, add_version_command,
};

// What is called again and again is added alone: to make the other verbs is a quarter of what such a command executes.
struct Verb {
  std::string_view name;
  void (*add)(CLI::App&, Invocation&);
};
constexpr Verb frequent[] = {
    {"run", add_run_command},         {"create", add_create_command},    {"exec", add_exec_commands},
    {"attach", add_exec_commands},    {"start", add_lifecycle_commands}, {"stop", add_lifecycle_commands},
    {"kill", add_lifecycle_commands}, {"wait", add_lifecycle_commands},  {"logs", add_logs_command},
    {"inspect", add_inspect_command},
};

void add_verbs(CLI::App& app, Invocation& invocation, std::string_view asked) {
  const auto* found = std::ranges::find(frequent, asked, &Verb::name);
  if (found != std::end(frequent)) return found->add(app, invocation);
  for (auto add : verbs) add(app, invocation);
}

// CLI11 knows no words for what a prefix command leaves to others.
class HelpFormatter final : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App* app, std::string name) const override {
    std::string text = CLI::Formatter::make_usage(app, std::move(name));
    if (app->get_prefix_command()) text.insert(text.find_last_not_of('\n') + 1, words_left(app->get_name()));
    return text;
  }

 private:
  static const char* words_left(const std::string& verb) {
    if (verb == "exec") return " CONTAINER COMMAND [ARG...]";
    if (verb == "top") return " CONTAINER [ps OPTIONS]";
    return " IMAGE [COMMAND] [ARG...]";
  }
};

// docker exits with 125 when its own `run` is called wrongly.
bool is_run(const CLI::App& app) {
  for (const CLI::App* verb : app.get_subcommands())
    if (verb->get_name() == "run" || verb->get_name() == "exec" || is_run(*verb)) return true;
  return false;
}

// A stdout that cannot take what is still in its buffer is a failure of the verb, too.
Result<int> run_and_flush(const Invocation& invocation) {
  int code = TRY(invocation.run());
  if (std::fflush(stdout) != 0) return fail_errno("print");
  return code;
}

int report(const Error& error, const Invocation& invocation) {
  print_error(error);
  if (invocation.error_exit_code) return invocation.error_exit_code(error);
  return error.code == Errc::cancelled ? 130 : 1;
}

}  // namespace

void print_error(const Error& error) {
  std::fflush(stdout);  // what was said before comes before, also where both are one file
  // Not fmt::print, which throws when stderr cannot be written: the exit code tells in any case.
  // And what an image, a registry or a guest had a part in must not reach the terminal as a command.
  std::string text = fmt::format("diatom: {}\n", printable_lines(error.message));
  if (!error.hint.empty()) text += fmt::format("  {}\n", printable_lines(error.hint));
  std::fputs(text.c_str(), stderr);
}

int main(int argc, char** argv) {
  // A reader that went away is an error of write(2), not the end of this process with a VM half started.
  ::signal(SIGPIPE, SIG_IGN);
  CLI::App app("OCI containers, each in a microVM of its own", "diatom");
  app.formatter(std::make_shared<HelpFormatter>());
  app.set_version_flag("-v,--version", "diatom " DIATOM_VERSION, "Print the version and leave");
  app.require_subcommand(1);
  Invocation invocation;
  add_verbs(app, invocation, argc > 1 ? argv[1] : "");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {  // CLI11 speaks in exceptions; they end here
    int code = app.exit(error);
    return code == 0 ? 0 : is_run(app) ? 125 : 2;
  }
  if (!invocation.run) return 2;
  try {
    auto result = run_and_flush(invocation);
    return result ? *result : report(result.error(), invocation);
  } catch (const std::system_error& error) {  // fmt's, when stdout or stderr is full or has no reader any more
    return report({Errc::internal, std::string("print: ") + error.what(), ""}, invocation);
  }
}

}  // namespace diatom::cli
