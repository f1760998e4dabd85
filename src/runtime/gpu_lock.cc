#include "runtime/gpu_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/file.h"

namespace diatom {

namespace {

// Not DIATOM_RUN's: every user of the host must meet there.
constexpr const char* host_path = "/tmp/diatom-gpu.lock";
constexpr size_t longest_holder = 256;

const char* lock_path() {
  const char* chosen = std::getenv("DIATOM_GPU_LOCK");
  return chosen != nullptr && *chosen != '\0' ? chosen : host_path;
}

// Where everybody may make files, opening one to make it is refused when it is somebody else's.
Result<UniqueFd> open_lock(const char* path) {
  for (int attempt = 0; attempt < 2; ++attempt) {
    UniqueFd fd(::open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (fd || errno != ENOENT) return fd ? Result<UniqueFd>(std::move(fd)) : fail_errno(std::string("open ") + path);
    fd = UniqueFd(::open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (fd) {
      ::fchmod(fd.get(), 0666);  // whatever the umask
      return fd;
    }
    if (errno != EEXIST) break;
  }
  return fail_errno(std::string("make ") + path);
}

}  // namespace

Result<UniqueFd> lock_gpu(const std::string& holder) {
  UniqueFd fd = TRY(open_lock(lock_path()));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) < 0) {
    if (errno != EWOULDBLOCK) return fail_errno(std::string("lock ") + lock_path());
    std::string other = read_file(lock_path(), longest_holder).value_or("");
    return fail(Errc::already_exists,
                "give " + holder + " the GPU: " + (other.empty() ? "another container" : other) + " has it",
                "stop that one first: a host's GPU is one VM's at a time");
  }
  if (::ftruncate(fd.get(), 0) < 0) return fail_errno(std::string("write ") + lock_path());
  TRY(pwrite_all(fd.get(), std::as_bytes(std::span(holder).first(std::min(holder.size(), longest_holder))), 0));
  return fd;
}

}  // namespace diatom
