// What comes of copies, and of what a container has changed.
#include <nlohmann/json.hpp>

#include "runtime/json/documents.h"

namespace diatom {

Json copy_json(const CopyResult& result) { return {{"bytes", result.bytes}, {"warnings", result.warnings}}; }

Json path_json(const PathStat& path) {
  return {
      {"name", path.name}, {"kind", path.kind}, {"size_bytes", path.size_bytes},   {"mode", path.mode},
      {"uid", path.uid},   {"gid", path.gid},   {"modified_ns", path.modified_ns}, {"link_target", path.link_target}};
}

Json changes_json(const std::vector<FileChange>& changes) {
  static constexpr std::pair<FileChange::Kind, const char*> kinds[] = {{FileChange::Kind::changed, "changed"},
                                                                       {FileChange::Kind::added, "added"},
                                                                       {FileChange::Kind::deleted, "deleted"}};
  Json out = Json::object();
  for (const auto& [kind, word] : kinds)
    for (const FileChange& change : changes)
      if (change.kind == kind) out[word].push_back(change.path);
  return out;
}

Json committed_json(const CommittedImage& image) { return {{"id", image.id}, {"warnings", image.warnings}}; }

}  // namespace diatom
