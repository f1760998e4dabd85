// A reader of the EROFS images that we write, as strict as the kernel or stricter: every place that metadata names lies
// within the image, directories are sorted and complete, the tree has no loop.
#pragma once

#include <cstring>
#include <set>
#include <string>
#include <string_view>

#include "fuzz.h"
#include "rootfs/image.h"

namespace diatom::fuzz {

class ErofsCheck {
 public:
  ErofsCheck(std::string_view image, uint64_t total_bytes) : image_(image), total_bytes_(total_bytes) {}

  // Returns the number of inodes.
  uint64_t run() {
    REQUIRE(get<uint32_t>(1024) == 0xe0f5e1e2);
    uint64_t root = get<uint16_t>(1024 + 14);
    directory(root, root, 0);
    REQUIRE(get<uint64_t>(1024 + 16) == seen_.size());
    return seen_.size();
  }

 private:
  struct Inode {
    uint16_t mode;
    uint64_t size;
    uint64_t content;  // where an inline or plain content begins
  };

  template <class Integer>
  Integer get(uint64_t at) const {
    Integer value;
    REQUIRE(at <= image_.size() && sizeof value <= image_.size() - at);
    std::memcpy(&value, image_.data() + at, sizeof value);
    return value;
  }

  Inode inode(uint64_t nid) const {
    uint64_t at = nid * 32;
    auto format = get<uint16_t>(at);
    REQUIRE(format == 1 || format == 5);
    auto xattr_count = get<uint16_t>(at + 2);
    uint64_t behind = at + 64 + (xattr_count == 0 ? 0 : 12 + 4 * (uint64_t{xattr_count} - 1));
    REQUIRE(behind <= image_.size());
    Inode found{get<uint16_t>(at + 4), get<uint64_t>(at + 8), behind};
    if (format == 1) found.content = uint64_t{get<uint32_t>(at + 16)} * 4096;
    // The kernel refuses inline content that crosses a block.
    if (format == 5) REQUIRE(found.size == 0 || behind / 4096 == (behind + found.size - 1) / 4096);
    return found;
  }

  void directory(uint64_t nid, uint64_t parent, unsigned depth) {
    REQUIRE(depth <= 4096);
    REQUIRE(seen_.insert(nid).second);  // a directory has one place
    Inode self = inode(nid);
    REQUIRE((self.mode & 0170000) == 0040000);
    REQUIRE(self.content <= image_.size() && self.size <= image_.size() - self.content);
    std::string_view content = image_.substr(self.content, self.size);
    std::string last;
    bool has_self = false;
    bool has_parent = false;
    for (size_t begin = 0; begin < content.size(); begin += 4096) {
      std::string_view block = content.substr(begin, 4096);
      auto names_begin = read<uint16_t>(block, 8);
      REQUIRE(names_begin % 12 == 0 && names_begin > 0 && names_begin <= block.size());
      size_t count = names_begin / 12;
      for (size_t i = 0; i < count; ++i) {
        auto child = read<uint64_t>(block, i * 12);
        auto name_begin = read<uint16_t>(block, i * 12 + 8);
        size_t name_end = i + 1 < count ? read<uint16_t>(block, (i + 1) * 12 + 8) : block.size();
        REQUIRE(name_begin >= names_begin && name_begin < name_end && name_end <= block.size());
        std::string name(block.substr(name_begin, name_end - name_begin));
        name = name.substr(0, name.find('\0'));  // the last name of a block is padded
        REQUIRE(!name.empty() && name.size() <= 255 && name.find('/') == std::string::npos);
        REQUIRE(last < name);
        last = name;
        has_self |= name == "." && child == nid;
        has_parent |= name == ".." && child == parent;
        if (name != "." && name != "..") visit(child, nid, block[i * 12 + 10], depth);
      }
    }
    REQUIRE(has_self && has_parent);
  }

  void visit(uint64_t nid, uint64_t parent, char type, unsigned depth) {
    Inode found = inode(nid);
    static constexpr uint16_t modes[] = {0, 0100000, 0040000, 0020000, 0060000, 0010000, 0140000, 0120000};
    REQUIRE(type > 0 && type < 8 && (found.mode & 0170000) == modes[static_cast<int>(type)]);
    if (type == 2) return directory(nid, parent, depth + 1);
    seen_.insert(nid);
    uint64_t end = type == 1 ? total_bytes_ : image_.size();  // contents of files lie behind the metadata
    if (type == 1 || type == 7) REQUIRE(found.size == 0 || (found.content <= end && found.size <= end - found.content));
    if (type == 1 && found.size > 0) REQUIRE(found.content >= image_.size());
  }

  template <class Integer>
  static Integer read(std::string_view block, size_t at) {
    Integer value;
    REQUIRE(at + sizeof value <= block.size());
    std::memcpy(&value, block.data() + at, sizeof value);
    return value;
  }

  std::string_view image_;
  uint64_t total_bytes_;
  std::set<uint64_t> seen_;
};

// Merges the layer `times` times with itself. It may be refused, and only for what it says; what was written is a file
// system.
inline void check_image(int index_fd, size_t times, uint64_t data_bytes) {
  std::vector<rootfs::LayerFiles> layers(times, rootfs::LayerFiles{index_fd});
  UniqueFd out = memory_file();
  auto info = rootfs::write_image(layers, "sha256:fuzz", out.get(), {}, CancelToken());
  if (!info) return require_refusal(info.error());
  std::string image = content_of(out.get());
  REQUIRE(image.size() == info->metadata_bytes && image.size() % 4096 == 0);
  REQUIRE(info->total_bytes == image.size() + times * data_bytes);
  REQUIRE(ErofsCheck(image, info->total_bytes).run() == info->inodes);
}

}  // namespace diatom::fuzz
