#include "settings.h"

#include <sys/resource.h>

#include <algorithm>
#include <array>

namespace diatom::agent {

namespace {

struct NamedLimit {
  std::string_view name;
  int number;
};
constexpr NamedLimit limits[] = {{"core", RLIMIT_CORE},         {"cpu", RLIMIT_CPU},
                                 {"data", RLIMIT_DATA},         {"fsize", RLIMIT_FSIZE},
                                 {"locks", RLIMIT_LOCKS},       {"memlock", RLIMIT_MEMLOCK},
                                 {"msgqueue", RLIMIT_MSGQUEUE}, {"nice", RLIMIT_NICE},
                                 {"nofile", RLIMIT_NOFILE},     {"nproc", RLIMIT_NPROC},
                                 {"rss", RLIMIT_RSS},           {"rtprio", RLIMIT_RTPRIO},
                                 {"rttime", RLIMIT_RTTIME},     {"sigpending", RLIMIT_SIGPENDING},
                                 {"stack", RLIMIT_STACK}};

// docker's list.
constexpr std::array<std::string_view, 8> ipc_settings = {"kernel.msgmax", "kernel.msgmnb",         "kernel.msgmni",
                                                          "kernel.sem",    "kernel.shmall",         "kernel.shmmax",
                                                          "kernel.shmmni", "kernel.shm_rmid_forced"};

}  // namespace

Result<int> limit_number(std::string_view name) {
  auto found = std::ranges::find(limits, name, &NamedLimit::name);
  if (found != std::end(limits)) return found->number;
  return fail(Errc::invalid_argument, "find limit \"" + std::string(name) + "\": there is none of that name");
}

Result<std::string> sysctl_path(std::string_view name) {
  bool its_own = name.starts_with("net.") || name.starts_with("fs.mqueue.") ||
                 std::ranges::find(ipc_settings, name) != ipc_settings.end();
  if (!its_own)
    return fail(Errc::invalid_argument, "set sysctl \"" + std::string(name) + "\": it is not one of a container's own");
  std::string path = "/proc/sys/";
  char last = '.';
  for (char c : name) {
    bool part = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    if (!part && ((c != '.' && c != '/') || last == '.' || last == '/'))
      return fail(Errc::invalid_argument, "set sysctl \"" + std::string(name) + "\": this is no name of one");
    path += c == '.' ? '/' : c == '/' ? '.' : c;
    last = c;
  }
  if (last == '.' || last == '/')
    return fail(Errc::invalid_argument, "set sysctl \"" + std::string(name) + "\": this is no name of one");
  return path;
}

}  // namespace diatom::agent
