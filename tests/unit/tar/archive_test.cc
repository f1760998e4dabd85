// The writer and the reader: to one another, and to what other tars write and read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdio.h>

#include <array>

#include "support/scratch.h"
#include "support/tar.h"
#include "tar/header.h"
#include "tar/reader.h"
#include "tar/writer.h"

namespace diatom::tar {
namespace {

using testing::HasSubstr;
using testing::Pair;
using testing::UnorderedElementsAre;

Reader::Source source_of(std::string_view bytes, size_t at_once = SIZE_MAX) {
  return [bytes, at_once]() mutable -> Result<std::span<const std::byte>> {
    auto part = test::bytes_of(bytes.substr(0, at_once));
    bytes.remove_prefix(part.size());
    return part;
  };
}

struct Read {
  Entry entry;
  std::string content;  // with zeros in its holes
};

Result<std::vector<Read>> read_all(std::string_view bytes, size_t at_once = SIZE_MAX) {
  Reader reader(source_of(bytes, at_once));
  std::vector<Read> out;
  for (auto entry = TRY(reader.next()); entry; entry = TRY(reader.next())) {
    Read& read = out.emplace_back(Read{*entry, std::string(entry->size, '\0')});
    for (auto piece = TRY(reader.read()); !piece.data.empty(); piece = TRY(reader.read()))
      std::copy_n(reinterpret_cast<const char*>(piece.data.data()), piece.data.size(),
                  read.content.begin() + static_cast<ptrdiff_t>(piece.offset));
  }
  return out;
}

std::string written(const std::vector<Read>& entries) {
  std::string bytes;
  Writer writer([&](std::span<const std::byte> data) -> Result<> {
    bytes.append(reinterpret_cast<const char*>(data.data()), data.size());
    return {};
  });
  for (const auto& [entry, content] : entries) {
    EXPECT_TRUE(writer.add(entry));
    if (content.empty()) continue;
    for (const Extent& extent : entry.extents.value_or(std::vector{Extent{0, content.size()}}))
      EXPECT_TRUE(writer.write(test::bytes_of(content).subspan(extent.offset, extent.bytes)));
  }
  EXPECT_TRUE(writer.finish());
  return bytes;
}

std::vector<Read> every_kind() {
  std::string sparse(300'000, '\0');
  sparse.replace(100'000, 5, "hello");
  sparse.replace(299'999, 1, "!");
  std::string longest(255, 'n');
  return {
      {{.kind = Kind::directory, .name = ".", .mode = 01777, .mtime_s = 1}, ""},
      {{.name = "file",
        .mode = 04755,
        .uid = 1000,
        .gid = 2'000'000'000,
        .size = 5,
        .mtime_s = 1'700'000'000,
        .mtime_ns = 123'456'789,
        .xattrs = {{"user.a", std::string("b\0\n=c", 5)}, {"user.b", ""}}},
       "hello"},
      {{.name = "empty", .mtime_s = -1, .mtime_ns = 500'000'000}, ""},
      {{.name = "before", .mtime_s = -5}, ""},
      {{.name = longest + "/" + longest + "/\xc3\xa4\xff", .size = 600}, std::string(600, 'x')},
      {{.kind = Kind::hard_link, .name = "hard", .target = longest + "/" + longest + "/\xc3\xa4\xff"}, ""},
      {{.kind = Kind::symlink, .name = "soft", .target = std::string(300, '.'), .mode = 0777}, ""},
      {{.kind = Kind::char_device, .name = "char", .major = 1, .minor = 3}, ""},
      {{.kind = Kind::block_device, .name = "block", .major = 4095, .minor = 1'048'575}, ""},
      {{.kind = Kind::fifo, .name = "fifo"}, ""},
      {{.name = "sparse", .size = sparse.size(), .extents = {{{100'000, 5}, {299'999, 1}}}}, sparse},
      {{.name = "all hole", .size = 1 << 20, .extents = std::vector<Extent>{}}, ""},
  };
}

TEST(Tar, ComesBackAsItWasWritten) {
  std::string bytes = written(every_kind());
  EXPECT_EQ(bytes.size() % 512, 0U);
  for (size_t at_once : {SIZE_MAX, size_t{1}, size_t{511}}) {
    auto back = read_all(bytes, at_once);
    ASSERT_TRUE(back) << test::error_of(back);
    std::vector<Read> wanted = every_kind();
    ASSERT_EQ(back->size(), wanted.size());
    for (size_t i = 0; i < wanted.size(); ++i) {
      EXPECT_EQ((*back)[i].entry, wanted[i].entry) << wanted[i].entry.name;
      wanted[i].content.resize(wanted[i].entry.size, '\0');
      EXPECT_EQ((*back)[i].content, wanted[i].content) << wanted[i].entry.name;
    }
  }
}

TEST(Tar, FilesBeyondEightGigabytesHaveTheirSize) {
  uint64_t size = (8ULL << 30) + 12345;
  std::string bytes;
  Writer writer([&](std::span<const std::byte> data) -> Result<> {
    bytes.append(reinterpret_cast<const char*>(data.data()), data.size());
    return {};
  });
  ASSERT_TRUE(writer.add({.name = "sparse", .size = size, .extents = {{{size - 1, 1}}}}));
  ASSERT_TRUE(writer.write(test::bytes_of("x")));
  ASSERT_TRUE(writer.finish());
  Reader reader(source_of(bytes));
  auto entry = reader.next();
  ASSERT_TRUE(entry && *entry);
  EXPECT_EQ((*entry)->size, size);
  EXPECT_EQ(reader.read()->offset, size - 1);
}

// What libarchive says of what we have written.
TEST(Tar, IsReadByOthers) {
  std::string bytes = written(every_kind());
  archive* handle = archive_read_new();
  archive_read_support_format_tar(handle);
  ASSERT_EQ(archive_read_open_memory(handle, bytes.data(), bytes.size()), ARCHIVE_OK);
  std::vector<Read> wanted = every_kind();
  for (const auto& [entry, content] : wanted) {
    archive_entry* seen = nullptr;
    int result = archive_read_next_header(handle, &seen);
    ASSERT_TRUE(result == ARCHIVE_OK || result == ARCHIVE_WARN) << archive_error_string(handle);
    std::string name = archive_entry_pathname(seen);
    EXPECT_EQ(name, entry.name + (entry.kind == Kind::directory ? "/" : ""));
    EXPECT_EQ(archive_entry_perm(seen), entry.mode) << name;
    EXPECT_EQ(archive_entry_gid(seen), entry.gid) << name;
    if (entry.kind == Kind::regular) {
      EXPECT_EQ(archive_entry_size(seen), static_cast<int64_t>(entry.size)) << name;
    }
    if (entry.mtime_s >= 0) {
      EXPECT_EQ(archive_entry_mtime(seen), entry.mtime_s) << name;
      EXPECT_EQ(archive_entry_mtime_nsec(seen), entry.mtime_ns) << name;
    }
    const char* target = entry.kind == Kind::hard_link ? archive_entry_hardlink(seen) : archive_entry_symlink(seen);
    EXPECT_EQ(target != nullptr ? target : "", entry.target) << name;
    EXPECT_EQ(archive_entry_xattr_count(seen), static_cast<int>(entry.xattrs.size())) << name;
  }
  archive_entry* none = nullptr;
  EXPECT_EQ(archive_read_next_header(handle, &none), ARCHIVE_EOF);
  archive_read_free(handle);
}

// And what we say of what libarchive has.
TEST(Tar, ReadsWhatOthersWrite) {
  std::string deep = std::string(200, 'd') + "/" + std::string(200, 'e');
  auto back = read_all(
      test::tar({test::directory("a/", 0700),
                 test::file("a/b", "content"),
                 test::symlink("link", deep),
                 test::hardlink("hard", "a/b"),
                 {.path = deep, .content = "x", .uid = 3'000'000'000, .mtime_ns = 7, .xattrs = {{"user.k", "v"}}},
                 {.path = "dev", .type = AE_IFCHR, .major = 1, .minor = 5}}));
  ASSERT_TRUE(back) << test::error_of(back);
  ASSERT_EQ(back->size(), 6U);
  EXPECT_EQ((*back)[0].entry.name, "a");
  EXPECT_EQ((*back)[0].entry.kind, Kind::directory);
  EXPECT_EQ((*back)[1].content, "content");
  EXPECT_EQ((*back)[2].entry.target, deep);
  EXPECT_EQ((*back)[3].entry.kind, Kind::hard_link);
  EXPECT_EQ((*back)[4].entry.uid, 3'000'000'000);
  EXPECT_EQ((*back)[4].entry.mtime_ns, 7U);
  EXPECT_THAT((*back)[4].entry.xattrs, UnorderedElementsAre(Pair("user.k", "v")));
  EXPECT_EQ((*back)[5].entry.minor, 5U);
}

// One line for each entry: what a reader makes of it.
std::string line_of(char kind, std::string name, uint32_t mode, int64_t uid, int64_t gid, int64_t seconds,
                    int64_t nanoseconds, std::string_view target, std::string_view content) {
  while (name.ends_with('/')) name.pop_back();
  std::string line{kind};
  for (int64_t number : {int64_t{mode}, uid, gid, seconds, nanoseconds}) line += " " + std::to_string(number);
  return line + " " + name + " -> " + std::string(target) + " : " + std::string(content);
}

std::vector<std::string> lines_by_us(const std::string& bytes) {
  auto read = read_all(bytes);
  if (!read) return {test::error_of(read)};
  std::vector<std::string> lines;
  for (const auto& [entry, content] : *read)
    lines.push_back(line_of("fhlcbdp"[static_cast<size_t>(entry.kind)], entry.name, entry.mode, entry.uid, entry.gid,
                            entry.mtime_s, entry.mtime_ns, entry.target, content));
  return lines;
}

char kind_by_libarchive(archive_entry* entry) {
  if (archive_entry_hardlink(entry) != nullptr) return 'h';
  switch (archive_entry_filetype(entry)) {
    case AE_IFLNK:
      return 'l';
    case AE_IFDIR:
      return 'd';
    case AE_IFIFO:
      return 'p';
    default:
      return 'f';
  }
}

std::vector<std::string> lines_by_libarchive(const std::string& bytes) {
  std::vector<std::string> lines;
  archive* handle = archive_read_new();
  archive_read_support_format_tar(handle);
  EXPECT_EQ(archive_read_open_memory(handle, bytes.data(), bytes.size()), ARCHIVE_OK);
  archive_entry* entry = nullptr;
  for (int result; (result = archive_read_next_header(handle, &entry)) != ARCHIVE_EOF;) {
    EXPECT_TRUE(result == ARCHIVE_OK || result == ARCHIVE_WARN) << archive_error_string(handle);
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN) break;
    char kind = kind_by_libarchive(entry);
    const char* target = kind == 'h' ? archive_entry_hardlink(entry) : archive_entry_symlink(entry);
    std::string content(kind == 'f' ? static_cast<size_t>(archive_entry_size(entry)) : 0, '\0');
    const void* data = nullptr;
    size_t size = 0;
    la_int64_t offset = 0;
    while (kind == 'f' && archive_read_data_block(handle, &data, &size, &offset) == ARCHIVE_OK)
      content.replace(static_cast<size_t>(offset), size, static_cast<const char*>(data), size);
    lines.push_back(line_of(kind, archive_entry_pathname(entry), archive_entry_perm(entry), archive_entry_uid(entry),
                            archive_entry_gid(entry), archive_entry_mtime(entry), archive_entry_mtime_nsec(entry),
                            target != nullptr ? target : "", content));
  }
  archive_read_free(handle);
  return lines;
}

std::string output_of(const std::string& command) {
  std::string out;
  FILE* pipe = ::popen(command.c_str(), "r");
  std::array<char, 4096> part;
  for (size_t got; (got = ::fread(part.data(), 1, part.size(), pipe)) > 0;) out.append(part.data(), got);
  ::pclose(pipe);
  return out;
}

// Thirty years of formats, by the tool that has written most of them. What a format has no room for, it leaves out and
// complains of.
TEST(Tar, ReadsEveryFormatOfGnuTarAsLibarchiveDoes) {
  test::ScratchDirectory scene;
  std::string d(90, 'd');
  output_of("cd " + scene.path().string() + " && umask 022 && mkdir -p a " + d + "/" + d + "/" + d +
            " && printf content > a/b && ln a/b a/hard && ln -s b a/soft && mkfifo a/pipe && : > empty"
            " && printf deep > " +
            d + "/" + d + "/f && printf deeper > " + d + "/" + d + "/" + d +
            "/f"
            " && ln -s " +
            d + "/" + d + "/" + d +
            "/f a/long && printf x > $(printf 'n\\303\\244\\377') && chmod 6751 empty"
            " && touch -d @1700000000.123456789 a/b && touch -d @-5 empty && touch -d @12345678901 a/pipe"
            " && truncate -s 3M sparse && printf mid | dd of=sparse bs=1 seek=1500000 conv=notrunc 2>&-");
  for (std::string_view options :
       {"--format=v7", "--format=ustar", "--format=oldgnu -S", "--format=oldgnu", "--format=gnu -S --owner=o:3000000",
        "--format=posix", "--format=posix -S --sparse-version=0.0", "--format=posix -S --sparse-version=0.1",
        "--format=posix -S --sparse-version=1.0 --owner=o:3000000 --group=g:4000000"}) {
    std::string bytes = output_of("tar c -C " + scene.path().string() + " " + std::string(options) + " . 2>&-");
    auto ours = lines_by_us(bytes);
    EXPECT_GE(ours.size(), 9U) << options;
    EXPECT_EQ(ours, lines_by_libarchive(bytes)) << options;
  }
}

std::string block(std::string_view name, char type, uint64_t size, std::string_view magic = posix_magic) {
  Block bytes{};
  put_text(bytes, name_field, name);
  put_octal(bytes, mode_field, 0644);
  put_octal(bytes, size_field, size);
  put_text(bytes, magic_field, magic);
  bytes[type_offset] = type;
  put_checksum(bytes);
  return {bytes.data(), bytes.size()};
}

std::string padded_text(std::string text) {
  text.resize(padded(text.size()), '\0');
  return text;
}

// "11 path=abc\n": the number counts its own digits, too.
std::string record(const std::string& text) {
  size_t size = text.size() + 3;
  while (std::to_string(size).size() + 2 + text.size() != size) ++size;
  return std::to_string(size) + " " + text + "\n";
}

std::string pax(const std::string& records) { return block("x", 'x', records.size()) + padded_text(records); }

TEST(Tar, ReadsWhatIsOlderThanPax) {
  std::string name(150, 'n');
  std::string bytes = block("././@LongLink", 'L', name.size() + 1, gnu_magic) + padded_text(name + '\0') +
                      block("short", '0', 3, gnu_magic) + padded_text("abc") +  //
                      block("old/", '\0', 0, "") + block("label", 'V', 0, gnu_magic) + block("plain", '\0', 0, "");
  auto back = read_all(bytes);
  ASSERT_TRUE(back) << test::error_of(back);
  ASSERT_EQ(back->size(), 3U);
  EXPECT_EQ((*back)[0].entry.name, name);
  EXPECT_EQ((*back)[0].content, "abc");
  EXPECT_EQ((*back)[1].entry.kind, Kind::directory);
  EXPECT_EQ((*back)[2].entry.name, "plain");
}

TEST(Tar, ReadsSparseFilesOfEveryAge) {
  std::string zero =
      pax(record("GNU.sparse.size=10") + record("GNU.sparse.numblocks=2") + record("GNU.sparse.offset=2") +
          record("GNU.sparse.numbytes=3") + record("GNU.sparse.offset=8") + record("GNU.sparse.numbytes=1"));
  std::string one = pax(record("GNU.sparse.size=10") + record("GNU.sparse.map=2,3,8,1"));
  for (const std::string& header : {zero, one}) {
    auto back = read_all(header + block("s", '0', 4) + padded_text("abcd"));
    ASSERT_TRUE(back) << test::error_of(back);
    EXPECT_EQ((*back)[0].content, std::string("\0\0abc\0\0\0d\0", 10));
  }
  std::string old = block("s", 'S', 4, gnu_magic);
  Block bytes{};
  std::copy(old.begin(), old.end(), bytes.begin());
  put_octal(bytes, {sparse_offset, 12}, 2);
  put_octal(bytes, {sparse_offset + 12, 12}, 3);
  bytes[sparse_more_offset] = 1;
  put_octal(bytes, sparse_size_field, 10);
  put_checksum(bytes);
  Block more{};
  put_octal(more, {0, 12}, 8);
  put_octal(more, {12, 12}, 1);
  auto back = read_all(std::string(bytes.data(), 512) + std::string(more.data(), 512) + padded_text("abcd"));
  ASSERT_TRUE(back) << test::error_of(back);
  EXPECT_EQ((*back)[0].content, std::string("\0\0abc\0\0\0d\0", 10));
}

TEST(Tar, RefusesWhatMakesNoSenseAndSaysWhere) {
  std::string map_beyond = pax(record("GNU.sparse.size=10") + record("GNU.sparse.map=2,3,9,2")) + block("s", '0', 5);
  const std::pair<std::string, std::string> cases[] = {
      {std::string(512, 'x'), "no header"},
      {block("cut", '0', 10), "too early"},
      {block("cut", '0', 10).substr(0, 100), "too early"},
      {block("", '0', 0), "no name"},
      {block("odd", 'Q', 0), "kind"},
      {block("link", '2', 0), "no target"},
      {pax("11 path=a\n") + block("n", '0', 0), "pax"},
      {pax(record(std::string("path=a\0b", 8))) + block("n", '0', 0), "no name"},
      {pax("99 path=a\n") + block("n", '0', 0), "pax"},
      {pax("7 =abc\n") + block("n", '0', 0), "key"},
      {pax(record("size=abc")) + block("n", '0', 0), "number"},
      {pax(record("uid=-12")) + block("n", '0', 0), "number"},
      {pax(record("mtime=1.x")) + block("n", '0', 0), "time"},
      {pax(record("path=a")), "no entry"},
      {block("x", 'x', 2 << 20), "longer"},
      {block("l", 'L', 1 << 20, gnu_magic), "longer"},
      {map_beyond, "sparse"},
      {pax(record("GNU.sparse.major=1") + record("GNU.sparse.minor=0") + record("GNU.sparse.realsize=10")) +
           block("s", '0', 512) + padded_text("99999999999\n"),
       "sparse"},
  };
  for (const auto& [bytes, why] : cases) {
    auto back = read_all(bytes);
    ASSERT_FALSE(back) << why;
    EXPECT_EQ(back.error().code, Errc::invalid_argument);
    EXPECT_THAT(back.error().message, HasSubstr(why));
    EXPECT_THAT(back.error().message, HasSubstr("at byte "));
  }
}

TEST(Tar, NumbersAreOctalOrBinary) {
  struct Case {
    std::string_view text;
    std::optional<int64_t> value;
  };
  constexpr std::string_view binary("\x80\0\0\0\0\0\1\2", 8);
  constexpr std::string_view negative("\xff\xff\xff\xff\xff\xff\xff\xfe", 8);
  for (auto [text, value] :
       {Case{"0000644\0", 0644}, Case{"   644 \0", 0644}, Case{"\0\0\0\0\0\0\0\0", 0}, Case{binary, 258},
        Case{negative, -2}, Case{"00x0644\0", std::nullopt}, Case{"0000849\0", std::nullopt}}) {
    std::string bytes(text);
    bytes.resize(8, '\0');
    EXPECT_EQ(number_of(bytes, {0, 8}), value) << bytes;
  }
  std::string huge(12, '\xff');
  huge[0] = '\x80' | 0x3f;
  EXPECT_EQ(number_of(huge, {0, 12}), std::nullopt);
}

}  // namespace
}  // namespace diatom::tar
