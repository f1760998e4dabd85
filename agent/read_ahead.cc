#include "read_ahead.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "base/file.h"
#include "execute.h"

namespace diatom::agent {

namespace {

constexpr size_t most_bytes = 2 << 20;  // of a file
constexpr size_t block = 64 << 10;
constexpr int most_interpreters = 4;

// How it begins; empty where it is no file.
std::string read_file_ahead(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat status{};
  if (!fd || ::fstat(fd.get(), &status) < 0 || !S_ISREG(status.st_mode)) return "";
  std::string head(block, '\0');
  ssize_t got = ::read(fd.get(), head.data(), head.size());
  head.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
  std::string rest(block, '\0');
  for (size_t done = head.size(); got > 0 && done < most_bytes; done += static_cast<size_t>(std::max<ssize_t>(got, 0)))
    got = ::read(fd.get(), rest.data(), rest.size());
  return head;
}

template <class T>
bool copy_from(std::string_view bytes, uint64_t offset, T& to) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof to) return false;
  std::memcpy(&to, bytes.data() + offset, sizeof to);
  return true;
}

}  // namespace

std::string interpreter_of(std::string_view head) {
  if (head.starts_with("#!")) {
    std::string_view line = head.substr(2, std::min(head.find('\n'), head.size()) - 2);
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    return std::string(line.substr(0, line.find_first_of(" \t")));
  }
  Elf64_Ehdr header;
  if (!head.starts_with(ELFMAG) || !copy_from(head, 0, header)) return "";
  for (unsigned number = 0; number < header.e_phnum; ++number) {
    Elf64_Phdr part;
    if (!copy_from(head, header.e_phoff + uint64_t{number} * sizeof part, part)) return "";
    if (part.p_type != PT_INTERP) continue;
    if (part.p_offset >= head.size()) return "";
    std::string_view path = head.substr(part.p_offset);
    return std::string(path.substr(0, std::min(path.find('\0'), path.size())));
  }
  return "";
}

namespace {

std::string find_in_path(const std::string& program, const std::vector<std::string>& env) {
  const char* path = variable(env, "PATH");
  if (program.find('/') != std::string::npos || path == nullptr) return program;
  for (std::string_view rest = path; !rest.empty();) {
    std::string candidate = std::string(rest.substr(0, rest.find(':'))) + "/" + program;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    rest.remove_prefix(std::min(rest.find(':'), rest.size() - 1) + 1);
  }
  return program;
}

}  // namespace

void read_ahead(const std::string& program, const std::vector<std::string>& env) {
  if (program.empty()) return;
  std::string path = find_in_path(program, env);
  for (int depth = 0; depth < most_interpreters && path.starts_with('/'); ++depth) {
    path = interpreter_of(read_file_ahead(path));
    if (path.empty()) return;
    std::error_code error;
    fs::path loader = fs::canonical(path, error);
    if (!error) read_file_ahead(loader.parent_path() / "libc.so.6");
  }
}

}  // namespace diatom::agent
