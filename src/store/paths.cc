#include "store/paths.h"

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace diatom::store {

namespace {

// Empty counts as not set, as the XDG specification has it.
const char* environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : nullptr;
}

// Of the user database where the environment has none, as for services. /tmp is no place: it is everybody's.
Result<std::filesystem::path> user_home() {
  if (const char* home = environment("HOME")) return std::filesystem::path(home);
  const passwd* user = ::getpwuid(::geteuid());
  if (user != nullptr && user->pw_dir != nullptr && user->pw_dir[0] == '/') return std::filesystem::path(user->pw_dir);
  return fail(Errc::invalid_argument,
              "find the store: neither HOME nor the user database knows a home of user " + std::to_string(::geteuid()),
              "set DIATOM_HOME");
}

Result<std::filesystem::path> default_home() {
  if (::geteuid() == 0) return std::filesystem::path("/var/lib/diatom");
  if (const char* data = environment("XDG_DATA_HOME")) return std::filesystem::path(data) / "diatom";
  return TRY(user_home()) / ".local/share/diatom";
}

std::filesystem::path default_run(const std::filesystem::path& home) {
  if (::geteuid() == 0) return "/run/diatom";
  if (const char* runtime = environment("XDG_RUNTIME_DIR")) return std::filesystem::path(runtime) / "diatom";
  return home / "run";  // no session: nothing there is ours alone but our home
}

Result<std::filesystem::path> make_absolute(const std::filesystem::path& path) {
  std::error_code error;
  auto whole = std::filesystem::absolute(path, error);
  if (error) return fail_errno("find " + path.string() + " from the working directory", error.value());
  return whole;
}

}  // namespace

Result<Paths> find_paths(const Locations& locations) {
  const char* home = locations.home.empty() ? environment("DIATOM_HOME") : locations.home.c_str();
  const char* run = locations.run.empty() ? environment("DIATOM_RUN") : locations.run.c_str();
  Paths paths;
  std::filesystem::path wanted = home != nullptr ? std::filesystem::path(home) : TRY(default_home());
  paths.home = TRY(make_absolute(wanted));
  paths.run = TRY(make_absolute(run != nullptr ? std::filesystem::path(run) : default_run(paths.home)));
  return paths;
}

}  // namespace diatom::store
