#include <fmt/core.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/size.h"
#include "cli/cancel_on_signal.h"
#include "cli/container_flags.h"
#include "cli/each.h"
#include "cli/human_time.h"
#include "cli/json_output.h"
#include "cli/listing.h"
#include "cli/options.h"
#include "cli/system_verbs.h"
#include "diatom/templates.h"
#include "runtime/spec_text.h"

namespace diatom::cli {

namespace {

struct Flags {
  bool quiet = false, all = false;
  std::string format;
  std::vector<std::string> names;
  ContainerSpec spec;
  std::string cpus, memory;
};

const Json& headings() {
  static const Json json = {
      {"Name", "TEMPLATE"},        {"Image", "IMAGE"},    {"CPUs", "CPUS"},     {"Memory", "MEMORY"},
      {"Network", "NETWORK"},      {"Root", "ROOT"},      {"Kernel", "KERNEL"}, {"Accelerator", "ACCELERATOR"},
      {"CreatedSince", "CREATED"}, {"UsedSince", "USED"}, {"Size", "SIZE"},     {"Status", "STATUS"}};
  return json;
}

std::string status(const TemplateInfo& info, int64_t now) {
  if (info.usable) return "ready";
  if (info.failure.empty()) return "damaged: made again when it is needed";
  int64_t left = (info.retry_ns - now) / 1'000'000'000;
  std::string when = left > 0 ? "in " + human_duration(left) : "when it is needed";
  return fmt::format("failed: {} (tried again {})", info.failure, when);
}

Json row(const TemplateInfo& info, int64_t now) {
  auto known = [&](std::string text) { return info.usable ? std::move(text) : "-"; };
  return {{"Name", info.name},
          {"Image", known(info.image.empty() ? "any" : shown_id(info.image, false))},
          {"CPUs", known(std::to_string(info.vcpus))},
          {"Memory", known(human_binary_size(info.memory_bytes))},
          {"Network", known(info.network ? "default" : "none")},
          {"Root", known(info.writable ? "writable" : "read-only")},
          {"Kernel", known(info.kernel)},
          {"Accelerator", known(info.accelerator)},
          {"CreatedSince", known(human_since(info.created_ns, now))},
          {"UsedSince", known(human_since(info.used_ns, now))},
          {"Size", human_size(info.disk_bytes)},
          {"Status", status(info, now)}};
}

Result<int> list(const Flags& flags) {
  Templates templates = TRY(Templates::open());
  std::vector<Json> rows;
  int64_t now = wall_clock_ns();
  for (const TemplateInfo& info : TRY(templates.list())) rows.push_back(row(info, now));
  Listing listing{
      R"({{.Name}}\t{{.Image}}\t{{.CPUs}}\t{{.Memory}}\t{{.Network}}\t{{.Root}}\t{{.UsedSince}}\t{{.Size}}\t{{.Status}})",
      headings()};
  std::string format = flags.quiet && flags.format.empty() ? "{{.Name}}" : flags.format;
  fmt::print("{}", TRY(format_listing(format, listing, rows)));
  return 0;
}

Result<int> remove(const Flags& flags) {
  Templates templates = TRY(Templates::open());
  std::vector<std::string> names = flags.names;
  if (flags.all)
    for (TemplateInfo& info : TRY(templates.list())) names.push_back(std::move(info.name));
  else if (names.empty())
    return fail(Errc::invalid_argument, "template rm: no template is named", "or --all");
  return for_each_name(names, [&](const std::string& name) -> Result<> {
    static_cast<void>(TRY(templates.remove(name)));
    fmt::print("{}\n", name);
    return {};
  });
}

Result<int> build(Flags& flags) {
  if (!flags.memory.empty()) flags.spec.memory_bytes = TRY(parse_size("memory", flags.memory));
  if (!flags.cpus.empty()) flags.spec.cpus = TRY(parse_cpus(flags.cpus));
  Templates templates = TRY(Templates::open());
  CancelOnSignal guard(templates);
  fmt::print("{}\n", TRY(templates.build(flags.spec)).name);
  return 0;
}

}  // namespace

void add_template_commands(CLI::App& app, Invocation& invocation) {
  CLI::App* group = app.add_subcommand("template", "VMs that have booted, which containers' own are restored from");
  group->require_subcommand(1);
  auto flags = std::make_shared<Flags>();

  CLI::App* ls = group->add_subcommand("ls", "list them")->alias("list");
  ls->add_flag("-q,--quiet", flags->quiet, "names only");
  add_format_option(*ls, flags->format);
  ls->callback([&invocation, flags] { invocation.run = [flags] { return list(*flags); }; });

  CLI::App* rm = group->add_subcommand("rm", "remove some; containers that run are not touched")->alias("remove");
  rm->add_flag("-a,--all", flags->all, "all of them");
  rm->add_option("TEMPLATE", flags->names, "names");
  rm->callback([&invocation, flags] { invocation.run = [flags] { return remove(*flags); }; });

  CLI::App* made = group->add_subcommand("build", "make one now rather than when the first container needs it");
  one(made->add_option("IMAGE", flags->spec.image,
                       "of containers of that image (default: for those of any to go on from)"));
  one(made->add_option("--cpus", flags->cpus, "of containers with so many CPUs (default 2)"));
  one(made->add_option("-m,--memory", flags->memory, "and so much memory (default 512Mi)"));
  one(made->add_option("--network,--net", flags->spec.network, "and this network: none, or default"));
  made->add_flag("--read-only", flags->spec.read_only, "and a root file system that cannot be written");
  one(made->add_option("--engine", flags->spec.engine, "VM engine (default: the best usable one)"));
  made->callback([&invocation, flags] { invocation.run = [flags] { return build(*flags); }; });
}

}  // namespace diatom::cli
