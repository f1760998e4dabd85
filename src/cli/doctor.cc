#include <fmt/core.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <memory>

#include "cli/command.h"
#include "cli/json_output.h"
#include "diatom/runtime.h"

namespace diatom::cli {

namespace {

void print_report(const DoctorReport& report) {
  for (const DoctorCheck& check : report.checks) {
    fmt::print("{:<7} {:<14} {}\n", check.ok ? "ok" : check.required ? "MISSING" : "absent", check.name, check.detail);
    if (!check.ok && !check.hint.empty()) fmt::print("{:<22} → {}\n", "", check.hint);
  }
  if (report.usable)
    fmt::print("\ncontainers run here, with engine {} on {}\n", report.engine, report.accelerator);
  else
    fmt::print("\nno container can run here: see what is missing above\n");
}

}  // namespace

void add_doctor_command(CLI::App& app, Invocation& invocation) {
  auto json = std::make_shared<bool>(false);
  CLI::App* verb = app.add_subcommand("doctor", "say whether this host can run containers, by which engine, and why");
  verb->add_flag("--json", *json, "print JSON");
  verb->footer("Exit status: 0 when containers can run here, 1 when not.");
  verb->callback([&invocation, json] {
    invocation.run = [json]() -> Result<int> {
      DoctorReport report = doctor();
      if (*json)
        print_doctor_json(report);
      else
        print_report(report);
      return report.usable ? 0 : 1;
    };
  });
}

}  // namespace diatom::cli
