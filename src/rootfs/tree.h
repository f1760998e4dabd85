// The merged tree of an image's layers, in memory: what the root file system will look like. Names and attributes are
// borrowed from the layers' indexes, which must outlive it.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string_view>

#include "base/error.h"
#include "rootfs/layer_index.h"

namespace diatom::rootfs {

struct Inode;

struct Name {
  Inode* inode = nullptr;
  uint32_t layer = 0;  // that said it last
};
// Bytewise order, which is EROFS's.
using Directory = std::map<std::string_view, Name>;

struct Inode {
  EntryKind kind = EntryKind::directory;  // never hard_link, whiteout or opaque
  uint16_t mode = 0755;
  uint32_t uid = 0;
  uint32_t gid = 0;
  int64_t mtime_s = 0;
  uint32_t mtime_ns = 0;
  uint32_t rdev_major = 0;
  uint32_t rdev_minor = 0;
  uint64_t size = 0;
  uint32_t data_layer = 0;   // regular: whose data file holds the contents,
  uint64_t first_block = 0;  // and from which block on
  std::string_view target;
  std::string_view xattrs;
  uint32_t depth = 0;
  uint32_t opaque_since = 0;  // directory: 1 + the last layer that hid what was below; 0 = none
  Inode* parent = nullptr;    // of a directory; the root's is itself
  std::unique_ptr<Directory> children;
  // Set by the EROFS writer.
  uint32_t links = 0;
  uint64_t nid = 0;
  uint32_t number = 0;
  uint32_t start_block = 0;
  bool inlined = false;
};

// Not for use by two threads.
class Tree {
 public:
  Tree();
  // Layers are applied in order, entries of each in order. Errors: invalid_argument names the path.
  Result<> apply(const Entry& entry, uint32_t layer);
  Inode& root() { return *root_; }

 private:
  struct Place {
    Inode* directory = nullptr;
    std::string_view name;
  };
  Inode& add_inode();
  Inode& add_directory(Inode& parent, std::string_view name, uint32_t layer);
  // The directory that holds the last component: symbolic links on the way are followed inside the root. With
  // `make_missing`, directories that are not there are made; otherwise the place has no directory then.
  Result<Place> find_place(std::string_view path, uint32_t layer, bool make_missing);
  Result<Inode*> step_into(Inode& from, std::string_view path, uint32_t layer, bool make_missing, unsigned& hops);
  Result<> apply_hard_link(const Entry& entry, uint32_t layer);
  void set(const Place& place, Inode& inode, uint32_t layer);
  void remove_lower(Inode& directory, uint32_t layer);

  std::deque<Inode> inodes_;
  Inode* root_;
};

}  // namespace diatom::rootfs
