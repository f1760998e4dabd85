#include "execute.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace diatom::agent {

using channel::StartFailure;

namespace {

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (const auto& entry : strings) out.push_back(const_cast<char*>(entry.c_str()));
  out.push_back(nullptr);
  return out;
}

}  // namespace

const char* variable(const std::vector<std::string>& env, std::string_view key) {
  for (const auto& entry : env)
    if (entry.size() > key.size() && entry.starts_with(key) && entry[key.size()] == '=') return &entry[key.size() + 1];
  return nullptr;
}

StartFailure execute(const std::vector<std::string>& argv, const std::vector<std::string>& env) {
  std::vector<char*> arguments = pointers(argv);
  std::vector<char*> environment = pointers(env);
  const std::string& program = argv.front();
  std::string quoted = "exec \"" + program + "\": ";
  auto reason = [&quoted](int error) {
    return StartFailure{error == ENOENT || error == ENOTDIR ? 127 : 126, quoted + std::strerror(error)};
  };
  auto is_directory = [](const std::string& path) {
    struct stat status{};
    return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
  };
  if (program.find('/') != std::string::npos) {
    ::execve(program.c_str(), arguments.data(), environment.data());
    int error = errno;
    return is_directory(program) ? StartFailure{126, quoted + "it is a directory"} : reason(error);
  }
  const char* found = variable(env, "PATH");
  std::string path = found != nullptr ? found : "";
  int denied = 0;
  for (size_t begin = 0; begin <= path.size();) {
    size_t end = std::min(path.find(':', begin), path.size());
    std::string directory = path.substr(begin, end - begin);
    begin = end + 1;
    std::string candidate = (directory.empty() ? "." : directory) + "/" + program;
    ::execve(candidate.c_str(), arguments.data(), environment.data());
    if (errno == ENOENT || errno == ENOTDIR || is_directory(candidate)) continue;
    if (errno != EACCES) return reason(errno);
    denied = EACCES;
  }
  if (denied != 0) return reason(denied);
  return {127, quoted + "executable file not found in $PATH"};
}

}  // namespace diatom::agent
