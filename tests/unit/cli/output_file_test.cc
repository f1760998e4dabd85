#include "cli/output_file.h"

#include <gtest/gtest.h>
#include <stdlib.h>

namespace diatom::cli {
namespace {

class OutputFileTest : public testing::Test {
 protected:
  OutputFileTest() {
    std::string name = (fs::temp_directory_path() / "diatom-output-XXXXXX").string();
    folder_.emplace(::mkdtemp(name.data()));
  }
  size_t files() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder_->path()), fs::directory_iterator()));
  }
  std::string path() const { return folder_->path() / "out.tar"; }

  std::optional<TemporaryPath> folder_;
};

TEST_F(OutputFileTest, IsThereWhenItIsWholeAndNotBefore) {
  auto file = OutputFile::create(path());
  ASSERT_TRUE(file);
  ASSERT_TRUE(write_all(file->fd(), "content"));
  EXPECT_FALSE(fs::exists(path()));
  ASSERT_TRUE(file->commit());
  EXPECT_EQ(read_file(path()).value(), "content");
  EXPECT_EQ(files(), 1u);
}

TEST_F(OutputFileTest, AFailureLeavesTheOldFileAndNothingElse) {
  ASSERT_TRUE(replace_file(path(), "old"));
  {
    auto file = OutputFile::create(path());
    ASSERT_TRUE(file);
    ASSERT_TRUE(write_all(file->fd(), "half"));
  }
  EXPECT_EQ(read_file(path()).value(), "old");
  EXPECT_EQ(files(), 1u);
}

TEST_F(OutputFileTest, ALinkStaysALink) {
  fs::create_symlink("out.tar", folder_->path() / "link");
  ASSERT_TRUE(replace_file(path(), "old"));
  auto file = OutputFile::create(folder_->path() / "link");
  ASSERT_TRUE(file);
  ASSERT_TRUE(write_all(file->fd(), "new"));
  ASSERT_TRUE(file->commit());
  EXPECT_TRUE(fs::is_symlink(folder_->path() / "link"));
  EXPECT_EQ(read_file(path()).value(), "new");
}

TEST_F(OutputFileTest, ADeviceIsWrittenAsItIs) {
  auto file = OutputFile::create("/dev/null");
  ASSERT_TRUE(file);
  ASSERT_TRUE(write_all(file->fd(), "x"));
  EXPECT_TRUE(file->commit());
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST_F(OutputFileTest, AFolderThatIsNotThereIsAnError) {
  EXPECT_FALSE(OutputFile::create(folder_->path() / "absent" / "out.tar"));
}

}  // namespace
}  // namespace diatom::cli
