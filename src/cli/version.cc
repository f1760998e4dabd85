#include <fmt/core.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/options.h"
#include "cli/template.h"
#include "diatom/runtime.h"
#include "runtime/json/documents.h"

namespace diatom::cli {

namespace {

Result<int> version(const std::string& format) {
  if (format.empty()) {
    fmt::print("diatom {}\n", DIATOM_VERSION);
    return 0;
  }
  Template wanted = TRY(Template::parse(format == "json" ? "{{json .}}" : format));
  SystemInfo system = TRY(system_info());
  fmt::print("{}\n", TRY(wanted.execute(version_json(system))));
  return 0;
}

}  // namespace

void add_version_command(CLI::App& app, Invocation& invocation) {
  auto format = std::make_shared<std::string>();
  CLI::App* verb = app.add_subcommand("version", "print the version");
  one(verb->add_option("-f,--format", *format,
                       "json, or a template: {{.Client.Version}}, {{.Engine.Version}}, as docker's"));
  verb->callback([&invocation, format] { invocation.run = [format] { return version(*format); }; });
}

}  // namespace diatom::cli
