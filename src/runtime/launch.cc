#include "runtime/launch.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>

#include "base/child.h"
#include "base/file.h"
#include "base/installation.h"
#include "base/platform/platform.h"

namespace diatom {

namespace {

constexpr int starter_fd = 3;

Result<fs::path> monitor_program(const fs::path& wanted) {
  if (!wanted.empty()) return wanted;
  const char* chosen = std::getenv("DIATOM_MONITOR");
  if (chosen != nullptr && *chosen != '\0') return fs::path(chosen);
  std::string looked;
  for (const auto& candidate : installed_file_candidates("libexec/diatom/diatom-monitor")) {
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    looked += (looked.empty() ? "" : ", ") + candidate.string();
  }
  return fail(Errc::engine_unavailable, "start container: there is no diatom-monitor: looked for " + looked,
              "it is installed with diatom; DIATOM_MONITOR names it elsewhere");
}

}  // namespace

Result<UniqueFd> launch_monitor(const store::Paths& paths, const fs::path& program, const std::string& id) {
  platform::SocketPair pair = TRY(platform::make_socket_pair());
  // What it has to say when it cannot go on. Appended: another may have it open, which runs.
  UniqueFd words = TRY(open_file(paths.container(id) / "monitor.log", O_WRONLY | O_CREAT | O_APPEND, 0600));
  ChildOptions options;
  fs::path found = TRY(monitor_program(program));
  options.argv = {found.string(), id};
  options.fds = {{words.get(), 1}, {words.get(), 2}, {pair.theirs.get(), starter_fd}};
  // Relative ones would be looked for elsewhere: it leaves this working directory.
  std::vector<std::string>& environment = options.environment;
  options.inherit_environment = false;
  for (char** entry = platform::environment(); *entry != nullptr; ++entry) {
    std::string_view variable = *entry;
    if (!variable.starts_with("DIATOM_HOME=") && !variable.starts_with("DIATOM_RUN="))
      environment.emplace_back(variable);
  }
  environment.push_back("DIATOM_HOME=" + paths.home.string());
  environment.push_back("DIATOM_RUN=" + paths.run.string());
  TRY(spawn_detached(options));
  return std::move(pair.ours);
}

}  // namespace diatom
