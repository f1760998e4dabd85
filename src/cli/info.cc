#include <fmt/core.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/size.h"
#include "base/text.h"
#include "cli/options.h"
#include "cli/system_verbs.h"
#include "cli/template.h"
#include "diatom/images.h"
#include "diatom/runtime.h"
#include "runtime/json/documents.h"

namespace diatom::cli {

namespace {

void print_info(const Json& info) {
  auto line = [](std::string_view name, const std::string& value) { fmt::print("{}: {}\n", name, printable(value)); };
  auto text = [](const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); };
  auto or_none = [&](const Json& value) { return value == "" ? "none" : text(value); };
  const Json& engine = info["Engine"];
  line("Version", text(info["ServerVersion"]));
  line("Containers", text(info["Containers"]));
  line(" Running", text(info["ContainersRunning"]));
  line(" Paused", text(info["ContainersPaused"]));
  line(" Stopped", text(info["ContainersStopped"]));
  line("Images", text(info["Images"]));
  line("Engine", or_none(engine["Name"]));
  if (engine["Name"] != "") {
    line(" Version", text(engine["Version"]));
    line(" Accelerator", text(engine["Accelerator"]));
  }
  line("Guest Kernel", or_none(engine["GuestKernel"]));
  line("Storage Driver", text(info["Driver"]));
  line("Logging Driver", text(info["LoggingDriver"]));
  line("Cgroup Version", text(info["CgroupVersion"]));
  line("Kernel Version", text(info["KernelVersion"]));
  line("OSType", text(info["OSType"]));
  line("Architecture", text(info["Architecture"]));
  line("CPUs", text(info["NCPU"]));
  line("Total Memory", format_size(info["MemTotal"].get<uint64_t>()));
  line("Name", text(info["Name"]));
  line("Root Dir", text(info["RootDir"]));
  line("Run Dir", text(info["RunDir"]));
  for (const Json& warning : info["Warnings"]) fmt::print(stderr, "WARNING: {}\n", printable_lines(text(warning)));
}

Result<int> info(const std::string& format) {
  SystemInfo system = TRY(system_info());
  Runtime runtime = TRY(Runtime::open());
  Images images = TRY(Images::open());
  Json document = info_json(system, TRY(runtime.containers(true)), TRY(images.list()).size());
  if (format.empty()) {
    print_info(document);
    return 0;
  }
  Template wanted = TRY(Template::parse(format == "json" ? "{{json .}}" : format));
  fmt::print("{}\n", TRY(wanted.execute(document)));
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
