#include "base/platform/file_watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include "base/error.h"

namespace diatom::platform {

Result<FileWatch> FileWatch::open(const std::vector<std::filesystem::path>& paths) {
  UniqueFd events(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!events) return fail_errno("watch files");
  // IN_MODIFY is left out for a folder: it would tell of every write to every file in it.
  constexpr uint32_t of_folder =
      IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
  constexpr uint32_t of_file = IN_MODIFY | IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF;
  for (const auto& path : paths) {
    std::error_code ignored;  // a path that is not there fails below
    bool folder = std::filesystem::is_directory(path, ignored);
    if (::inotify_add_watch(events.get(), path.c_str(), folder ? of_folder : of_file) < 0)
      return fail_errno("watch " + path.string());
  }
  return FileWatch(std::move(events));
}

// A queue that ran over is readable, too: what was lost is only how often.
void FileWatch::drain() {
  alignas(inotify_event) char buffer[4096];
  while (::read(events_.get(), buffer, sizeof buffer) > 0) {
  }
}

}  // namespace diatom::platform
