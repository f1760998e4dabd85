#include "store/paths.h"

#include <unistd.h>

#include <cstdlib>

namespace diatom::store {

namespace {

// Empty counts as not set, as the XDG specification has it.
const char* environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : nullptr;
}

std::filesystem::path default_home() {
  if (::geteuid() == 0) return "/var/lib/diatom";
  if (const char* data = environment("XDG_DATA_HOME")) return std::filesystem::path(data) / "diatom";
  const char* home = environment("HOME");
  return std::filesystem::path(home != nullptr ? home : "/tmp") / ".local/share/diatom";
}

std::filesystem::path default_run(const std::filesystem::path& home) {
  if (::geteuid() == 0) return "/run/diatom";
  if (const char* runtime = environment("XDG_RUNTIME_DIR")) return std::filesystem::path(runtime) / "diatom";
  return home / "run";  // no session: nothing there is ours alone but our home
}

}  // namespace

Paths default_paths() {
  const char* home = environment("DIATOM_HOME");
  const char* run = environment("DIATOM_RUN");
  Paths paths;
  paths.home = std::filesystem::absolute(home != nullptr ? std::filesystem::path(home) : default_home());
  paths.run = std::filesystem::absolute(run != nullptr ? std::filesystem::path(run) : default_run(paths.home));
  return paths;
}

}  // namespace diatom::store
