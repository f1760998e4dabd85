// EROFS, uncompressed, with nothing optional but the checksum: 64-byte inodes, contents of regular files as one run of
// blocks ("flat plain"), directories and link targets behind their inode where they fit ("flat inline").
//
// Two passes over the tree. The first gives every inode its place, which needs sizes only; the second writes front to
// back. The same tree gives the same bytes.
#include "rootfs/erofs.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/hash.h"
#include "rootfs/crc32c.h"
#include "rootfs/little_endian.h"

namespace diatom::rootfs {

namespace {

constexpr uint32_t super_magic = 0xe0f5e1e2;
constexpr size_t super_offset = 1024;
constexpr size_t super_bytes = 128;
constexpr uint32_t compat_checksum = 1;
constexpr uint32_t compat_mtime = 2;
constexpr size_t inode_bytes = 64;
constexpr size_t slot_bytes = 32;  // an inode's number is its offset in these
constexpr size_t dirent_bytes = 12;
constexpr uint16_t layout_plain = 0;
constexpr uint16_t layout_inline = 2;
constexpr uint64_t most_blocks = UINT32_MAX;
constexpr size_t write_bytes = 1 << 20;

uint64_t round_up(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }

struct Child {
  std::string_view name;
  const Inode* inode;
};

// With "." and "..", which are sorted among the others ("!" comes before them).
std::vector<Child> sorted_children(const Inode& directory) {
  std::vector<Child> all;
  all.reserve(directory.children->size() + 2);
  all.push_back({".", &directory});
  all.push_back({"..", directory.parent});
  for (const auto& [name, entry] : *directory.children) all.push_back({name, entry.inode});
  std::ranges::inplace_merge(all, all.begin() + 2, {}, &Child::name);
  return all;
}

// A directory's content is blocks, each complete in itself: entries, then names. Calls `end_block(first, last)` for
// the children of each block.
template <class EndBlock>
void split_into_blocks(const std::vector<Child>& children, EndBlock end_block) {
  size_t used = 0;
  size_t first = 0;
  for (size_t i = 0; i < children.size(); ++i) {
    size_t need = dirent_bytes + children[i].name.size();
    if (used + need > block_size) {
      end_block(first, i, used);
      first = i;
      used = 0;
    }
    used += need;
  }
  end_block(first, children.size(), used);
}

uint64_t directory_bytes(const std::vector<Child>& children) {
  uint64_t size = 0;
  split_into_blocks(children,
                    [&](size_t, size_t last, size_t used) { size += last == children.size() ? used : block_size; });
  return size;
}

uint8_t dirent_type(EntryKind kind) {
  switch (kind) {
    case EntryKind::regular:
      return 1;
    case EntryKind::directory:
      return 2;
    case EntryKind::char_device:
      return 3;
    case EntryKind::block_device:
      return 4;
    case EntryKind::fifo:
      return 5;
    case EntryKind::symlink:
      return 7;
    default:
      return 0;
  }
}

uint16_t mode_type(EntryKind kind) {
  static constexpr uint16_t types[] = {0040000, 0100000, 0120000, 0020000, 0060000, 0010000};
  return types[static_cast<size_t>(kind)];
}

std::string directory_content(const std::vector<Child>& children) {
  std::string content;
  split_into_blocks(children, [&](size_t first, size_t last, size_t) {
    size_t name_offset = (last - first) * dirent_bytes;
    for (size_t i = first; i < last; ++i) {
      put(content, children[i].inode->nid);
      put(content, static_cast<uint16_t>(name_offset));
      put(content, dirent_type(children[i].inode->kind));
      put(content, uint8_t{0});
      name_offset += children[i].name.size();
    }
    for (size_t i = first; i < last; ++i) content += children[i].name;
    if (last != children.size()) content.resize(round_up(content.size(), block_size));
  });
  return content;
}

class Writer {
 public:
  Writer(Tree& tree, std::span<const uint64_t> data_bytes, std::string_view identity, int fd, const CancelToken& cancel)
      : tree_(tree), data_bytes_(data_bytes), identity_(identity), fd_(fd), cancel_(cancel) {}

  Result<ImageInfo> run() {
    TRY(place_inodes());
    place_blocks();
    uint64_t metadata_blocks = next_block_;
    for (uint64_t bytes : data_bytes_) {
      data_start_.push_back(next_block_);
      next_block_ += bytes / block_size;
    }
    if (next_block_ > most_blocks)
      return fail(Errc::invalid_argument, "the image is larger than the 16 TiB that EROFS can address");
    TRY(write_inodes());
    TRY(write_blocks());
    TRY(flush());
    return ImageInfo{.metadata_bytes = metadata_blocks * block_size,
                     .total_bytes = next_block_ * block_size,
                     .inodes = inodes_.size()};
  }

 private:
  // Numbers inodes depth first, so that what is near in the tree is near on the disk. The root is first: its number has
  // only 16 bits.
  Result<> place_inodes() {
    std::vector<Inode*> waiting = {&tree_.root()};
    tree_.root().links = 0;
    while (!waiting.empty()) {
      if (inodes_.size() % 4096 == 0) TRY(cancel_.check());
      Inode& inode = *waiting.back();
      waiting.pop_back();
      if (inode.number != 0) {  // another name of a file that has been here
        ++inode.links;
        continue;
      }
      inodes_.push_back(&inode);
      inode.number = static_cast<uint32_t>(inodes_.size());
      inode.links = inode.children != nullptr ? 2 : 1;
      if (inode.children != nullptr) {
        inode.size = directory_bytes(sorted_children(inode));
        for (auto child = inode.children->rbegin(); child != inode.children->rend(); ++child) {
          waiting.push_back(child->second.inode);
          if (child->second.inode->children != nullptr) ++inode.links;
        }
      } else if (inode.kind == EntryKind::symlink) {
        inode.size = inode.target.size();
      }
      place(inode);
    }
    return {};
  }

  void place(Inode& inode) {
    size_t head = inode_bytes + inode.xattrs.size();
    bool small = inode.kind == EntryKind::directory || inode.kind == EntryKind::symlink;
    inode.inlined = small && head + inode.size <= block_size;
    // Nothing that fits into a block crosses into the next one: what is inline must not.
    size_t all = head + (inode.inlined ? inode.size : 0);
    if (all <= block_size && position_ % block_size + all > block_size) position_ = round_up(position_, block_size);
    inode.nid = position_ / slot_bytes;
    position_ = round_up(position_ + all, slot_bytes);
  }

  // Directories and link targets that were too large to be inline come behind all inodes.
  void place_blocks() {
    next_block_ = round_up(position_, block_size) / block_size;
    for (Inode* inode : inodes_)
      if (!inode->inlined && (inode->kind == EntryKind::directory || inode->kind == EntryKind::symlink)) {
        inode->start_block = static_cast<uint32_t>(next_block_);
        next_block_ += round_up(inode->size, block_size) / block_size;
      }
  }

  std::string super_block() const {
    std::string out;
    put(out, super_magic);
    put(out, uint32_t{0});  // checksum: see flush()
    put(out, compat_checksum | compat_mtime);
    put(out, uint8_t{12});  // log2 of the block size
    put(out, uint8_t{0});
    put(out, static_cast<uint16_t>(tree_.root().nid));
    put(out, static_cast<uint64_t>(inodes_.size()));
    put(out, uint64_t{0});  // build time: the same image gives the same bytes
    put(out, uint32_t{0});
    put(out, static_cast<uint32_t>(next_block_));
    put(out, uint32_t{0});  // inodes are counted from block 0
    put(out, uint32_t{0});
    Sha256 hash;
    hash.update(std::as_bytes(std::span(identity_)));
    auto uuid = hash.finish();
    uuid[6] = (uuid[6] & std::byte{0x0f}) | std::byte{0x80};  // RFC 9562: version 8, custom
    uuid[8] = (uuid[8] & std::byte{0x3f}) | std::byte{0x80};
    out.append(reinterpret_cast<const char*>(uuid.data()), 16);
    out.resize(super_bytes, '\0');
    return out;
  }

  std::string inode_head(const Inode& inode) const {
    std::string out;
    uint16_t layout = inode.inlined ? layout_inline : layout_plain;
    put(out, static_cast<uint16_t>(1 | layout << 1));  // 1: the 64-byte form
    size_t xattrs = inode.xattrs.size();
    put(out, static_cast<uint16_t>(xattrs == 0 ? 0 : (xattrs - 12) / 4 + 1));
    put(out, static_cast<uint16_t>(mode_type(inode.kind) | inode.mode));
    put(out, uint16_t{0});
    put(out, inode.size);
    put(out, place_of_content(inode));
    put(out, inode.number);
    put(out, inode.uid);
    put(out, inode.gid);
    put(out, inode.mtime_s);
    put(out, inode.mtime_ns);
    put(out, inode.links);
    out.resize(inode_bytes, '\0');
    out += inode.xattrs;
    return out;
  }

  uint32_t place_of_content(const Inode& inode) const {
    if (inode.kind == EntryKind::char_device || inode.kind == EntryKind::block_device)  // kernel: new_encode_dev()
      return (inode.rdev_minor & 0xff) | inode.rdev_major << 8 | (inode.rdev_minor & ~0xffU) << 12;
    if (inode.kind == EntryKind::regular && inode.size > 0)
      return static_cast<uint32_t>(data_start_[inode.data_layer] + inode.first_block);
    return inode.start_block;
  }

  std::string content(const Inode& inode) const {
    if (inode.kind == EntryKind::symlink) return std::string(inode.target);
    return directory_content(sorted_children(inode));
  }

  Result<> write_inodes() {
    buffer_.assign(super_offset, '\0');
    buffer_ += super_block();
    for (const Inode* inode : inodes_) {
      pad_to(inode->nid * slot_bytes);
      buffer_ += inode_head(*inode);
      if (inode->inlined) buffer_ += content(*inode);
      TRY(flush_if_large());
    }
    return {};
  }

  Result<> write_blocks() {
    for (const Inode* inode : inodes_)
      if (inode->start_block != 0) {
        pad_to(uint64_t{inode->start_block} * block_size);
        buffer_ += content(*inode);
        TRY(flush_if_large());
      }
    pad_to(round_up(flushed_ + buffer_.size(), block_size));
    return {};
  }

  void pad_to(uint64_t position) { buffer_.resize(position - flushed_, '\0'); }

  Result<> flush_if_large() {
    if (buffer_.size() < write_bytes) return {};
    TRY(cancel_.check());
    return flush();
  }

  Result<> flush() {
    if (flushed_ == 0) {  // the checksum covers the rest of the superblock's block
      buffer_.resize(std::max<size_t>(buffer_.size(), block_size), '\0');
      uint32_t sum = crc32c(std::string_view(buffer_).substr(super_offset, block_size - super_offset));
      std::memcpy(buffer_.data() + super_offset + 4, &sum, sizeof sum);
    }
    TRY(pwrite_all(fd_, std::as_bytes(std::span(buffer_)), flushed_));
    flushed_ += buffer_.size();
    buffer_.clear();
    return {};
  }

  Tree& tree_;
  std::span<const uint64_t> data_bytes_;
  std::string_view identity_;
  int fd_;
  const CancelToken& cancel_;
  std::vector<Inode*> inodes_;
  uint64_t position_ = super_offset + super_bytes;
  uint64_t next_block_ = 0;
  std::vector<uint64_t> data_start_;
  std::string buffer_;
  uint64_t flushed_ = 0;
};

}  // namespace

Result<ImageInfo> write_erofs(Tree& tree, std::span<const uint64_t> data_bytes, std::string_view identity, int out_fd,
                              const CancelToken& cancel) {
  return Writer(tree, data_bytes, identity, out_fd, cancel).run();
}

}  // namespace diatom::rootfs
