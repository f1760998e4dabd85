#include "store/snapshots.h"

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/json.h"

namespace diatom::store {

Result<size_t> count_snapshots_of_image(const Paths& paths, const std::string& image) {
  size_t count = 0;
  if (::access(paths.snapshots().c_str(), F_OK) != 0) return count;
  for (const auto& name : TRY(list_directory(paths.snapshots()))) {
    Json document = parse_foreign_json(read_file(paths.snapshots() / name / "snapshot.json").value_or(""));
    if (document.is_object() && document.value("image", Json()) == image) ++count;
  }
  return count;
}

}  // namespace diatom::store
