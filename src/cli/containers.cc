#include <fmt/core.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <chrono>
#include <memory>

#include "cli/command.h"
#include "cli/each.h"
#include "cli/json_output.h"
#include "diatom/runtime.h"

namespace diatom::cli {

namespace {

std::string status(const ContainerInfo& info) {
  if (info.state == "exited") return fmt::format("Exited ({})", info.exit_code);
  if (info.state == "failed") return "Failed";
  if (info.state == "running") return "Up";
  return info.state;
}

std::string joined(const std::vector<std::string>& words) {
  std::string line;
  for (const auto& word : words) line += (line.empty() ? "" : " ") + word;
  return line.size() > 30 ? line.substr(0, 29) + "…" : line;
}

Result<int> list(bool all, bool quiet, bool json) {
  Runtime runtime = TRY(Runtime::open());
  auto containers = TRY(runtime.containers(all));
  if (json) {
    print_containers_json(containers);
    return 0;
  }
  if (!quiet) fmt::print("{:<14}{:<24}{:<32}{:<16}{}\n", "CONTAINER ID", "IMAGE", "COMMAND", "STATUS", "NAMES");
  for (const ContainerInfo& info : containers) {
    if (quiet)
      fmt::print("{}\n", info.id.substr(0, 12));
    else
      fmt::print("{:<14}{:<24}{:<32}{:<16}{}\n", info.id.substr(0, 12), info.image, joined(info.command), status(info),
                 info.name);
  }
  return 0;
}

}  // namespace

void add_container_commands(CLI::App& app, Invocation& invocation) {
  struct Flags {
    bool all = false, quiet = false, json = false, force = false;
    std::vector<std::string> names;
  };
  auto flags = std::make_shared<Flags>();

  CLI::App* ps = app.add_subcommand("ps", "list containers");
  ps->add_flag("-a,--all", flags->all, "also those that have ended");
  ps->add_flag("-q,--quiet", flags->quiet, "ids only");
  ps->add_flag("--json", flags->json, "print JSON");
  ps->callback(
      [&invocation, flags] { invocation.run = [flags] { return list(flags->all, flags->quiet, flags->json); }; });

  CLI::App* inspect = app.add_subcommand("inspect", "print everything about containers as JSON");
  inspect->add_option("CONTAINER", flags->names, "name or id")->required();
  inspect->callback([&invocation, flags] {
    invocation.run = [flags]() -> Result<int> {
      Runtime runtime = TRY(Runtime::open());
      std::vector<ContainerInfo> found;
      auto result = for_each_name(flags->names, [&](const std::string& name) -> Result<> {
        found.push_back(TRY(runtime.container(name)));
        return {};
      });
      print_containers_json(found);
      return result;
    };
  });

  CLI::App* rm = app.add_subcommand("rm", "remove containers and their disks");
  rm->add_flag("-f,--force", flags->force, "also running ones");
  rm->add_option("CONTAINER", flags->names, "name or id")->required();
  rm->callback([&invocation, flags] {
    invocation.run = [flags]() -> Result<int> {
      Runtime runtime = TRY(Runtime::open());
      return for_each_name(flags->names, [&](const std::string& name) -> Result<> {
        TRY(runtime.remove_container(name, flags->force));
        fmt::print("{}\n", name);
        return {};
      });
    };
  });
}

}  // namespace diatom::cli
