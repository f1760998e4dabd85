#include "base/platform/file_watch.h"

#include <fcntl.h>
#include <sys/event.h>
#include <unistd.h>

#include "base/error.h"

namespace diatom::platform {

Result<FileWatch> FileWatch::open(const std::vector<std::filesystem::path>& paths) {
  UniqueFd events(::kqueue());
  if (!events) return fail_errno("watch files");
  ::fcntl(events.get(), F_SETFD, FD_CLOEXEC);
  FileWatch watch(std::move(events));
  for (const auto& path : paths) {
    // For events alone: it keeps no disk from being unmounted.
    UniqueFd fd(::open(path.c_str(), O_EVTONLY | O_CLOEXEC));
    if (!fd) return fail_errno("watch " + path.string());
    struct kevent change{};
    EV_SET(&change, static_cast<uintptr_t>(fd.get()), EVFILT_VNODE, EV_ADD | EV_CLEAR,
           NOTE_WRITE | NOTE_EXTEND | NOTE_ATTRIB | NOTE_RENAME | NOTE_DELETE | NOTE_LINK, 0, nullptr);
    if (::kevent(watch.events_.get(), &change, 1, nullptr, 0, nullptr) < 0) return fail_errno("watch " + path.string());
    watch.watched_.push_back(std::move(fd));
  }
  return watch;
}

void FileWatch::drain() {
  struct kevent happened[16];
  const timespec now{};
  while (::kevent(events_.get(), nullptr, 0, happened, 16, &now) > 0) {
  }
}

}  // namespace diatom::platform
