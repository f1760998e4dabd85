// Waiting for others' files: a descriptor that becomes readable when something happens to them.
#pragma once

#include <filesystem>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"

namespace diatom::platform {

// Tells that something happened, not what: the owner looks for itself. Nothing that happens after open() has returned
// is missed; so open it first, look then. Several changes may be told as one, and there may be a change too many.
//
// A file: it was written to, cut short, touched (utimes), renamed or removed. The file is watched, not its name: once
// the name leads to another file, the watch must be opened anew. A folder: something in it was made, removed or renamed
// (on macOS: nothing of what is in its subfolders; on no system: what is written to the files in it).
class FileWatch {
 public:
  // Fails with not_found when one of them is not there.
  static Result<FileWatch> open(const std::vector<std::filesystem::path>& paths);
  int pollable() const { return events_.get(); }  // borrowed, non-blocking
  void drain();                                   // what was told is known now: not readable any more

 private:
  explicit FileWatch(UniqueFd events) : events_(std::move(events)) {}
  UniqueFd events_;                // inotify; kqueue
  std::vector<UniqueFd> watched_;  // kqueue only: it watches descriptors
};

}  // namespace diatom::platform
