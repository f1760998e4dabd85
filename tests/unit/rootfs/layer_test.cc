#include "rootfs/layer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/hash.h"
#include "rootfs/layer_index.h"
#include "support/memory_source.h"
#include "support/scratch.h"
#include "support/tar.h"

namespace diatom::rootfs {
namespace {

using namespace std::string_literals;
using test::Packing;
using testing::HasSubstr;

struct Written {
  LayerInfo info;
  std::string data;
  std::string index_bytes;
  LayerIndex index;

  const Entry& at(std::string_view path) const {
    for (const Entry& entry : index.entries)
      if (entry.path == path) return entry;
    throw std::out_of_range("no entry " + std::string(path));
  }
  std::string content(std::string_view path) const {
    return data.substr(at(path).first_block * block_size, at(path).size);
  }
};

Result<std::unique_ptr<Written>> write(const std::string& blob, LayerLimits limits = {}, const CancelToken& cancel = {},
                                       size_t piece = SIZE_MAX) {
  test::MemorySource source(blob, piece);
  UniqueFd data = test::scratch_file();
  UniqueFd index = test::scratch_file();
  auto written = std::make_unique<Written>();
  written->info = TRY(write_layer(source, "sha256:feed", data.get(), index.get(), limits, cancel));
  written->data = test::content_of(data.get());
  written->index_bytes = test::content_of(index.get());
  written->index = TRY(decode_index(written->index_bytes));
  return written;
}

TEST(WriteLayer, KeepsEveryAttributeOfEveryKind) {
  test::TarEntry program = test::file("bin/ping", "content");
  program.mode = 04755;
  program.uid = 70'000;
  program.gid = 3'000'000'000;
  program.mtime_s = 1'234'567'890;
  program.mtime_ns = 987'654'321;
  program.xattrs = {{"security.capability", "cap"}, {"user.note", "text"}, {"security.selinux", "label"}};
  auto layer = write(test::tar({test::directory("./bin", 01777),
                                program,
                                test::symlink("sh", "/bin/ping"),
                                test::hardlink("ping", "bin/ping"),
                                {.path = "null", .type = AE_IFCHR, .mode = 0666, .major = 1, .minor = 300},
                                {.path = "disk", .type = AE_IFBLK, .major = 259, .minor = 70'000},
                                {.path = "pipe", .type = AE_IFIFO}}));
  ASSERT_TRUE(layer) << test::error_of(layer);
  const Written& got = **layer;
  EXPECT_EQ(got.at("bin").kind, EntryKind::directory);
  EXPECT_EQ(got.at("bin").mode, 01777);
  const Entry& file = got.at("bin/ping");
  EXPECT_EQ(file.kind, EntryKind::regular);
  EXPECT_EQ(file.mode, 04755);
  EXPECT_EQ(file.uid, 70'000U);
  EXPECT_EQ(file.gid, 3'000'000'000U);
  EXPECT_EQ(file.mtime_s, 1'234'567'890);
  EXPECT_EQ(file.mtime_ns, 987'654'321U);
  EXPECT_EQ(got.content("bin/ping"), "content");
  EXPECT_THAT(std::string(file.xattrs), testing::AllOf(HasSubstr("capabilitycap"), HasSubstr("notetext")));
  EXPECT_THAT(std::string(file.xattrs), testing::Not(HasSubstr("selinux")));
  EXPECT_EQ(got.at("sh").target, "/bin/ping");
  EXPECT_EQ(got.at("ping").kind, EntryKind::hard_link);
  EXPECT_EQ(got.at("ping").target, "bin/ping");
  EXPECT_EQ(got.at("null").kind, EntryKind::char_device);
  EXPECT_EQ(got.at("null").rdev_minor, 300U);
  EXPECT_EQ(got.at("disk").rdev_major, 259U);
  EXPECT_EQ(got.at("disk").rdev_minor, 70'000U);
  EXPECT_EQ(got.at("pipe").kind, EntryKind::fifo);
  EXPECT_EQ(got.info.entries, 7U);
}

TEST(WriteLayer, GivesTheSameWhateverThePackingAndThePieces) {
  std::string tar = test::tar({test::file("a", test::noise(100'000)), test::file("b", ""), test::file("c", "x")});
  auto plain = write(tar);
  ASSERT_TRUE(plain) << test::error_of(plain);
  EXPECT_EQ((*plain)->info.diff_id, "sha256:" + sha256_hex(tar));
  EXPECT_EQ((*plain)->index.header.diff_id, sha256_hex(tar));
  EXPECT_EQ((*plain)->info.tar_bytes, tar.size());
  EXPECT_EQ((*plain)->info.data_bytes, (*plain)->data.size());
  EXPECT_EQ((*plain)->content("a"), test::noise(100'000));
  for (Packing packing : {Packing::gzip, Packing::zstd})
    for (size_t piece : {size_t{1000}, SIZE_MAX}) {
      auto packed = write(test::pack(tar, packing), {}, {}, piece);
      ASSERT_TRUE(packed) << test::error_of(packed);
      EXPECT_TRUE((*packed)->data == (*plain)->data);
      EXPECT_TRUE((*packed)->index_bytes == (*plain)->index_bytes);
    }
}

TEST(WriteLayer, CountsWhatFollowsTheTarsEndIntoItsDigest) {
  std::string tar = test::tar({test::file("a", "x")}) + std::string(512 * 99, '\0') + "trailing";
  auto layer = write(tar);
  ASSERT_TRUE(layer) << test::error_of(layer);
  EXPECT_EQ((*layer)->info.diff_id, "sha256:" + sha256_hex(tar));
}

TEST(WriteLayer, TurnsWhiteoutsIntoEntriesOfTheirOwn) {
  auto layer = write(test::tar({test::file("dir/.wh.gone"), test::file(".wh.top"), test::file("dir/.wh..wh..opq"),
                                test::file(".wh..wh.aufs"), test::file(".wh..wh.plnk"), test::file("dir/kept.wh.")}));
  ASSERT_TRUE(layer) << test::error_of(layer);
  ASSERT_EQ((*layer)->index.entries.size(), 4U);
  EXPECT_EQ((*layer)->at("dir/gone").kind, EntryKind::whiteout);
  EXPECT_EQ((*layer)->at("top").kind, EntryKind::whiteout);
  EXPECT_EQ((*layer)->at("dir").kind, EntryKind::opaque);
  EXPECT_EQ((*layer)->at("dir/kept.wh.").kind, EntryKind::regular);
  for (const char* name : {".wh.", "a/.wh.", ".wh..", ".wh..."})
    EXPECT_FALSE(write(test::tar({test::file(name)}))) << name;
}

TEST(WriteLayer, TakesNamesAsBytes) {
  std::string utf8 = "gr\xc3\xbc\xc3\x9f";
  std::string latin = "gr\xfc\xdf";
  std::string longest(255, 'n');
  auto layer = write(test::tar({test::file(utf8, "1"), test::file(latin, "2"), test::file(longest, "3"),
                                test::symlink("l", latin), test::file(longest + "/" + longest, "4")}));
  ASSERT_TRUE(layer) << test::error_of(layer);
  EXPECT_EQ((*layer)->content(utf8), "1");
  EXPECT_EQ((*layer)->content(latin), "2");
  EXPECT_EQ((*layer)->content(longest + "/" + longest), "4");
  EXPECT_EQ((*layer)->at("l").target, latin);
}

TEST(WriteLayer, KnowsTimesBeforeTheEpoch) {
  test::TarEntry whole = test::file("whole");
  whole.mtime_s = -100;
  auto layer = write(test::tar({whole}));
  ASSERT_TRUE(layer) << test::error_of(layer);
  EXPECT_EQ((*layer)->at("whole").mtime_s, -100);
  EXPECT_EQ((*layer)->at("whole").mtime_ns, 0U);
}

TEST(WriteLayer, RefusesPathsThatLeadOutAndNamesLayerAndPath) {
  for (const char* path : {"../evil", "a/../../evil", "/etc/evil"}) {
    auto refused = write(test::tar({test::file("fine"), test::file(path)}));
    ASSERT_FALSE(refused) << path;
    EXPECT_EQ(refused.error().code, Errc::invalid_argument);
    EXPECT_THAT(refused.error().message, testing::StartsWith("layer sha256:feed: path \""s + path)) << path;
  }
  EXPECT_FALSE(write(test::tar({test::hardlink("link", "../../etc/shadow")})));
  EXPECT_FALSE(write(test::tar({test::file(".")}))) << "the root is no file";
  EXPECT_FALSE(write(test::tar({test::symlink("/", "elsewhere")}))) << "the root is no link";
}

TEST(WriteLayer, EndsAtItsLimits) {
  std::string tar = test::tar({test::file("a", std::string(100'000, 'a')), test::file("b")});
  EXPECT_TRUE(write(tar, {.max_bytes = tar.size(), .max_entries = 2}));
  auto large = write(test::pack(tar, Packing::gzip), {.max_bytes = tar.size() - 1});
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code, Errc::invalid_argument);
  EXPECT_THAT(large.error().hint, HasSubstr("DIATOM_MAX_LAYER_SIZE"));
  auto many = write(tar, {.max_entries = 1});
  ASSERT_FALSE(many);
  EXPECT_THAT(many.error().message, HasSubstr("more than 1 entries"));
}

TEST(WriteLayer, EndsWhenItIsCancelled) {
  CancelToken cancel;
  cancel.cancel();
  EXPECT_EQ(write(test::tar({test::file("a")}), {}, cancel).error().code, Errc::cancelled);
}

TEST(WriteLayer, RefusesDamageWithAReason) {
  std::string tar = test::tar({test::file("a", test::noise(10'000)), test::file("b", "x")});
  const std::pair<const char*, std::string> cases[] = {
      {"no tar", test::noise(10'000)},
      {"cut in a header", tar.substr(0, 700)},
      {"cut in a file", tar.substr(0, 6'000)},
      {"a header with a wrong checksum",
       [&] {
         std::string bad = tar;
         bad[10] ^= 1;
         return bad;
       }()},
      {"a cut gzip", test::pack(tar, Packing::gzip).substr(0, 5'000)},
  };
  for (const auto& [what, blob] : cases) {
    auto refused = write(blob);
    ASSERT_FALSE(refused) << what;
    EXPECT_EQ(refused.error().code, Errc::invalid_argument) << what << ": " << refused.error().message;
    EXPECT_THAT(refused.error().message, testing::StartsWith("layer sha256:feed: ")) << what;
  }
}

TEST(WriteLayer, AcceptsALayerWithNothingInIt) {
  auto layer = write(std::string(1024, '\0'));
  ASSERT_TRUE(layer) << test::error_of(layer);
  EXPECT_EQ((*layer)->info.entries, 0U);
  EXPECT_EQ((*layer)->info.data_bytes, 0U);
  EXPECT_EQ((*layer)->info.diff_id, "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef");
}

}  // namespace
}  // namespace diatom::rootfs
