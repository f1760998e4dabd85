// The names in an image's directories: a sorted set for each directory, all of them in one pool. A name takes 20 bytes
// and its own length.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "rootfs/pool.h"

namespace diatom::rootfs {

class Names {
 public:
  using Id = uint32_t;  // 0: none. As a set: the id of any one name in it, or 0 where it is empty.

  struct Name {
    uint32_t inode = 0;
    uint16_t layer = 0;  // that said it last
    uint8_t length = 0;
    uint32_t text = 0;
    Id left = 0;
    Id right = 0;
  };

  Names();
  Name& operator[](Id id) { return names_[id]; }
  const Name& operator[](Id id) const { return names_[id]; }
  std::string_view text(Id id) const;

  Id find(Id set, std::string_view name) const;
  Id insert(Id& set, std::string_view name);  // which is not there yet
  void erase(Id& set, std::string_view name);
  // Takes out every name that `keep(name)` is false of.
  template <class Keep>
  void filter(Id& set, const Keep& keep) {
    if (set == 0) return;
    filter(names_[set].left, keep);
    filter(names_[set].right, keep);
    if (!keep(names_[set])) set = join(names_[set].left, names_[set].right);
  }
  // In bytewise order, which is EROFS's.
  template <class Visit>
  void for_each(Id set, const Visit& visit) const {
    if (set == 0) return;
    for_each(names_[set].left, visit);
    visit(set);
    for_each(names_[set].right, visit);
  }

  uint64_t bytes() const;  // of memory

 private:
  uint32_t priority(Id id) const;
  Id join(Id left, Id right);
  uint32_t add_text(std::string_view name);

  Pool<Name> names_;
  std::vector<std::unique_ptr<char[]>> text_;
  size_t text_used_;  // of the last part
  uint64_t seed_;
};

}  // namespace diatom::rootfs
