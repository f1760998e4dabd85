// Indexes with a right checksum and wrong entries, and tars that cost more than they weigh: found by fuzzing or beside
// it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>

#include "base/file.h"
#include "base/hash.h"
#include "rootfs/layer.h"
#include "rootfs/layer_index.h"
#include "rootfs/path.h"

namespace diatom::rootfs {
namespace {

using testing::HasSubstr;

Entry entry_of(EntryKind kind, std::string_view path, std::string_view target = {}, std::string_view xattrs = {}) {
  Entry entry;
  entry.kind = kind;
  entry.path = path;
  entry.target = target;
  entry.xattrs = xattrs;
  return entry;
}

std::string index_of(const Entry& entry, uint64_t data_bytes = 0) {
  std::string bytes = encode_index_header({data_bytes, 0, 1, std::string(64, '0')});
  encode_entry(entry, bytes);
  Sha256 hash;
  hash.update(std::as_bytes(std::span(bytes)));
  auto sum = hash.finish();
  return bytes.append(reinterpret_cast<const char*>(sum.data()), sum.size());
}

TEST(HostileIndex, IsReadWhenItIsNone) {
  std::string bytes = index_of(entry_of(EntryKind::symlink, "a/b", "../c"));
  EXPECT_TRUE(decode_index(bytes));
}

// The EROFS writer counts on names that fit into a block.
TEST(HostileIndex, HasNoPathThatNoLayerCanHave) {
  const std::string cases[] = {
      std::string(256, 'n'), std::string(5000, 'n'), "..", "a/../b", ".", "a/.", "/a", "a/", "a//b", "/",
      std::string("n\0l", 3)};
  for (const std::string& path : cases) {
    std::string directory = index_of(entry_of(EntryKind::directory, path));
    EXPECT_FALSE(decode_index(directory)) << path;
    std::string link = index_of(entry_of(EntryKind::hard_link, "x", path));
    EXPECT_FALSE(decode_index(link)) << path;
    EXPECT_FALSE(is_normalised(path)) << path;
  }
}

// EROFS counts attributes in 16 bits, from behind a header that these do not have.
TEST(HostileIndex, HasNoAttributesThatErofsCannotCount) {
  for (size_t size : {1UL, 4UL, 8UL, 12UL, 262152UL}) {
    std::string xattrs(size, '\0');
    std::string bytes = index_of(entry_of(EntryKind::directory, "d", "", xattrs));
    EXPECT_FALSE(decode_index(bytes)) << size;
  }
}

TEST(HostileIndex, HasDataInWholeBlocks) {
  EXPECT_TRUE(decode_index(index_of(entry_of(EntryKind::directory, "d"), 8192)));
  EXPECT_FALSE(decode_index(index_of(entry_of(EntryKind::directory, "d"), 8193)));
}

TEST(HostileIndex, HasTargetsOnLinksOnly) {
  EXPECT_FALSE(decode_index(index_of(entry_of(EntryKind::directory, "d", "t"))));
  EXPECT_FALSE(decode_index(index_of(entry_of(EntryKind::symlink, "l"))));
  std::string target(4096, 't');
  EXPECT_FALSE(decode_index(index_of(entry_of(EntryKind::symlink, "l", target))));
}

class OneBlob final : public ByteSource {
 public:
  explicit OneBlob(std::string_view bytes) : rest_(bytes) {}
  Result<size_t> read(std::span<std::byte> out) override {
    size_t size = std::min(out.size(), rest_.size());
    std::memcpy(out.data(), rest_.data(), size);
    rest_.remove_prefix(size);
    return size;
  }

 private:
  std::string_view rest_;
};

// A tar with one sparse file (pax, GNU.sparse 1.0) of single bytes, 60 KiB apart.
std::string sparse_tar(int parts) {
  auto padded = [](std::string text) {
    text.resize((text.size() + 511) / 512 * 512, '\0');
    return text;
  };
  auto octal = [](size_t value) {
    char text[12];
    std::snprintf(text, sizeof text, "%011zo", value);
    return std::string(text, 12);
  };
  auto header = [&](const std::string& name, size_t size, char type) {
    std::string block(512, '\0');
    block.replace(0, name.size(), name);
    block.replace(100, 8, std::string("0000644\0", 8));
    block.replace(124, 12, octal(size));
    block.replace(136, 12, octal(0));
    block.replace(148, 8, "        ");
    block[156] = type;
    block.replace(257, 8, std::string("ustar\00000", 8));
    unsigned sum = 0;
    for (char c : block) sum += static_cast<unsigned char>(c);
    char text[8];
    std::snprintf(text, sizeof text, "%06o", sum);
    block.replace(148, 8, std::string(text, 7) + " ");
    return block;
  };
  auto record = [](const std::string& text) {  // "length key=value\n", the length its own included
    std::string body = " " + text + "\n";
    size_t length = body.size() + 2;
    return std::to_string(length) + body;
  };
  std::string map = std::to_string(parts) + "\n";
  for (int i = 0; i < parts; ++i) map += std::to_string(i * 61440) + "\n1\n";
  std::string pax = record("GNU.sparse.major=1") + record("GNU.sparse.minor=0") + record("GNU.sparse.name=s") +
                    record("GNU.sparse.realsize=" + std::to_string((parts - 1) * 61440 + 1));
  std::string content = padded(map) + std::string(static_cast<size_t>(parts), 'x');
  return header("pax", pax.size(), 'x') + padded(pax) + header("s", content.size(), '0') + padded(content) +
         std::string(1024, '\0');
}

TEST(HostileLayer, TheGapsOfSparseFilesHaveTheLimitOfTheTar) {
  constexpr LayerLimits limits{.max_bytes = 1 << 20};
  for (int parts : {10, 1000}) {
    std::string tar = sparse_tar(parts);
    ASSERT_LT(tar.size(), size_t{32} << 10);
    OneBlob blob(tar);
    UniqueFd data(::memfd_create("data", MFD_CLOEXEC));
    UniqueFd index(::memfd_create("index", MFD_CLOEXEC));
    auto info = write_layer(blob, "sparse", data.get(), index.get(), limits, CancelToken());
    if (parts == 10) {
      ASSERT_TRUE(info) << info.error().message;
      EXPECT_EQ(info->data_bytes, first_data_block * block_size + 9 * 61440 + 4096U);
    } else {
      ASSERT_FALSE(info);
      EXPECT_EQ(info.error().code, Errc::invalid_argument);
      EXPECT_THAT(info.error().message, HasSubstr("the gaps of sparse files"));
      EXPECT_LT(file_size(data.get()).value(), 3U << 20);
    }
  }
}

}  // namespace
}  // namespace diatom::rootfs
