#include <fmt/core.h>
#include <unistd.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/size.h"
#include "base/text.h"
#include "cli/options.h"
#include "cli/system_verbs.h"
#include "cli/template.h"
#include "diatom/images.h"
#include "diatom/runtime.h"

namespace diatom::cli {

namespace {

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "";
}

struct Counts {
  int64_t all = 0, running = 0, paused = 0, stopped = 0;
};
Counts count(const std::vector<ContainerInfo>& containers) {
  Counts counts;
  counts.all = static_cast<int64_t>(containers.size());
  for (const ContainerInfo& info : containers) {
    bool stopped = info.state == "exited" || info.state == "failed" || info.state == "created";
    ++(info.state == "paused" ? counts.paused : stopped ? counts.stopped : counts.running);
  }
  return counts;
}

// docker's names where it has some.
Json info_json(const SystemInfo& system, const Counts& counts, size_t images) {
  return {{"Containers", counts.all},
          {"ContainersRunning", counts.running},
          {"ContainersPaused", counts.paused},
          {"ContainersStopped", counts.stopped},
          {"Images", images},
          {"Driver", "erofs"},
          {"LoggingDriver", "json-file"},
          {"CgroupDriver", "cgroupfs"},
          {"CgroupVersion", "2"},
          {"KernelVersion", system.host_kernel},
          {"OSType", system.host_os},
          {"Architecture", system.host_architecture},
          {"NCPU", system.host_cpus},
          {"MemTotal", system.host_memory_bytes},
          {"Name", host_name()},
          {"ServerVersion", DIATOM_VERSION},
          {"RootDir", system.home},
          {"RunDir", system.run},
          {"Engine",
           {{"Name", system.engine},
            {"Version", system.engine_version},
            {"Accelerator", system.accelerator},
            {"GuestKernel", system.guest_kernel}}},
          {"Warnings", system.warnings}};
}

void print_info(const SystemInfo& system, const Counts& counts, size_t images) {
  auto line = [](std::string_view name, const std::string& value) { fmt::print("{}: {}\n", name, printable(value)); };
  auto or_none = [](const std::string& text) { return text.empty() ? std::string("none") : text; };
  line("Version", DIATOM_VERSION);
  line("Containers", std::to_string(counts.all));
  line(" Running", std::to_string(counts.running));
  line(" Paused", std::to_string(counts.paused));
  line(" Stopped", std::to_string(counts.stopped));
  line("Images", std::to_string(images));
  line("Engine", or_none(system.engine));
  if (!system.engine.empty()) {
    line(" Version", system.engine_version);
    line(" Accelerator", system.accelerator);
  }
  line("Guest Kernel", or_none(system.guest_kernel));
  line("Storage Driver", "erofs");
  line("Logging Driver", "json-file");
  line("Cgroup Version", "2");
  line("Kernel Version", system.host_kernel);
  line("OSType", system.host_os);
  line("Architecture", system.host_architecture);
  line("CPUs", std::to_string(system.host_cpus));
  line("Total Memory", format_size(system.host_memory_bytes));
  line("Name", host_name());
  line("Root Dir", system.home);
  line("Run Dir", system.run);
  for (const auto& warning : system.warnings) fmt::print(stderr, "WARNING: {}\n", printable_lines(warning));
}

Result<int> info(const std::string& format) {
  SystemInfo system = TRY(system_info());
  Runtime runtime = TRY(Runtime::open());
  Images images = TRY(Images::open());
  Counts counts = count(TRY(runtime.containers(true)));
  size_t image_count = TRY(images.list()).size();
  if (format.empty()) {
    print_info(system, counts, image_count);
    return 0;
  }
  Template wanted = TRY(Template::parse(format == "json" ? "{{json .}}" : format));
  fmt::print("{}\n", TRY(wanted.execute(info_json(system, counts, image_count))));
  return 0;
}

}  // namespace

void add_info(CLI::App& parent, Invocation& invocation) {
  auto format = std::make_shared<std::string>();
  CLI::App* verb = parent.add_subcommand("info", "show what is here: counts, folders, engine, host");
  one(verb->add_option("-f,--format", *format, "json, or a template: {{.NCPU}}, {{.Engine.Name}}, as docker's"));
  verb->callback([&invocation, format] { invocation.run = [format] { return info(*format); }; });
}

}  // namespace diatom::cli
