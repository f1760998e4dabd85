// From files to files, by way of a tar: what comes back, where docker's cp would put it, and what a hostile tar does
// not bring about.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>

#include "base/platform/platform.h"
#include "support/scratch.h"
#include "tar/copy.h"

namespace diatom::tar {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

class CopyTest : public testing::Test {
 protected:
  CopyTest() : scratch_(test::memory_directory()) {
    fs::create_directory(from());
    fs::create_directory(to());
  }
  fs::path from() const { return scratch_ / "from"; }
  fs::path to() const { return scratch_ / "to"; }

  static void put(const fs::path& path, std::string_view content) {
    fs::create_directories(path.parent_path());
    UniqueFd fd = open_file(path, O_WRONLY | O_CREAT | O_TRUNC, 0644).value();
    ASSERT_TRUE(write_all(fd.get(), content));
  }
  static std::string get(const fs::path& path) { return read_file(path).value_or("(nothing)"); }

  std::string packed(const std::string& path, bool follow = false) {
    UniqueFd fd = test::scratch_file();
    Writer writer(fd.get());
    auto done = pack_path(writer, path, follow, {.enters = {}, .on_warning = note()});
    EXPECT_TRUE(done) << test::error_of(done);
    return test::content_of(fd.get());
  }
  Result<> unpacked(const std::string& tar, const std::string& to, const std::string& top, UnpackOptions options = {}) {
    UniqueFd fd = test::scratch_file(tar);
    ::lseek(fd.get(), 0, SEEK_SET);
    Reader reader(fd.get());
    options.on_warning = note();
    return top.empty() ? unpack_stream(reader, to, options) : unpack_copy(reader, to, top, options);
  }
  Result<> copy(const std::string& source, const std::string& to, bool follow = false) {
    return unpacked(packed(source, follow), to, top_name(source));
  }
  std::function<void(const std::string&)> note() {
    return [this](const std::string& what) { warnings_.push_back(what); };
  }
  // Of entries that nobody packs.
  static std::string tar_of(const std::vector<Entry>& entries) {
    UniqueFd fd = test::scratch_file();
    Writer writer(fd.get());
    for (const Entry& entry : entries) {
      EXPECT_TRUE(writer.add(entry));
      if (entry.kind == Kind::regular && entry.size > 0) {
        EXPECT_TRUE(writer.write(test::bytes_of(std::string(entry.size, 'x'))));
      }
    }
    EXPECT_TRUE(writer.finish());
    return test::content_of(fd.get());
  }

  test::ScratchDirectory scratch_;
  std::vector<std::string> warnings_;
};

TEST_F(CopyTest, AllThatAFileHasComesBack) {
  put(from() / "dir/file", "content");
  fs::path file = from() / "dir/file";
  ASSERT_EQ(::setxattr(file.c_str(), "user.note", "v", 1, 0), 0);
  fs::create_hard_link(file, from() / "dir/zz-hard");
  fs::create_symlink("../nowhere", from() / "dir/soft");
  ASSERT_EQ(::mkfifo((from() / "dir/fifo").c_str(), 0600), 0);
  std::string long_name(250, 'n');
  put(from() / "dir" / long_name / long_name / "deep", "down");
  UniqueFd sparse = open_file(from() / "dir/sparse", O_WRONLY | O_CREAT, 0600).value();
  ASSERT_TRUE(pwrite_all(sparse.get(), test::bytes_of("end"), 50 << 20));
  ASSERT_EQ(::chmod(file.c_str(), 0751), 0);
  timespec times[2] = {{1'600'000'000, 123'456'789}, {1'600'000'000, 123'456'789}};
  ASSERT_EQ(::utimensat(AT_FDCWD, file.c_str(), times, 0), 0);
  ASSERT_EQ(::chmod((from() / "dir").c_str(), 0500), 0);
  ASSERT_EQ(::utimensat(AT_FDCWD, (from() / "dir").c_str(), times, 0), 0);

  auto copied = copy(from() / "dir", to());
  ASSERT_TRUE(copied) << test::error_of(copied);
  struct stat status{};
  fs::path there = to() / "dir/file";
  ASSERT_EQ(::stat(there.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0751U);
  EXPECT_EQ(status.st_mtim.tv_sec, 1'600'000'000);
  EXPECT_EQ(status.st_mtim.tv_nsec, 123'456'789);
  EXPECT_EQ(status.st_nlink, 2U);
  char value[8];
  EXPECT_EQ(::getxattr(there.c_str(), "user.note", value, sizeof value), 1);
  EXPECT_EQ(get(there), "content");
  EXPECT_EQ(get(to() / "dir/zz-hard"), "content");
  EXPECT_EQ(fs::read_symlink(to() / "dir/soft"), "../nowhere");
  EXPECT_EQ(fs::status(to() / "dir/fifo").type(), fs::file_type::fifo);
  EXPECT_EQ(get(to() / "dir" / long_name / long_name / "deep"), "down");
  ASSERT_EQ(::stat((to() / "dir/sparse").c_str(), &status), 0);
  EXPECT_EQ(status.st_size, (50 << 20) + 3);
  EXPECT_LT(status.st_blocks, 2048);
  ASSERT_EQ(::stat((to() / "dir").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0500U);
  EXPECT_EQ(status.st_mtim.tv_nsec, 123'456'789);
}

// https://docs.docker.com/reference/cli/docker/container/cp/
TEST_F(CopyTest, GoesWhereDockerPutsIt) {
  put(from() / "file", "file");
  put(from() / "dir/inner", "inner");
  fs::create_symlink("file", from() / "link");
  fs::create_symlink("dir", from() / "dirlink");
  put(to() / "old", "old");
  fs::create_directory(to() / "there");
  fs::create_symlink("there", to() / "to-there");
  fs::create_symlink("not-yet", to() / "to-nothing");
  std::string f = from().string() + "/";
  std::string t = to().string() + "/";
  struct Case {
    std::string source, destination, found, content;
  };
  const Case cases[] = {{f + "file", t + "new", "new", "file"},
                        {f + "file", t + "old", "old", "file"},
                        {f + "file", t + "there", "there/file", "file"},
                        {f + "file", t + "there/", "there/file", "file"},
                        {f + "file", t + "to-there", "there/file", "file"},
                        {f + "file", t + "to-nothing", "not-yet", "file"},
                        {f + "dir", t + "new-dir", "new-dir/inner", "inner"},
                        {f + "dir", t + "new-dir-2/", "new-dir-2/inner", "inner"},
                        {f + "dir/.", t + "new-dir-3", "new-dir-3/inner", "inner"},
                        {f + "dir", t + "there", "there/dir/inner", "inner"},
                        {f + "dir/", t + "there", "there/dir/inner", "inner"},
                        {f + "dir/.", t + "there", "there/inner", "inner"},
                        {f + "dirlink/", t + "there", "there/dirlink/inner", "inner"}};
  for (const Case& each : cases) {
    auto copied = copy(each.source, each.destination);
    EXPECT_TRUE(copied) << each.source << " " << each.destination << ": " << test::error_of(copied);
    EXPECT_EQ(get(to() / each.found), each.content) << each.source << " " << each.destination;
  }
  ASSERT_TRUE(copy(f + "link", t + "as-link"));
  EXPECT_EQ(fs::read_symlink(to() / "as-link"), "file");
  ASSERT_TRUE(copy(f + "link", t + "as-file", true));
  EXPECT_FALSE(fs::is_symlink(to() / "as-file"));
  EXPECT_EQ(get(to() / "as-file"), "file");
  ASSERT_TRUE(copy(f + "dirlink", t + "as-dir", true));
  EXPECT_EQ(get(to() / "as-dir/inner"), "inner");
}

TEST_F(CopyTest, SaysWhyItCannotGoThere) {
  put(from() / "file", "file");
  put(from() / "dir/sub/inner", "inner");
  put(to() / "old", "old");
  put(to() / "dir/sub", "a file");
  fs::create_directories(to() / "clash/file");
  std::string f = from().string() + "/";
  std::string t = to().string() + "/";
  struct Case {
    std::string source, destination, why;
    Errc code;
  };
  const Case cases[] = {
      {f + "dir", t + "old", "a directory cannot take the place of a file", Errc::invalid_argument},
      {f + "file", t + "old/", "no directory", Errc::invalid_argument},
      {f + "file", t + "none/", "no such directory", Errc::not_found},
      {f + "file", t + "none/at/all", "No such file", Errc::not_found},
      {f + "file", t + "clash", "cannot replace a directory", Errc::invalid_argument},
      {f + "dir", to(), "a directory cannot replace", Errc::invalid_argument},
      {f + "file", "/dev/null", "neither", Errc::invalid_argument},
  };
  for (const Case& each : cases) {
    auto copied = copy(each.source, each.destination);
    ASSERT_FALSE(copied) << each.why;
    EXPECT_EQ(copied.error().code, each.code) << copied.error().message;
    EXPECT_THAT(copied.error().message, HasSubstr(each.why));
  }
  EXPECT_EQ(get(to() / "old"), "old");
  UniqueFd fd = test::scratch_file();
  Writer writer(fd.get());
  auto none = pack_path(writer, f + "none", false, {});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Errc::not_found);
}

TEST_F(CopyTest, ASocketIsPassedOver) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", from().c_str());
  UniqueFd socket = platform::make_socket().value();
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  put(from() / "file", "file");
  ASSERT_TRUE(copy(from(), to()));
  EXPECT_EQ(get(to() / "from/file"), "file");
  EXPECT_THAT(warnings_, testing::ElementsAre(HasSubstr("socket")));
}

TEST_F(CopyTest, PrivilegesStayBehindUnlessTheyAreWanted) {
  std::string tar = tar_of({{.name = "x", .mode = 06755, .size = 1, .xattrs = {{"trusted.overlay.opaque", "y"}}}});
  ASSERT_TRUE(unpacked(tar, to() / "plain", "x"));
  ASSERT_TRUE(unpacked(tar, to() / "whole", "x", {.keep_privileges = true}));
  struct stat status{};
  ASSERT_EQ(::stat((to() / "plain").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0755U);
  ASSERT_EQ(::stat((to() / "whole").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 06755U);
  EXPECT_LT(::getxattr((to() / "whole").c_str(), "trusted.overlay.opaque", nullptr, 0), 0);
}

TEST_F(CopyTest, ADirectoryThatIsThereStaysAsItIsUnlessItIsToChange) {
  std::string tar = tar_of({{.kind = Kind::directory, .name = "d", .mode = 0700, .mtime_s = 1}});
  fs::create_directory(to() / "d");
  ASSERT_EQ(::chmod((to() / "d").c_str(), 0755), 0);
  ASSERT_TRUE(unpacked(tar, to(), "d"));
  struct stat status{};
  ASSERT_EQ(::stat((to() / "d").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0755U);
  ASSERT_TRUE(unpacked(tar, to(), "d", {.change_directories = true}));
  ASSERT_EQ(::stat((to() / "d").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0700U);
  EXPECT_EQ(status.st_mtim.tv_sec, 1);
}

// ---- Hostile tars.

TEST_F(CopyTest, NothingOutsideIsTouched) {
  put(scratch_ / "outside/secret", "secret");
  std::string outside = scratch_ / "outside";
  auto file = [](const std::string& name) { return Entry{.name = name, .size = 1}; };
  auto link = [](const std::string& name, const std::string& target) {
    return Entry{.kind = Kind::symlink, .name = name, .target = target};
  };
  auto hard = [](const std::string& name, const std::string& target) {
    return Entry{.kind = Kind::hard_link, .name = name, .target = target};
  };
  auto dir = [](const std::string& name) { return Entry{.kind = Kind::directory, .name = name, .mode = 0755}; };
  const std::vector<Entry> cases[] = {
      {dir("t"), file("t/../../outside/new")},
      {dir("t"), file("../outside/new")},
      {dir("t"), file(outside + "/new")},
      {dir("t"), file("other")},
      {dir("t"), file("t-and-more")},
      {dir("t"), link("t/l", outside), file("t/l/new")},
      {dir("t"), link("t/l", outside), dir("t/l"), file("t/l/new")},
      {dir("t"), link("t/l", outside + "/new"), hard("t/h", "t/l"), file("t/h/x")},
      {dir("t"), link("t/l", "../../outside"), dir("t/l/d")},
      {dir("t"), hard("t/h", "t/../../outside/secret")},
      {dir("t"), hard("t/h", outside + "/secret")},
      {dir("t"), link("t/l", outside), hard("t/h", "t/l/secret")},
      {dir("t"), dir("t/d"), file("t/d/f"), link("t/d", outside), file("t/d/new")},
      {dir("t"), file("t/.."), file("t/x")},
      {dir(".."), file("../x")},
      {},
  };
  int number = 0;
  for (const auto& entries : cases) {
    fs::path target = to() / std::to_string(number);
    fs::create_directory(target);
    auto done = unpacked(tar_of(entries), target, "t");
    EXPECT_FALSE(done) << "case " << number;
    bool kind = !done && (done.error().code == Errc::invalid_argument || done.error().code == Errc::not_found);
    EXPECT_TRUE(kind) << number << ": " << test::error_of(done);
    EXPECT_EQ(get(scratch_ / "outside/secret"), "secret") << number;
    EXPECT_THAT(list_directory(scratch_ / "outside").value(), SizeIs(1)) << number;
    EXPECT_THAT(list_directory(scratch_.path()).value(), SizeIs(3)) << number;
    ++number;
  }
  EXPECT_THAT(list_directory(to()).value(), SizeIs(number));
}

// The same where any name is taken: absolute ones lie in the destination, too.
TEST_F(CopyTest, AStreamStaysInsideToo) {
  put(scratch_ / "outside/secret", "secret");
  std::string outside = scratch_ / "outside";
  ASSERT_TRUE(unpacked(tar_of({{.name = outside + "/new", .size = 1}}), to(), ""));
  EXPECT_EQ(get(to().string() + outside + "/new"), "x");
  for (const std::vector<Entry>& entries :
       {std::vector<Entry>{{.name = "../outside/new", .size = 1}},
        std::vector<Entry>{{.kind = Kind::symlink, .name = "l", .target = outside}, {.name = "l/new", .size = 1}},
        std::vector<Entry>{{.kind = Kind::hard_link, .name = "h", .target = "../outside/secret"}}})
    EXPECT_FALSE(unpacked(tar_of(entries), to(), ""));
  EXPECT_THAT(list_directory(scratch_ / "outside").value(), SizeIs(1));
}

TEST_F(CopyTest, WhatIsThereIsReplacedAndNeverWrittenThrough) {
  put(scratch_ / "outside/secret", "secret");
  fs::create_directory(to() / "t");
  fs::create_symlink(scratch_ / "outside/secret", to() / "t/link");
  fs::create_hard_link(scratch_ / "outside/secret", to() / "t/hard");
  std::vector<Entry> entries = {{.kind = Kind::directory, .name = "t", .mode = 0755},
                                {.name = "t/link", .size = 1},
                                {.name = "t/hard", .size = 1}};
  auto done = unpacked(tar_of(entries), to(), "t");
  ASSERT_TRUE(done) << test::error_of(done);
  EXPECT_EQ(get(to() / "t/link"), "x");
  EXPECT_FALSE(fs::is_symlink(to() / "t/link"));
  EXPECT_EQ(get(to() / "t/hard"), "x");
  EXPECT_EQ(get(scratch_ / "outside/secret"), "secret");
}

TEST_F(CopyTest, DevicesAreNotMade) {
  ASSERT_TRUE(unpacked(tar_of({{.kind = Kind::directory, .name = "t", .mode = 0755},
                               {.kind = Kind::block_device, .name = "t/sda", .mode = 0666, .major = 8}}),
                       to(), "t"));
  EXPECT_THAT(list_directory(to() / "t").value(), SizeIs(0));
  EXPECT_THAT(warnings_, testing::ElementsAre(HasSubstr("t/sda")));
}

TEST_F(CopyTest, AFileThatIsNotWholeGoesAgain) {
  put(to() / "t/old", "old");
  std::string tar = tar_of({{.kind = Kind::directory, .name = "t", .mode = 0755},
                            {.name = "t/a", .size = 1},
                            {.name = "t/old", .size = 5000},
                            {.name = "t/z", .size = 5000}});
  for (size_t cut : std::initializer_list<size_t>{3 * 512 + 512 + 100, 3 * 512 + 512 + 512 + 5120 + 100}) {
    auto done = unpacked(tar.substr(0, cut), to(), "t");
    ASSERT_FALSE(done);
    EXPECT_THAT(done.error().message, HasSubstr("too early"));
    EXPECT_EQ(get(to() / "t/a"), "x");
    EXPECT_FALSE(fs::exists(to() / "t/z"));
    EXPECT_THAT(list_directory(to() / "t").value(), testing::Each(testing::AnyOf("a", "old")));
  }
}

TEST_F(CopyTest, ATreeTooDeepIsSaidToBe) {
  UniqueFd directory = open_file(from(), O_RDONLY | O_DIRECTORY).value();
  std::string name(200, 'd');
  for (int i = 0; i < 30; ++i) {
    ASSERT_EQ(::mkdirat(directory.get(), name.c_str(), 0755), 0);
    directory.reset(::openat(directory.get(), name.c_str(), O_RDONLY | O_DIRECTORY));
  }
  UniqueFd fd = test::scratch_file();
  Writer writer(fd.get());
  auto packed = pack_path(writer, from(), false, {});
  ASSERT_FALSE(packed);
  EXPECT_THAT(packed.error().message, HasSubstr("longer than 4095"));
}

}  // namespace
}  // namespace diatom::tar
