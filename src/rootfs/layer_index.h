// The index of a layer: what its tar said of each entry, in the tar's order, without the contents of the files.
// docs/format/layer.md has it byte by byte. Written by us and read by us, and still never trusted: a checksum tells
// damage, and decoding is total.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace diatom::rootfs {

inline constexpr uint32_t block_size = 4096;
// Where the data file of a layer begins in earnest. What lies before is a hole that nobody reads: libkrun's reader of
// joined disks (imago 0.2.1, get_extent_at()) does not find the first byte of some files.
inline constexpr uint64_t first_data_block = 1;

enum class EntryKind : uint8_t {
  directory = 0,
  regular = 1,
  symlink = 2,
  char_device = 3,
  block_device = 4,
  fifo = 5,
  hard_link = 6,
  whiteout = 7,  // removes `path` of the layers below
  opaque = 8,    // hides what the layers below have in the directory `path`
};
inline constexpr uint8_t last_entry_kind = 8;

// Strings are borrowed: from the caller when encoding, from the index's bytes when decoding.
struct Entry {
  EntryKind kind = EntryKind::regular;
  uint16_t mode = 0;  // permission bits, 07777
  uint32_t uid = 0;
  uint32_t gid = 0;
  int64_t mtime_s = 0;
  uint32_t mtime_ns = 0;
  uint32_t rdev_major = 0;
  uint32_t rdev_minor = 0;
  uint64_t size = 0;         // of a regular file
  uint64_t first_block = 0;  // of its contents in the data file
  std::string_view path;     // normalised: "a/b", without "." or ".."; "" is the root
  std::string_view target;   // symlink: as it is; hard link: normalised path
  std::string_view xattrs;   // as EROFS stores them (xattrs.h)
};

struct IndexHeader {
  uint64_t data_bytes = 0;
  uint64_t tar_bytes = 0;
  uint64_t entries = 0;
  std::string diff_id;  // 64 hex digits
};

void encode_entry(const Entry& entry, std::string& out);

inline constexpr size_t index_header_bytes = 64;
inline constexpr size_t index_checksum_bytes = 32;
std::string encode_index_header(const IndexHeader& header);
// The header alone, from the index's file; its checksum is not looked at.
Result<IndexHeader> read_index_header(int fd);

// The bytes of an index from `offset` on: as many as are at hand, and at least so many. They stay until the next call.
using IndexBytes = std::function<Result<std::string_view>(uint64_t offset, size_t at_least)>;

// Goes through an index of `size` bytes, one entry at a time, and ends with the first error of `each`, which gets to
// know where the entry lies. Fails when it is damaged. The entries' strings borrow from the bytes.
Result<IndexHeader> for_each_entry(const IndexBytes& bytes, uint64_t size,
                                   const std::function<Result<>(const Entry&, uint64_t offset)>& each);

// One entry again: at an offset that for_each_entry() gave, of an index with that header.
Result<Entry> read_entry(const IndexBytes& bytes, uint64_t size, uint64_t offset, const IndexHeader& header);

// The same with all entries in memory: for small ones.
struct LayerIndex {
  IndexHeader header;
  std::vector<Entry> entries;
};
Result<LayerIndex> decode_index(std::string_view bytes);

}  // namespace diatom::rootfs
