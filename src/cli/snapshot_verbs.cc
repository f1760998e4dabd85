#include <fmt/core.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "cli/cancel_on_signal.h"
#include "cli/each.h"
#include "cli/human_time.h"
#include "cli/listing.h"
#include "cli/options.h"
#include "cli/system_verbs.h"
#include "diatom/runtime.h"

namespace diatom::cli {

namespace {

struct Flags {
  bool quiet = false;
  std::string format, reference, name;
  std::vector<std::string> names;
  unsigned count = 1;
};

const Json& headings() {
  static const Json json = {{"Name", "SNAPSHOT"},        {"ContainerID", "CONTAINER ID"},
                            {"Container", "CONTAINER"},  {"Image", "IMAGE"},
                            {"CreatedSince", "CREATED"}, {"CPUs", "CPUS"},
                            {"Memory", "MEMORY"},        {"Size", "SIZE"}};
  return json;
}

Json row(const SnapshotInfo& info, int64_t now) {
  auto known = [&](std::string text) { return info.container.empty() ? "-" : std::move(text); };
  return {{"Name", info.name},
          {"ContainerID", known(info.container.substr(0, 12))},
          {"Container", known(info.container_name)},
          {"Image", known(info.image_name)},
          {"CreatedSince", known(human_since(info.created_ns, now))},
          {"CPUs", known(std::to_string(info.vcpus))},
          {"Memory", known(human_binary_size(info.memory_bytes))},
          {"Size", human_size(info.disk_bytes)}};
}

Result<int> create(const Flags& flags) {
  Runtime runtime = TRY(Runtime::open());
  CancelOnSignal guard(runtime);
  fmt::print("{}\n", TRY(runtime.create_snapshot(flags.reference, flags.name)).name);
  return 0;
}

Result<int> list(const Flags& flags) {
  Runtime runtime = TRY(Runtime::open());
  std::vector<Json> rows;
  int64_t now = wall_clock_ns();
  for (const SnapshotInfo& info : TRY(runtime.snapshots())) rows.push_back(row(info, now));
  Listing listing{R"({{.Name}}\t{{.Container}}\t{{.Image}}\t{{.CreatedSince}}\t{{.Memory}}\t{{.Size}})", headings()};
  std::string format = flags.quiet && flags.format.empty() ? "{{.Name}}" : flags.format;
  fmt::print("{}", TRY(format_listing(format, listing, rows)));
  return 0;
}

Result<int> remove(const Flags& flags) {
  Runtime runtime = TRY(Runtime::open());
  return for_each_name(flags.names, [&](const std::string& name) -> Result<> {
    static_cast<void>(TRY(runtime.remove_snapshot(name)));
    fmt::print("{}\n", name);
    return {};
  });
}

Result<int> restore(const Flags& flags) {
  Runtime runtime = TRY(Runtime::open());
  CancelOnSignal guard(runtime);
  fmt::print("{}\n", TRY(runtime.restore_snapshot(flags.reference, flags.name)));
  return 0;
}

Result<int> fork(const Flags& flags) {
  Runtime runtime = TRY(Runtime::open());
  CancelOnSignal guard(runtime);
  ForkOptions options{.count = flags.count, .name = flags.name, .on_started = [](const std::string& id) {
                        fmt::print("{}\n", id);
                        std::fflush(stdout);
                      }};
  static_cast<void>(TRY(runtime.fork(flags.reference, options)));
  return 0;
}

}  // namespace

void add_snapshot_commands(CLI::App& app, Invocation& invocation) {
  CLI::App* group = app.add_subcommand("snapshot", "containers saved while they run, with their memory");
  group->require_subcommand(1);
  auto flags = std::make_shared<Flags>();

  CLI::App* made = group->add_subcommand("create", "save a container that runs; it goes on");
  one(made->add_option("CONTAINER", flags->reference, "id, unique prefix of one, or name")->required());
  one(made->add_option("SNAPSHOT", flags->name, "its name; else one is made up"));
  made->callback([&invocation, flags] { invocation.run = [flags] { return create(*flags); }; });

  CLI::App* ls = group->add_subcommand("ls", "list them")->alias("list");
  ls->add_flag("-q,--quiet", flags->quiet, "names only");
  add_format_option(*ls, flags->format);
  ls->callback([&invocation, flags] { invocation.run = [flags] { return list(*flags); }; });

  CLI::App* rm = group->add_subcommand("rm", "remove some; containers that were made of them stay")->alias("remove");
  rm->add_option("SNAPSHOT", flags->names, "names")->required();
  rm->callback([&invocation, flags] { invocation.run = [flags] { return remove(*flags); }; });

  CLI::App* back = group->add_subcommand("restore", "a new container, which goes on from there");
  one(back->add_option("SNAPSHOT", flags->reference, "name")->required());
  one(back->add_option("--name", flags->name, "of the container"));
  back->callback([&invocation, flags] { invocation.run = [flags] { return restore(*flags); }; });
}

void add_fork_command(CLI::App& app, Invocation& invocation) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = app.add_subcommand("fork", "copies of a container that runs, which go on from where it is");
  one(verb->add_option("CONTAINER", flags->reference, "id, unique prefix of one, or name")->required());
  one(verb->add_option("-n,--count", flags->count, "how many (default 1)")->check(CLI::Range(1U, 1000U)));
  one(verb->add_option("--name", flags->name, "of the copy; of several, what their names begin with"));
  verb->callback([&invocation, flags] { invocation.run = [flags] { return fork(*flags); }; });
}

}  // namespace diatom::cli
