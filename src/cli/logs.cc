#include <memory>

#include "base/clock.h"
#include "base/time_text.h"
#include "cli/command.h"
#include "cli/options.h"
#include "diatom/runtime.h"
#include "runtime/spec_text.h"

namespace diatom::cli {

namespace {

struct Flags {
  LogQuery query;
  std::string tail = "all", since, until;
  std::string name;
};

Result<int> logs(Flags& flags) {
  if (flags.tail != "all") flags.query.tail = TRY(parse_count<uint64_t>("tail", flags.tail));
  int64_t now = wall_clock_ns();
  if (!flags.since.empty()) flags.query.since_ns = TRY(parse_point_in_time(flags.since, now));
  if (!flags.until.empty()) flags.query.until_ns = TRY(parse_point_in_time(flags.until, now));
  Runtime runtime = TRY(Runtime::open());
  TRY(runtime.logs(flags.name, flags.query, 1, 2));
  return 0;
}

}  // namespace

void add_logs_command(CLI::App& app, Invocation& invocation) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = app.add_subcommand("logs", "print what a container's program has printed");
  verb->add_flag("-f,--follow", flags->query.follow, "go on until the container ends");
  verb->add_flag("-t,--timestamps", flags->query.timestamps, "print when each line came");
  one(verb->add_option("-n,--tail", flags->tail, "only the last lines: a number, or all"));
  one(verb->add_option("--since", flags->since, "from then on: a time, or how long ago (10m)"));
  one(verb->add_option("--until", flags->until, "before then: a time, or how long ago (10m)"));
  verb->add_option("CONTAINER", flags->name, "name or id")->required();
  verb->callback([&invocation, flags] { invocation.run = [flags] { return logs(*flags); }; });
}

}  // namespace diatom::cli
