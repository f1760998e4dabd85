// The files of one log: container.log, and what was renamed to container.log.1, .2, … (the higher, the older).
#pragma once

#include <vector>

#include "base/file.h"

namespace diatom {

struct LogFile {
  UniqueFd fd;
  uint64_t generation = 0;  // counts up with each file
};

fs::path numbered_log(const fs::path& path, unsigned number);  // 0 is the newest, `path` itself

// All that are there, open for reading, newest first; none is a success. While a writer renames them, one may come
// twice, but none is left out that is there the whole time.
Result<std::vector<LogFile>> open_log_files(const fs::path& path);

// Whether the name leads to the open file. False, too, while it leads nowhere.
bool is_log_file(const fs::path& path, int fd);

}  // namespace diatom
