#include <fmt/core.h>

#include <memory>

#include "base/clock.h"
#include "cli/container_verbs.h"
#include "cli/options.h"
#include "cli/top_columns.h"
#include "diatom/runtime.h"

namespace diatom::cli {

namespace {

Result<int> top(const std::vector<std::string>& words) {
  if (words.empty() || words.front().starts_with('-'))
    return fail(Errc::invalid_argument, "top: no container is named", "diatom top CONTAINER [ps OPTIONS]");
  auto columns = TRY(parse_ps_options({words.begin() + 1, words.end()}));
  Runtime runtime = TRY(Runtime::open());
  auto processes = TRY(runtime.top(words.front()));
  ContainerInfo info = TRY(runtime.container(words.front()));
  fmt::print("{}", top_table(columns, processes, {wall_clock_ns(), info.spec.memory_bytes}));
  return 0;
}

}  // namespace

void add_top(CLI::App& parent, Invocation& invocation) {
  CLI::App* verb = parent.add_subcommand("top", "show the processes of a container");
  // What stands behind the container is ps's.
  verb->prefix_command();
  verb->footer("ps OPTIONS: -ef (default), aux, or -o with a list of columns: -o pid,user,comm");
  verb->callback([&invocation, verb] { invocation.run = [words = verb->remaining()] { return top(words); }; });
}

}  // namespace diatom::cli
