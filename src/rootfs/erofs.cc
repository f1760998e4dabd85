// EROFS, uncompressed, with nothing optional but the checksum: 64-byte inodes, contents of regular files as one run of
// blocks ("flat plain"), directories and link targets behind their inode where they fit ("flat inline").
//
// Two passes over the tree. The first gives every inode its place, which needs sizes only; the second writes front to
// back. The same tree gives the same bytes.
#include "rootfs/erofs.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <ranges>
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
constexpr size_t write_bytes = 256 << 10;

uint64_t round_up(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }

// What a directory lists: its names, and "." and "..", which are sorted among the others ("!" comes before them). By
// number only, because a directory may have a million.
class Listing {
 public:
  Listing(const Tree& tree, Tree::Id directory) : tree_(tree), directory_(directory) {
    const Directory& in = tree.directory(tree.inode(directory));
    names_.reserve(in.count + 2);
    tree.names().for_each(in.names, [&](Names::Id name) {
      if (dots_ < 2) add_dots_before(tree.names().text(name));
      names_.push_back(name);
    });
    add_dots_before("\xff");
  }

  size_t size() const { return names_.size(); }
  std::string_view name(size_t i) const {
    return names_[i] == dot ? "." : names_[i] == dot_dot ? ".." : tree_.names().text(names_[i]);
  }
  Tree::Id inode(size_t i) const {
    if (names_[i] == dot) return directory_;
    if (names_[i] == dot_dot) return tree_.directory(tree_.inode(directory_)).parent;
    return tree_.names()[names_[i]].inode;
  }

  // The content is blocks, each complete in itself: entries, then names. Calls `end_block(first, last, used)` for the
  // names of each block.
  template <class EndBlock>
  void split_into_blocks(const EndBlock& end_block) const {
    size_t used = 0;
    size_t first = 0;
    for (size_t i = 0; i < size(); ++i) {
      size_t need = dirent_bytes + name(i).size();
      if (used + need > block_size) {
        end_block(first, i, used);
        first = i;
        used = 0;
      }
      used += need;
    }
    end_block(first, size(), used);
  }
  uint64_t bytes() const {
    uint64_t all = 0;
    split_into_blocks([&](size_t, size_t last, size_t used) { all += last == size() ? used : block_size; });
    return all;
  }
  uint32_t links() const {  // its own, and ".." of those in it
    auto is_directory = [&](size_t i) { return tree_.inode(inode(i)).is_directory(); };
    return static_cast<uint32_t>(std::ranges::count_if(std::views::iota(size_t{0}, size()), is_directory));
  }

 private:
  static constexpr Names::Id dot = UINT32_MAX;
  static constexpr Names::Id dot_dot = UINT32_MAX - 1;

  void add_dots_before(std::string_view name) {
    if (dots_ == 0 && name > ".") names_.push_back(dot), ++dots_;
    if (dots_ == 1 && name > "..") names_.push_back(dot_dot), ++dots_;
  }

  const Tree& tree_;
  Tree::Id directory_;
  std::vector<Names::Id> names_;
  int dots_ = 0;
};

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

class Writer {
 public:
  Writer(Tree& tree, IndexFiles& layers, std::string_view identity, int fd, const CancelToken& cancel)
      : tree_(tree), layers_(layers), identity_(identity), fd_(fd), cancel_(cancel) {}

  Result<ImageInfo> run() {
    TRY(place_inodes());
    if (position_ / slot_bytes > UINT32_MAX)
      return fail(Errc::invalid_argument, "the image's metadata is larger than 128 GiB");
    uint64_t first_block = round_up(position_, block_size) / block_size;
    uint64_t metadata_blocks = first_block + outline_blocks_;
    next_block_ = metadata_blocks;
    for (uint32_t layer = 0; layer < layers_.size(); ++layer) {
      data_start_.push_back(next_block_);
      next_block_ += layers_.header(layer).data_bytes / block_size;
    }
    if (next_block_ > most_blocks)
      return fail(Errc::invalid_argument, "the image is larger than the 16 TiB that EROFS can address");
    TRY(write_inodes(first_block));
    TRY(write_blocks());
    TRY(flush());
    return ImageInfo{.metadata_bytes = metadata_blocks * block_size,
                     .total_bytes = next_block_ * block_size,
                     .inodes = order_.size()};
  }

 private:
  // Of the inode's entry. What nobody named is root's.
  Result<Entry> entry_of(const Inode& inode) {
    if (inode.offset != 0) return layers_.entry(inode.place());
    Entry entry;
    entry.kind = EntryKind::directory;
    entry.mode = 0755;
    return entry;
  }

  // Numbers inodes depth first, so that what is near in the tree is near on the disk. The root is first: its number has
  // only 16 bits.
  Result<> place_inodes() {
    order_.reserve(tree_.inodes());
    std::vector<Tree::Id> waiting = {Tree::root};
    while (!waiting.empty()) {
      if (order_.size() % 4096 == 0) TRY(cancel_.check());
      Tree::Id id = waiting.back();
      waiting.pop_back();
      Inode& inode = tree_.inode(id);
      if (inode.nid != 0) {  // another name of a file that has been here
        ++inode.directory_or_names;
        continue;
      }
      order_.push_back(id);
      Entry entry = inode.bare ? Entry() : TRY(entry_of(inode));
      uint64_t size = entry.target.size();
      if (inode.is_directory()) {
        Listing listing(tree_, id);
        size = listing.bytes();
        size_t before = waiting.size();
        tree_.names().for_each(tree_.directory(inode).names,
                               [&](Names::Id name) { waiting.push_back(tree_.names()[name].inode); });
        std::reverse(waiting.begin() + static_cast<ptrdiff_t>(before), waiting.end());
      } else {
        inode.directory_or_names = 1;
      }
      place(inode, entry.xattrs.size(), size);
    }
    return {};
  }

  // `size` of what a directory or a symbolic link holds.
  void place(Inode& inode, size_t xattrs, uint64_t size) {
    size_t head = inode_bytes + xattrs;
    bool small = inode.is_directory() || inode.entry_kind() == EntryKind::symlink;
    inode.inlined = small && head + size <= block_size;
    // Directories and link targets that are too large to be inline come behind all inodes.
    if (small && !inode.inlined) outline_blocks_ += round_up(size, block_size) / block_size;
    // Nothing that fits into a block crosses into the next one: what is inline must not.
    size_t all = head + (inode.inlined ? size : 0);
    if (all <= block_size && position_ % block_size + all > block_size) position_ = round_up(position_, block_size);
    inode.nid = static_cast<uint32_t>(position_ / slot_bytes);
    position_ = round_up(position_ + all, slot_bytes);
  }

  std::string super_block() const {
    std::string out;
    put(out, super_magic);
    put(out, uint32_t{0});  // checksum: see flush()
    put(out, compat_checksum | compat_mtime);
    put(out, uint8_t{12});  // log2 of the block size
    put(out, uint8_t{0});
    put(out, static_cast<uint16_t>(tree_.inode(Tree::root).nid));
    put(out, static_cast<uint64_t>(order_.size()));
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

  struct Head {
    uint64_t size = 0;
    uint32_t links = 1;
    uint32_t content = 0;  // its first block, or the number of a device
  };
  void add_inode(const Inode& inode, const Entry& entry, const Head& head, uint32_t number) {
    size_t begin = buffer_.size();
    uint16_t layout = inode.inlined ? layout_inline : layout_plain;
    put(buffer_, static_cast<uint16_t>(1 | layout << 1));  // 1: the 64-byte form
    size_t xattrs = entry.xattrs.size();
    put(buffer_, static_cast<uint16_t>(xattrs == 0 ? 0 : (xattrs - 12) / 4 + 1));
    put(buffer_, static_cast<uint16_t>(mode_type(inode.entry_kind()) | entry.mode));
    put(buffer_, uint16_t{0});
    put(buffer_, head.size);
    put(buffer_, head.content);
    put(buffer_, number);
    put(buffer_, entry.uid);
    put(buffer_, entry.gid);
    put(buffer_, entry.mtime_s);
    put(buffer_, entry.mtime_ns);
    put(buffer_, head.links);
    buffer_.resize(begin + inode_bytes, '\0');
    buffer_ += entry.xattrs;
  }

  Result<> write_inodes(uint64_t next_outline) {
    buffer_.assign(super_offset, '\0');
    buffer_ += super_block();
    uint32_t number = 0;
    for (Tree::Id id : order_) {
      const Inode& inode = tree_.inode(id);
      pad_to(uint64_t{inode.nid} * slot_bytes);
      Entry entry = TRY(entry_of(inode));
      Head head{.size = entry.target.size()};
      std::optional<Listing> listing;
      if (inode.is_directory()) {
        listing.emplace(tree_, id);
        head.size = listing->bytes();
        head.links = listing->links();
      } else {
        head.links = inode.directory_or_names;
      }
      if (inode.entry_kind() == EntryKind::char_device || inode.entry_kind() == EntryKind::block_device)
        head.content = (entry.rdev_minor & 0xff) | entry.rdev_major << 8 |
                       (entry.rdev_minor & ~0xffU) << 12;  // kernel: new_encode_dev()
      if (inode.entry_kind() == EntryKind::regular) {
        head.size = entry.size;
        if (entry.size > 0) head.content = static_cast<uint32_t>(data_start_[inode.layer] + entry.first_block);
      }
      bool outline = is_outline(inode);
      if (outline) {
        head.content = static_cast<uint32_t>(next_outline);
        next_outline += round_up(head.size, block_size) / block_size;
      }
      add_inode(inode, entry, head, ++number);
      if (inode.inlined) TRY(add_content(entry, listing));
      TRY(flush_if_large());
    }
    return {};
  }

  static bool is_outline(const Inode& inode) {
    return !inode.inlined && (inode.is_directory() || inode.entry_kind() == EntryKind::symlink);
  }

  Result<> write_blocks() {
    for (Tree::Id id : order_) {
      const Inode& inode = tree_.inode(id);
      if (!is_outline(inode)) continue;
      pad_to_block();
      std::optional<Listing> listing;
      if (inode.is_directory()) listing.emplace(tree_, id);
      Entry entry = TRY(entry_of(inode));
      TRY(add_content(entry, listing));
    }
    pad_to_block();
    return {};
  }

  // Of a symbolic link, or of a directory, which has a listing.
  Result<> add_content(const Entry& entry, const std::optional<Listing>& listing) {
    if (!listing) {
      buffer_ += entry.target;
      return {};
    }
    Result<> flushed;
    listing->split_into_blocks([&](size_t first, size_t last, size_t used) {
      if (!flushed) return;
      add_directory_block(*listing, first, last);
      if (last == listing->size()) return;
      buffer_.append(block_size - used, '\0');
      flushed = flush_if_large();
    });
    return flushed;
  }

  void add_directory_block(const Listing& listing, size_t first, size_t last) {
    size_t name_offset = (last - first) * dirent_bytes;
    for (size_t i = first; i < last; ++i) {
      const Inode& inode = tree_.inode(listing.inode(i));
      put(buffer_, uint64_t{inode.nid});
      put(buffer_, static_cast<uint16_t>(name_offset));
      put(buffer_, dirent_type(inode.entry_kind()));
      put(buffer_, uint8_t{0});
      name_offset += listing.name(i).size();
    }
    for (size_t i = first; i < last; ++i) buffer_ += listing.name(i);
  }

  void pad_to(uint64_t position) { buffer_.resize(position - flushed_, '\0'); }
  void pad_to_block() { pad_to(round_up(flushed_ + buffer_.size(), block_size)); }

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
  IndexFiles& layers_;
  std::string_view identity_;
  int fd_;
  const CancelToken& cancel_;
  std::vector<Tree::Id> order_;
  uint64_t position_ = super_offset + super_bytes;
  uint64_t outline_blocks_ = 0;
  uint64_t next_block_ = 0;
  std::vector<uint64_t> data_start_;
  std::string buffer_;
  uint64_t flushed_ = 0;
};

}  // namespace

Result<ImageInfo> write_erofs(Tree& tree, IndexFiles& layers, std::string_view identity, int out_fd,
                              const CancelToken& cancel) {
  return Writer(tree, layers, identity, out_fd, cancel).run();
}

}  // namespace diatom::rootfs
