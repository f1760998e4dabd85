// Layers to an EROFS image and back, by a reader of our own: write_image and, below it, write_erofs.
#include "rootfs/image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rootfs/layer.h"
#include "support/erofs_reader.h"
#include "support/memory_source.h"
#include "support/scratch.h"
#include "support/tar.h"

namespace diatom::rootfs {
namespace {

using test::ErofsFile;
using test::TarEntry;
using testing::HasSubstr;

struct Image {
  ImageInfo info;
  std::string metadata;
  std::string device;  // metadata, and the data behind it
  std::map<std::string, ErofsFile> tree;
};

Result<Image> make_image(const std::vector<std::vector<TarEntry>>& layers, const CancelToken& cancel = {},
                         std::string_view identity = "sha256:test") {
  std::vector<UniqueFd> data;
  std::vector<UniqueFd> indexes;
  std::vector<LayerFiles> files;
  for (const auto& entries : layers) {
    test::MemorySource source(test::tar(entries));
    data.push_back(test::scratch_file());
    indexes.push_back(test::scratch_file());
    TRY(write_layer(source, "x", data.back().get(), indexes.back().get(), {}, {}));
    files.push_back({indexes.back().get()});
  }
  UniqueFd out = test::scratch_file();
  Image image;
  image.info = TRY(write_image(files, identity, out.get(), {}, cancel));
  image.metadata = test::content_of(out.get());
  image.device = image.metadata;
  for (const auto& fd : data) image.device += test::content_of(fd.get());
  image.tree = test::ErofsReader(image.device).tree();
  return image;
}

TEST(WriteImage, SaysOfEachFileWhatItsLayerSaid) {
  TarEntry program = test::file("bin/ping", test::noise(10'000));
  program.mode = 06755;
  program.uid = 70'000;
  program.gid = 4'000'000'000;
  program.mtime_s = 1'234'567'890;
  program.mtime_ns = 123'456'789;
  program.xattrs = {{"security.capability", "c"}, {"user.a", std::string(300, 'v')}, {"user.b", ""}};
  TarEntry old = test::file("old", "x");
  old.mtime_s = -5;
  auto image = make_image({{test::directory("bin", 01777),
                            program,
                            test::symlink("sh", "bin/ping"),
                            test::hardlink("p", "bin/ping"),
                            old,
                            {.path = "null", .type = AE_IFCHR, .mode = 0666, .major = 1, .minor = 3},
                            {.path = "disk", .type = AE_IFBLK, .major = 259, .minor = 70'000},
                            {.path = "pipe", .type = AE_IFIFO, .mode = 0600}}});
  ASSERT_TRUE(image) << test::error_of(image);
  const ErofsFile& file = image->tree.at("bin/ping");
  EXPECT_EQ(file.mode, 0106755);
  EXPECT_EQ(file.uid, 70'000U);
  EXPECT_EQ(file.gid, 4'000'000'000U);
  EXPECT_EQ(file.mtime_s, 1'234'567'890U);
  EXPECT_EQ(file.mtime_ns, 123'456'789U);
  EXPECT_EQ(file.xattrs, program.xattrs);
  EXPECT_TRUE(file.content == program.content);
  EXPECT_EQ(file.links, 2U);
  EXPECT_EQ(file.nid, image->tree.at("p").nid);
  EXPECT_EQ(image->tree.at("bin").mode, 041777);
  EXPECT_EQ(image->tree.at("bin").links, 2U);
  EXPECT_EQ(image->tree.at("").links, 3U);
  EXPECT_EQ(image->tree.at("sh").mode, 0120777);
  EXPECT_EQ(image->tree.at("sh").content, "bin/ping");
  EXPECT_EQ(static_cast<int64_t>(image->tree.at("old").mtime_s), -5);
  EXPECT_EQ(image->tree.at("null").mode, 020666);
  EXPECT_EQ(image->tree.at("null").device, (1U << 8) | 3);
  EXPECT_EQ(image->tree.at("disk").device, (70'000U & 0xff) | (259U << 8) | ((70'000U & ~0xffU) << 12));
  EXPECT_EQ(image->tree.at("pipe").mode, 010600);
  EXPECT_EQ(image->info.inodes, 8U) << "the root, and seven beside the hard link";
}

TEST(WriteImage, FindsTheContentOfEveryLayer) {
  auto image =
      make_image({{test::file("a", test::noise(5'000, 1)), test::file("b", test::noise(4'096, 2))},
                  {test::directory("only-a-name")},
                  {test::file("a", test::noise(9'000, 3)), test::file(".wh.b"), test::file("c", test::noise(1, 4))},
                  {test::hardlink("d", "c"), test::file("e")}});
  ASSERT_TRUE(image) << test::error_of(image);
  EXPECT_TRUE(image->tree.at("a").content == test::noise(9'000, 3));
  EXPECT_FALSE(image->tree.contains("b"));
  EXPECT_EQ(image->tree.at("d").content, test::noise(1, 4));
  EXPECT_EQ(image->tree.at("e").content, "");
  EXPECT_EQ(image->info.metadata_bytes, image->metadata.size());
  EXPECT_EQ(image->info.metadata_bytes % 4096, 0U);
  EXPECT_EQ(image->info.total_bytes, image->device.size());
}

TEST(WriteImage, ReadsManyLayersInTurn) {
  // More than there are windows for, with as many links from one to the next as may be followed.
  std::vector<std::vector<TarEntry>> layers = {{test::directory("d0")}};
  for (int i = 1; i <= 40; ++i) {
    std::string name = "d" + std::to_string(i);
    std::string before = "d" + std::to_string(i - 1);
    TarEntry file = test::file(before + "/f" + std::to_string(i), test::noise(100, static_cast<uint32_t>(i)));
    file.xattrs = {{"user.x", std::string(static_cast<size_t>(i) * 300, 'x')}};
    layers.push_back({test::symlink(name, before), file});
  }
  auto image = make_image(layers);
  ASSERT_TRUE(image) << test::error_of(image);
  for (size_t i = 1; i < layers.size(); ++i) {
    const ErofsFile& file = image->tree.at("d0/f" + std::to_string(i));
    EXPECT_EQ(file.content, layers[i][1].content) << i;
    EXPECT_EQ(file.xattrs, layers[i][1].xattrs) << i;
  }
}

TEST(WriteImage, SaysWhichLayerHasMoreFilesThanMayBe) {
  UniqueFd index = test::scratch_file();
  UniqueFd data = test::scratch_file();
  std::vector<TarEntry> entries;
  for (int i = 0; i < 2000; ++i) entries.push_back(test::file("file-" + std::to_string(i)));
  test::MemorySource source(test::tar(entries));
  ASSERT_TRUE(write_layer(source, "x", data.get(), index.get(), {}, {}));
  UniqueFd out = test::scratch_file();
  LayerFiles layers[] = {{index.get()}};
  auto refused = write_image(layers, "x", out.get(), {.max_tree_bytes = 150'000}, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::invalid_argument);
  EXPECT_THAT(refused.error().message, HasSubstr("layer 1 (sha256:"));
  EXPECT_THAT(refused.error().message, HasSubstr("more files than it may"));
  EXPECT_EQ(*file_size(out.get()), 0U) << "nothing has been written yet";
}

TEST(WriteImage, HoldsDirectoriesOfEverySize) {
  // Names that fill a block to the byte, or miss it by one, at both ends of what is inline.
  for (size_t count : std::initializer_list<size_t>{0, 1, 2, 50, 200, 339, 340, 341, 342, 2000}) {
    std::vector<TarEntry> entries = {test::directory("d")};
    for (size_t i = 0; i < count; ++i) {
      std::string name = std::to_string(1'000'000 + i * 7919 % count * 10);
      entries.push_back(test::file("d/" + name));
    }
    auto image = make_image({entries});
    ASSERT_TRUE(image) << test::error_of(image);
    EXPECT_EQ(image->tree.size(), count + 2) << count;
  }
}

TEST(WriteImage, SortsNamesAsBytesWithTheDotsAmongThem) {
  std::vector<TarEntry> entries;
  for (const char* name : {"!", "-", ".", "..a", ".a", "...", "0", "A", "a", "a!", "\x7f", "\xc3\xbc", "\xff"})
    if (std::string_view(name) != ".") entries.push_back(test::file(name));
  auto image = make_image({entries});
  ASSERT_TRUE(image) << test::error_of(image);  // the reader checks the order
  EXPECT_EQ(image->tree.size(), entries.size() + 1);
}

TEST(WriteImage, PutsNothingInlineAcrossABlock) {
  // Links and xattrs of many sizes move the inodes over every place of a block; the reader checks each.
  std::vector<TarEntry> entries;
  for (int i = 0; i < 400; ++i) {
    TarEntry link = test::symlink("l" + std::to_string(i), std::string(static_cast<size_t>(1 + i * 37 % 4095), 't'));
    if (i % 3 == 0) link.xattrs = {{"user.x", std::string(static_cast<size_t>(i * 53 % 5000), 'x')}};
    entries.push_back(std::move(link));
  }
  auto image = make_image({entries});
  ASSERT_TRUE(image) << test::error_of(image);
  for (const TarEntry& entry : entries) {
    EXPECT_EQ(image->tree.at(entry.path).content, entry.symlink) << entry.path;
    EXPECT_EQ(image->tree.at(entry.path).xattrs, entry.xattrs) << entry.path;
  }
}

TEST(WriteImage, IsTheSameForTheSameImageAndAnotherForAnother) {
  std::vector<std::vector<TarEntry>> layers = {{test::file("a", "x"), test::directory("d")}};
  std::string first = make_image(layers)->metadata;
  EXPECT_TRUE(first == make_image(layers)->metadata);
  std::string other = make_image(layers, {}, "sha256:other")->metadata;
  EXPECT_NE(test::ErofsReader(first).uuid(), test::ErofsReader(other).uuid());
}

TEST(WriteImage, MakesAnImageOfNothing) {
  auto image = make_image({});
  ASSERT_TRUE(image) << test::error_of(image);
  EXPECT_EQ(test::ErofsReader(image->device).magic(), 0xe0f5e1e2U);
  EXPECT_EQ(image->tree.size(), 1U);
  EXPECT_EQ(image->tree.at("").mode, 040755);
  EXPECT_EQ(image->info.metadata_bytes, 4096U);
}

TEST(WriteImage, NamesLayerAndPathOfWhatCannotBe) {
  auto refused = make_image({{test::file("a")}, {test::file("a/b")}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::invalid_argument);
  EXPECT_THAT(refused.error().message,
              testing::AllOf(testing::StartsWith("layer 2 (sha256:"), HasSubstr("path \"a\"")));
}

TEST(WriteImage, RefusesADamagedIndex) {
  UniqueFd index =
      test::scratch_file("DIATLYR2 and then nothing that makes sense, for more than a hundred bytes in a row ......");
  UniqueFd out = test::scratch_file();
  LayerFiles files[] = {{index.get()}};
  EXPECT_EQ(write_image(files, "x", out.get(), {}, {}).error().code, Errc::internal);
}

TEST(WriteImage, EndsWhenItIsCancelled) {
  CancelToken cancel;
  cancel.cancel();
  auto image = make_image({{test::file("a")}}, cancel);
  ASSERT_FALSE(image);
  EXPECT_EQ(image.error().code, Errc::cancelled);
}

}  // namespace
}  // namespace diatom::rootfs
