// How a verb joins the command line: one file per verb, one add_… function, one row in command.cc. A verb only
// parses, calls the library and prints.
#pragma once

#include <functional>

#include "base/error.h"

namespace diatom {
struct AttachResult;
}
namespace CLI {
class App;
}

namespace diatom::cli {

// Parses the command line, runs the verb, prints its error. Returns the process's exit code.
int main(int argc, char** argv);

// What the parsed command line asks for. A verb's callback sets `run`, which returns the process's exit code;
// main prints the Error of a failed run as `diatom: message` and, below it, the hint.
struct Invocation {
  std::function<Result<int>()> run;
  // The exit code of a failed run: 1, but for `run`, which has docker's.
  std::function<int(const Error&)> error_exit_code;
};

// "diatom: message" and the hint below it, on stderr.
void print_error(const Error& error);

// The exit code of an attached program, after what there is to be said of its end and of lost output.
int exit_code_of(const AttachResult& result);

void add_run_command(CLI::App& app, Invocation& invocation);
void add_create_command(CLI::App& app, Invocation& invocation);
void add_lifecycle_commands(CLI::App& app, Invocation& invocation);  // start, stop, kill, pause, wait, …
void add_exec_commands(CLI::App& app, Invocation& invocation);       // exec, attach
void add_logs_command(CLI::App& app, Invocation& invocation);
void add_container_commands(CLI::App& app, Invocation& invocation);  // container_verbs.h, and those above
void add_inspect_command(CLI::App& app, Invocation& invocation);
void add_image_commands(CLI::App& app, Invocation& invocation);  // image_verbs.h
void add_login_commands(CLI::App& app, Invocation& invocation);  // login, logout
void add_events_command(CLI::App& app, Invocation& invocation);
void add_system_commands(CLI::App& app, Invocation& invocation);  // system_verbs.h
void add_doctor_command(CLI::App& app, Invocation& invocation);
void add_version_command(CLI::App& app, Invocation& invocation);

}  // namespace diatom::cli
