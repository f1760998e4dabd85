#include "rootfs/layer_index.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/hash.h"
#include "support/scratch.h"

namespace diatom::rootfs {
namespace {

std::string sealed(std::string body) {
  Sha256 hash;
  hash.update(test::bytes_of(body));
  auto sum = hash.finish();
  return body.append(reinterpret_cast<const char*>(sum.data()), sum.size());
}

std::string index_of(const std::vector<Entry>& entries, IndexHeader header) {
  header.entries = entries.size();
  std::string body = encode_index_header(header);
  for (const Entry& entry : entries) encode_entry(entry, body);
  return sealed(std::move(body));
}

const IndexHeader header{.data_bytes = 3 * block_size,
                         .tar_bytes = 123'456,
                         .entries = 0,
                         .diff_id = "00ff" + std::string(56, 'a') + "1234"};
const Entry file{.kind = EntryKind::regular,
                 .mode = 06755,
                 .uid = 70'000,
                 .gid = 4'000'000'000,
                 .mtime_s = -1,
                 .mtime_ns = 999'999'999,
                 .rdev_major = 0,
                 .rdev_minor = 0,
                 .size = block_size + 1,
                 .first_block = 1,
                 .path = "usr/bin/ping",
                 .target = {},
                 .xattrs = "0123456789abcdef"};

TEST(LayerIndex, ReadsWhatItWrote) {
  Entry device{.kind = EntryKind::char_device,
               .rdev_major = 4095,
               .rdev_minor = 1'048'575,
               .path = "dev/x",
               .target = {},
               .xattrs = {}};
  Entry link{.kind = EntryKind::symlink, .path = "l", .target = "/a/b", .xattrs = {}};
  Entry root{.kind = EntryKind::directory, .mode = 0755, .path = "", .target = {}, .xattrs = {}};
  std::string bytes = index_of({file, device, link, root}, header);
  auto index = decode_index(bytes);
  ASSERT_TRUE(index) << test::error_of(index);
  EXPECT_EQ(index->header.data_bytes, header.data_bytes);
  EXPECT_EQ(index->header.tar_bytes, header.tar_bytes);
  EXPECT_EQ(index->header.diff_id, header.diff_id);
  ASSERT_EQ(index->entries.size(), 4U);
  const Entry& read = index->entries[0];
  EXPECT_EQ(read.kind, file.kind);
  EXPECT_EQ(read.mode, file.mode);
  EXPECT_EQ(read.uid, file.uid);
  EXPECT_EQ(read.gid, file.gid);
  EXPECT_EQ(read.mtime_s, file.mtime_s);
  EXPECT_EQ(read.mtime_ns, file.mtime_ns);
  EXPECT_EQ(read.size, file.size);
  EXPECT_EQ(read.first_block, file.first_block);
  EXPECT_EQ(read.path, file.path);
  EXPECT_EQ(read.xattrs, file.xattrs);
  EXPECT_EQ(index->entries[1].rdev_major, 4095U);
  EXPECT_EQ(index->entries[1].rdev_minor, 1'048'575U);
  EXPECT_EQ(index->entries[2].target, "/a/b");
  EXPECT_EQ(index->entries[3].path, "");
}

TEST(LayerIndex, NoticesEveryFlippedBitAndEveryCut) {
  std::string bytes = index_of({file}, header);
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    EXPECT_FALSE(decode_index(damaged)) << at;
    EXPECT_FALSE(decode_index(std::string_view(bytes).substr(0, at))) << at;
  }
  EXPECT_FALSE(decode_index(bytes + "x"));
}

TEST(LayerIndex, RefusesWhatMakesNoSenseEvenBehindARightChecksum) {
  const std::pair<const char*, std::function<void(Entry&)>> cases[] = {
      {"an unknown kind", [](Entry& entry) { entry.kind = static_cast<EntryKind>(9); }},
      {"a mode with a type", [](Entry& entry) { entry.mode = 0100644; }},
      {"a second of nanoseconds", [](Entry& entry) { entry.mtime_ns = 1'000'000'000; }},
      {"xattrs of an odd size", [](Entry& entry) { entry.xattrs = "0123456789abc"; }},
      {"data where nobody may read", [](Entry& entry) { entry.first_block = 0; }},
      {"data behind the end", [](Entry& entry) { entry.first_block = 3; }},
      {"data across the end", [](Entry& entry) { entry.size = 2 * block_size + 1; }},
      {"a size that wraps around", [](Entry& entry) { entry.size = UINT64_MAX; }},
      {"a block that wraps around", [](Entry& entry) { entry.first_block = UINT64_MAX; }},
  };
  for (const auto& [what, spoil] : cases) {
    Entry entry = file;
    spoil(entry);
    EXPECT_FALSE(decode_index(index_of({entry}, header))) << what;
  }
  std::string body = encode_index_header(header);
  EXPECT_TRUE(decode_index(sealed(body)));
  IndexHeader more = header;
  more.entries = UINT64_MAX / 64;
  EXPECT_FALSE(decode_index(sealed(encode_index_header(more)))) << "more entries than bytes";
  EXPECT_FALSE(decode_index(sealed(body + "left over")));
}

TEST(LayerIndex, AllowsAFileThatFillsTheDataToItsEnd) {
  Entry entry = file;
  entry.first_block = 1;
  entry.size = 2 * block_size;
  EXPECT_TRUE(decode_index(index_of({entry}, header)));
  entry.size = 0;
  entry.first_block = 3;
  EXPECT_TRUE(decode_index(index_of({entry}, header))) << "an empty file has no data anywhere";
}

}  // namespace
}  // namespace diatom::rootfs
