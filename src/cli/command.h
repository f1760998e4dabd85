// How a verb joins the command line: one file per verb, one add_… function, one row in command.cc. A verb only
// parses, calls the library and prints.
#pragma once

#include <functional>

#include "base/error.h"

namespace CLI {
class App;
}

namespace diatom::cli {

// What the parsed command line asks for. A verb's callback sets `run`, which returns the process's exit code;
// main prints the Error of a failed run as `diatom: message` and, below it, the hint.
struct Invocation {
  std::function<Result<int>()> run;
};

void add_image_commands(CLI::App& app, Invocation& invocation);  // image load, ls, inspect, rm
void add_run_command(CLI::App& app, Invocation& invocation);
void add_container_commands(CLI::App& app, Invocation& invocation);  // ps, inspect, rm
void add_doctor_command(CLI::App& app, Invocation& invocation);

}  // namespace diatom::cli
