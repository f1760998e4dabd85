// Seatbelt (sandbox_init(3)), by a profile of its own language. The function has been deprecated for ten years and has
// no successor for programs that are no app; browsers stand on it, too.
#include <cstdint>

#include "base/platform/platform.h"

extern "C" {
int sandbox_init(const char* profile, uint64_t flags, char** error);
void sandbox_free_error(char* error);
}

namespace diatom::platform {

namespace {

// (subpath "/a \"b\"") holds for a file, too. Seatbelt sees paths as they are without links. Empty when it is not
// there.
std::string subpath(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::path real = std::filesystem::canonical(path, error);
  if (error) return "";
  std::string rule = " (subpath \"";
  for (char c : real.native()) {
    if (c == '"' || c == '\\') rule += '\\';
    rule += c;
  }
  return rule + "\")";
}

// A later rule wins. Not file-read*: where a path leads to may be seen.
std::string profile_of(const FileAccess& access) {
  std::string read, write;
  for (const auto& path : access.read) read += subpath(path);
  for (const auto& path : access.write) write += subpath(path);
  // What the system's own libraries read when they are first used.
  for (const char* path : {"/System", "/usr/lib", "/usr/share", "/Library/Apple", "/dev/urandom", "/dev/random"})
    read += subpath(path);
  write += subpath("/dev/fd");  // what is open
  std::string profile = "(version 1)(allow default)(deny file-read-data file-write* process-exec process-fork)";
  profile += "(allow file-read-data (literal \"/\")" + read + write + ")";
  return profile + "(allow file-write*" + write + ")";
}

}  // namespace

// For the whole process.
Result<bool> confine_files(const FileAccess& access) {
  char* words = nullptr;
  if (::sandbox_init(profile_of(access).c_str(), 0, &words) == 0) return true;
  std::string why = words != nullptr ? words : "no reason given";
  ::sandbox_free_error(words);
  return fail(Errc::internal, "enter the sandbox: " + why);
}

// A process has one profile for life, which confine_files() gives it.
Result<> confine_listening(std::span<const uint16_t>) {
  return fail(Errc::unsupported, "keep a VM from listening at this host's other ports: macOS gives no way",
              "leave out --network tsi");
}

}  // namespace diatom::platform
