// The merged tree of an image's layers, in memory: what the root file system will look like. Of a file it holds its
// names and where its entry lies, some 50 bytes and the name; all else is read again when it is written.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "rootfs/image.h"
#include "rootfs/index_files.h"
#include "rootfs/names.h"
#include "rootfs/pool.h"

namespace diatom::rootfs {

struct Inode {
  uint64_t offset : 40 = 0;  // of its entry in the layer's index; 0: of a directory that nobody named
  uint64_t layer : 16 = 0;
  uint64_t kind : 4 = 0;     // EntryKind, never hard_link, whiteout or opaque
  uint64_t bare : 1 = 0;     // its entry has neither target nor extended attributes
  uint64_t inlined : 1 = 0;  // set by the EROFS writer, as `nid` is
  uint32_t nid = 0;
  uint32_t directory_or_names = 0;  // of a directory its Directory, else how many names it has, or more

  EntryKind entry_kind() const { return static_cast<EntryKind>(kind); }
  bool is_directory() const { return entry_kind() == EntryKind::directory; }
  EntryPlace place() const { return {static_cast<uint32_t>(layer), offset}; }
};
static_assert(sizeof(Inode) == 16);

struct Directory {
  uint32_t parent = 0;  // an inode; the root's is itself
  Names::Id names = 0;
  uint32_t count = 0;  // of the names
  uint16_t depth = 0;
  uint16_t opaque_since = 0;  // 1 + the last layer that hid what was below; 0 = none
};
static_assert(sizeof(Directory) == 16);

// Not for use by two threads.
class Tree {
 public:
  using Id = uint32_t;  // of an inode
  // The entry that lies there, once more; it may borrow until the next call.
  using ReadEntry = std::function<Result<Entry>(EntryPlace)>;

  explicit Tree(ReadEntry read, const ImageLimits& limits = {});
  // Layers (at most `most_layers`) are applied in order, entries of each in order. Errors: invalid_argument names the
  // path, or says that there are more files than may be held in memory.
  Result<> apply(const Entry& entry, EntryPlace place);

  static constexpr Id root = 0;
  uint32_t inodes() const { return inodes_.size(); }  // at most so many are in the tree
  Inode& inode(Id id) { return inodes_[id]; }
  const Inode& inode(Id id) const { return inodes_[id]; }
  const Directory& directory(const Inode& inode) const { return directories_[inode.directory_or_names]; }
  const Names& names() const { return names_; }

 private:
  struct Way {  // to a name; `found` is false where a directory on it is missing
    Id directory = 0;
    std::string_view name;
    bool found = false;
  };
  Directory& directory(Id id) { return directories_[inodes_[id].directory_or_names]; }
  Id add_directory();
  Names::Id find(Id directory, std::string_view name) { return names_.find(this->directory(directory).names, name); }
  // The directory that holds the last component: symbolic links on the way are followed inside the root. With
  // `make_missing`, directories that are not there are made.
  Result<Way> find_way(std::string_view path, uint32_t layer, bool make_missing);
  Result<bool> step_into(Id& at, std::string_view path, uint32_t layer, bool make_missing, unsigned& hops);
  Result<> apply_hard_link(const Entry& entry, uint32_t layer);
  Result<> apply_opaque(const Entry& entry, uint32_t layer);
  Result<> apply_whiteout(const Entry& entry, uint32_t layer);
  Id inode_for(const Entry& entry, Id existing);
  void set(Id directory, std::string_view name, Id inode, uint32_t layer);
  void forget_name_of(Id inode);
  void remove_lower(Id directory, uint32_t layer);
  bool keeps(const Names::Name& name, uint32_t layer);
  uint64_t bytes() const;

  ReadEntry read_;
  uint64_t most_bytes_;
  // The last way that was found: most entries lie in the same directory as the one before.
  std::string last_path_;
  std::optional<Id> last_directory_;
  Pool<Inode> inodes_;
  Pool<Directory> directories_;
  Names names_;
};

}  // namespace diatom::rootfs
