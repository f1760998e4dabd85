#include "runtime/changes.h"

#include <string>

namespace diatom {

Result<std::vector<FileChange>> decode_changes(std::string_view text) {
  std::vector<FileChange> changes;
  while (!text.empty()) {
    size_t end = text.find('\0');
    std::string_view line = text.substr(0, end);
    using enum FileChange::Kind;
    bool good = end != std::string_view::npos && line.size() > 1 && line[1] == '/' &&
                (line[0] == 'A' || line[0] == 'C' || line[0] == 'D');
    if (!good) return fail(Errc::guest, "read changes: the guest's list makes no sense");
    changes.push_back({line[0] == 'A' ? added : line[0] == 'C' ? changed : deleted, std::string(line.substr(1))});
    text.remove_prefix(end + 1);
  }
  return changes;
}

}  // namespace diatom
