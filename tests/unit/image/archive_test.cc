#include "image/archive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "support/store_fixture.h"
#include "support/tar.h"

namespace diatom::image {
namespace {

using test::Packing;
using testing::HasSubstr;

class ArchiveTest : public test::StoreTest {
 protected:
  Result<std::unique_ptr<Archive>> open_tar(const std::string& bytes) {
    EXPECT_TRUE(replace_file(scratch_ / "archive", bytes));
    return open_archive(scratch_ / "archive", paths_, cancel_);
  }
  // The content of a file of the archive; "(none)" when there is no such file.
  std::string read(Archive& archive, const std::string& path) {
    auto blob = archive.get(path);
    if (!blob) return "error: " + blob.error().message;
    return *blob ? store::read_blob(paths_, (*blob)->digest).value() : "(none)";
  }
  CancelToken cancel_;
};

TEST_F(ArchiveTest, ReadsATarInAnyPackingAndOrder) {
  std::string tar = test::tar({test::file("b/c", "content"), test::directory("b"), test::file("./a", "")});
  for (Packing packing : {Packing::plain, Packing::gzip, Packing::zstd}) {
    auto archive = open_tar(test::pack(tar, packing));
    ASSERT_TRUE(archive) << test::error_of(archive);
    EXPECT_EQ(read(**archive, "b/c"), "content");
    EXPECT_EQ(read(**archive, "./b//c"), "content");
    EXPECT_EQ(read(**archive, "a"), "");
    EXPECT_EQ(read(**archive, "b"), "(none)");
    EXPECT_EQ(read(**archive, "d"), "(none)");
    EXPECT_THAT(read(**archive, "../a"), HasSubstr("error: "));
  }
}

TEST_F(ArchiveTest, FollowsTheLinksOfOldDockerArchives) {
  auto archive =
      open_tar(test::tar({test::file("one/layer.tar", "shared"), test::symlink("two/layer.tar", "../one/layer.tar"),
                          test::hardlink("three", "one/layer.tar"), test::symlink("out", "../../etc/passwd"),
                          test::symlink("self", "self")}));
  ASSERT_TRUE(archive) << test::error_of(archive);
  EXPECT_EQ(read(**archive, "two/layer.tar"), "shared");
  EXPECT_EQ(read(**archive, "three"), "shared");
  EXPECT_EQ(read(**archive, "out"), "(none)");
  EXPECT_EQ(read(**archive, "self"), "(none)");
}

TEST_F(ArchiveTest, ReadsAFolderWithoutFollowingLinksOutOfIt) {
  fs::path root = scratch_ / "layout";
  ASSERT_TRUE(make_directories(root / "blobs"));
  ASSERT_TRUE(replace_file(root / "blobs" / "x", "content"));
  ASSERT_TRUE(replace_file(scratch_ / "secret", "secret"));
  fs::create_symlink(scratch_ / "secret", root / "link");
  fs::create_directory_symlink(scratch_.path(), root / "up");
  ASSERT_EQ(::mkfifo((root / "fifo").c_str(), 0600), 0);
  auto archive = open_archive(root, paths_, cancel_);
  ASSERT_TRUE(archive) << test::error_of(archive);
  EXPECT_EQ(read(**archive, "blobs/x"), "content");
  EXPECT_EQ(read(**archive, "none"), "(none)");
  EXPECT_EQ(read(**archive, "blobs/x/y"), "(none)");
  EXPECT_THAT(read(**archive, "fifo"), HasSubstr("no regular file"));
  EXPECT_THAT(read(**archive, "blobs"), HasSubstr("no regular file"));
  for (const char* path : {"link", "up/secret", "../secret", "/etc/passwd"})
    EXPECT_THAT(read(**archive, path), testing::AnyOf("(none)", HasSubstr("error: "))) << path;
}

TEST_F(ArchiveTest, NamesWhatIsNoArchive) {
  for (const std::string& bytes :
       {test::noise(10'000), test::tar({test::file("a", test::noise(5'000))}).substr(0, 2'000)}) {
    auto refused = open_tar(bytes);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::invalid_argument);
    EXPECT_THAT(refused.error().message, HasSubstr((scratch_ / "archive").string()));
  }
  EXPECT_EQ(open_archive(scratch_ / "none", paths_, cancel_).error().code, Errc::not_found);
  EXPECT_TRUE(names_in(paths_.ingest()).empty());
}

TEST_F(ArchiveTest, EndsWhenItIsCancelled) {
  cancel_.cancel();
  EXPECT_EQ(open_tar(test::tar({test::file("a")})).error().code, Errc::cancelled);
}

}  // namespace
}  // namespace diatom::image
