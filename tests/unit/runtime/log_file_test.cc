// Writer and reader together: what goes in comes out, whatever happens to the files in between.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <map>
#include <thread>

#include "runtime/logs/reader.h"
#include "runtime/logs/writer.h"
#include "support/scratch.h"

namespace diatom {
namespace {

using channel::Output;
using testing::ElementsAre;
constexpr Output out = Output::stdout_stream;
constexpr Output err = Output::stderr_stream;

class LogFileTest : public testing::Test {
 protected:
  LogWriter writer(LogOptions options = {}) {
    auto opened = LogWriter::open(path_, options);
    EXPECT_TRUE(opened) << test::error_of(opened);
    return std::move(*opened);
  }
  LogReader reader() {
    auto opened = LogReader::open(path_);
    EXPECT_TRUE(opened) << test::error_of(opened);
    return std::move(*opened);
  }
  static void put(LogWriter& writer, std::string_view text, Output stream = out) {
    writer.append(stream, test::bytes_of(text), 1);
  }
  // What is there now; a gap as "(gap)", a loss as "(lost 12)".
  static std::vector<std::string> all(LogReader& reader) {
    std::vector<std::string> records;
    for (;;) {
      auto record = reader.next();
      EXPECT_TRUE(record) << test::error_of(record);
      if (!record || !*record) return records;
      if ((*record)->gap)
        records.emplace_back("(gap)");
      else if ((*record)->lost_bytes > 0)
        records.push_back("(lost " + std::to_string((*record)->lost_bytes) + ")");
      else
        records.push_back((*record)->bytes);
    }
  }
  static std::string joined(LogReader& reader) {
    std::string text;
    for (const auto& record : all(reader)) text += record;
    return text;
  }
  void append_raw(std::string_view text) {
    UniqueFd fd = std::move(*open_file(path_, O_WRONLY | O_APPEND | O_CREAT));
    EXPECT_TRUE(write_all(fd.get(), text));
  }
  std::vector<std::string> names() {
    auto listed = *list_directory(scratch_.path());
    std::ranges::sort(listed);
    return listed;
  }

  test::ScratchDirectory scratch_{test::memory_directory()};
  fs::path path_ = scratch_ / "container.log";
};

TEST_F(LogFileTest, SplitsAtLineEndsAndKeepsWhatIsLeft) {
  LogWriter log = writer();
  put(log, "one\ntwo\nthr");
  put(log, "ee\n");
  put(log, "");
  put(log, "\n\n", err);
  LogReader read = reader();
  EXPECT_THAT(all(read), ElementsAre("one\n", "two\n", "thr", "ee\n", "\n", "\n"));
  EXPECT_EQ(read.position(), log.position());
  EXPECT_EQ(read.malformed_lines(), 0u);
}

TEST_F(LogFileTest, SplitsLongLinesBetweenCharacters) {
  LogWriter log = writer();
  std::string text = std::string(log_line_bytes - 1, 'a') + "ü" + std::string(log_line_bytes, '\xff') + "\n";
  put(log, text);
  LogReader read = reader();
  auto records = all(read);
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[0], std::string(log_line_bytes - 1, 'a'));
  EXPECT_EQ(records[0] + records[1] + records[2], text);
}

TEST_F(LogFileTest, ShowsARecordAsSoonAsItIsWritten) {
  LogReader read = reader();  // before there is a file
  EXPECT_THAT(all(read), ElementsAre());
  LogWriter log = writer();
  for (int i = 0; i < 1000; ++i) {
    put(log, std::to_string(i));
    ASSERT_THAT(all(read), ElementsAre(std::to_string(i)));
    ASSERT_EQ(read.position(), log.position());
  }
}

TEST_F(LogFileTest, ManyLinesOfOneCallAreWrittenWhole) {
  LogWriter log = writer();
  std::string text;
  while (text.size() < (4u << 20)) text += "line " + std::to_string(text.size()) + " of many\n";
  text += test::noise(1 << 20);
  put(log, text);
  LogReader read = reader();
  EXPECT_EQ(joined(read), text);
}

TEST_F(LogFileTest, KeepsTimesAndStreams) {
  LogWriter log = writer();
  log.append(out, test::bytes_of("a\n"), 1'700'000'000'000'000'001);
  log.append(err, test::bytes_of("b\n"), 1'700'000'000'999'999'999);
  LogReader read = reader();
  auto first = read.next();
  auto second = read.next();
  EXPECT_EQ((*first)->time_ns, 1'700'000'000'000'000'001);
  EXPECT_EQ((*first)->stream, out);
  EXPECT_EQ((*second)->time_ns, 1'700'000'000'999'999'999);
  EXPECT_EQ((*second)->stream, err);
}

// The places at which a writer can be killed in the middle of a record: all.
TEST_F(LogFileTest, GoesOnBehindATornRecord) {
  std::string whole;
  {
    LogWriter log = writer();
    put(log, "before\n");
    put(log, "torn\n");
    whole = read_file(path_).value();
  }
  size_t second = whole.find('\n') + 1;
  for (size_t cut = second; cut <= whole.size(); ++cut) {
    fs::remove(path_);
    append_raw(whole.substr(0, cut));
    LogReader early = reader();
    bool complete = cut == whole.size();
    EXPECT_EQ(all(early).size(), complete ? 2u : 1u) << cut;
    LogWriter log = writer();
    LogPosition position = log.position();
    put(log, "after\n");
    // All but the line end were there: it becomes a record after all.
    bool torn = cut > second && cut + 1 < whole.size();
    std::vector<std::string> wanted = {"before\n", "torn\n", "after\n"};
    if (torn || cut == second) wanted.erase(wanted.begin() + 1);
    LogReader read = reader();
    EXPECT_EQ(all(read), wanted) << cut;
    EXPECT_EQ(read.malformed_lines(), torn ? 1u : 0u) << cut;
    wanted = {"after\n"};
    if (cut + 1 == whole.size()) wanted = {"torn\n", "after\n"};
    EXPECT_EQ(all(early), wanted) << cut;
    ASSERT_TRUE(read.seek(position));
    EXPECT_THAT(all(read), ElementsAre("after\n")) << cut;
  }
}

TEST_F(LogFileTest, PassesOverWhatIsNoRecord) {
  append_raw("\n{}\n" + std::string(4096, '\0') + "\n" + std::string(3 * longest_log_record, 'x') + "\n");
  {
    LogWriter log = writer();
    put(log, "good\n");
  }
  LogReader read = reader();
  EXPECT_THAT(all(read), ElementsAre("good\n"));
  EXPECT_EQ(read.malformed_lines(), 4u);
  ASSERT_TRUE(read.seek_tail(5));
  EXPECT_THAT(all(read), ElementsAre("good\n"));
}

TEST_F(LogFileTest, RotatesAndReadsFromTheOldest) {
  LogWriter log = writer({.max_bytes = 1000, .max_files = 3});
  std::vector<std::string> lines;
  for (int i = 0; i < 100; ++i) {
    lines.push_back("line " + std::to_string(i) + "\n");
    put(log, lines.back());
    LogReader end = reader();
    ASSERT_TRUE(end.seek_tail(1));
    ASSERT_THAT(all(end), ElementsAre(lines.back()));
    ASSERT_EQ(end.position(), log.position());
  }
  EXPECT_THAT(names(), ElementsAre("container.log", "container.log.1", "container.log.2"));
  EXPECT_GT(log.position().generation, 5u);
  for (const auto& name : names()) EXPECT_LT(fs::file_size(scratch_ / name), 1200u) << name;
  LogReader read = reader();
  auto kept = all(read);
  ASSERT_GT(kept.size(), 20u);
  EXPECT_TRUE(std::equal(kept.rbegin(), kept.rend(), lines.rbegin()));
  EXPECT_EQ(read.malformed_lines(), 0u);
}

TEST_F(LogFileTest, KeepsOneFileWhereOneIsWanted) {
  LogWriter log = writer({.max_bytes = 500, .max_files = 1});
  LogReader read = reader();
  std::string text;
  for (int i = 0; i < 50; ++i) {
    put(log, "line\n");
    for (const auto& record : all(read)) text += record;
  }
  EXPECT_THAT(names(), ElementsAre("container.log"));
  EXPECT_EQ(text.size(), 50u * 5) << "who reads along misses nothing";
}

TEST_F(LogFileTest, OneCallMayFillSeveralFiles) {
  LogWriter log = writer({.max_bytes = 4000, .max_files = 100});
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "line " + std::to_string(i) + "\n";
  put(log, text);
  EXPECT_GT(names().size(), 10u);
  LogReader read = reader();
  EXPECT_EQ(joined(read), text);
}

TEST_F(LogFileTest, AFollowerGoesFromFileToFile) {
  LogWriter log = writer({.max_bytes = 1000, .max_files = 3});
  LogReader read = reader();
  for (int i = 0; i < 200; ++i) {
    std::string line = "line " + std::to_string(i) + "\n";
    put(log, line);
    if (i % 7 == 0 || i % 7 == 3) {
      ASSERT_EQ(all(read).back(), line);
    }
  }
  EXPECT_GT(read.files_begun(), 5u);
  EXPECT_EQ(read.position(), log.position());
}

TEST_F(LogFileTest, AFollowerThatLagsTooFarIsTold) {
  LogWriter log = writer({.max_bytes = 1000, .max_files = 2});
  put(log, "first\n");
  LogReader read = reader();
  for (int i = 0; i < 100; ++i) put(log, "line " + std::to_string(i) + "\n");
  auto records = all(read);
  EXPECT_EQ(records.front(), "first\n") << "it has that file open";
  EXPECT_EQ(std::ranges::count(records, "(gap)"), 1);
  EXPECT_EQ(records.back(), "line 99\n");
  EXPECT_EQ(read.position(), log.position());
}

TEST_F(LogFileTest, FindsPositionsAgainAcrossRotations) {
  LogWriter log = writer({.max_bytes = 1000, .max_files = 4});
  std::map<LogPosition, std::string> begins;
  for (int i = 0; i < 100; ++i) {
    std::string line = "line " + std::to_string(i) + "\n";
    begins[log.position()] = line;
    put(log, line);
  }
  LogReader read = reader();
  uint64_t oldest = read.position().generation;
  for (const auto& [position, line] : begins) {
    ASSERT_TRUE(read.seek(position));
    auto record = read.next();
    ASSERT_TRUE(record && *record);
    if (position.generation < oldest)
      EXPECT_TRUE((*record)->gap);
    else
      EXPECT_EQ((*record)->bytes, line);
  }
  EXPECT_FALSE(read.seek({.generation = 1000, .offset = 0}));
}

TEST_F(LogFileTest, CountsOnAfterItWasOpenedAgain) {
  LogPosition before;
  {
    LogWriter log = writer({.max_bytes = 1000, .max_files = 3});
    for (int i = 0; i < 40; ++i) put(log, "a line\n");
    before = log.position();
  }
  EXPECT_GT(before.generation, 2u);
  EXPECT_EQ(writer().position(), before);
  // A power cut can leave the newest file without its head.
  ASSERT_EQ(::truncate(path_.c_str(), 0), 0);
  EXPECT_EQ(writer().position().generation, before.generation);
}

TEST_F(LogFileTest, ARotationThatWasKilledHalfWayIsFinished) {
  LogWriter log = writer({.max_bytes = 1000, .max_files = 3});
  for (int i = 0; i < 40; ++i) put(log, "line " + std::to_string(i) + "\n");
  LogReader follower = reader();
  static_cast<void>(all(follower));
  // As it is between the last two renames.
  uint64_t generation = log.position().generation;
  ASSERT_TRUE(replace_file(scratch_ / "container.log.new",
                           encode_log_note(out, "2026-11-24T12:00:00Z", "generation", generation + 1)));
  fs::remove(scratch_ / "container.log.new.tmp");
  fs::rename(scratch_ / "container.log.1", scratch_ / "container.log.2");
  fs::rename(path_, scratch_ / "container.log.1");
  LogReader read = reader();
  EXPECT_EQ(all(read).back(), "line 39\n");
  EXPECT_THAT(all(follower), ElementsAre());
  LogWriter again = writer({.max_bytes = 1000, .max_files = 3});
  EXPECT_EQ(again.position().generation, generation + 1);
  put(again, "after\n");
  EXPECT_THAT(all(follower), ElementsAre("after\n"));
  EXPECT_THAT(all(read), ElementsAre("after\n"));
  EXPECT_THAT(names(), ElementsAre("container.log", "container.log.1", "container.log.2"));
}

TEST_F(LogFileTest, FewerFilesThanBeforeAreKept) {
  {
    LogWriter log = writer({.max_bytes = 500, .max_files = 6});
    for (int i = 0; i < 100; ++i) put(log, "a line\n");
  }
  EXPECT_EQ(names().size(), 6u);
  LogWriter log = writer({.max_bytes = 500, .max_files = 2});
  for (int i = 0; i < 10; ++i) put(log, "a line\n");
  EXPECT_THAT(names(), ElementsAre("container.log", "container.log.1"));
}

TEST_F(LogFileTest, TheTailIsFoundFromTheEnd) {
  LogWriter log = writer();
  put(log, "one\ntwo\n");
  put(log, "oops\n", err);
  put(log, "long" + std::string(3 * log_line_bytes, 'x') + "\n");
  const std::pair<uint64_t, std::string> cases[] = {
      {0, ""}, {2, "oops\nlong"}, {3, "two\noops\nlong"}, {4, "one\ntwo\noops\nlong"}, {400, "one\ntwo\noops\nlong"}};
  for (const auto& [lines, begin] : cases) {
    LogReader read = reader();
    ASSERT_TRUE(read.seek_tail(lines));
    EXPECT_EQ(joined(read).substr(0, begin.size()), begin) << lines;
    EXPECT_EQ(read.position(), log.position());
  }
  put(log, "unfinished");
  LogReader read = reader();
  ASSERT_TRUE(read.seek_tail(1));
  EXPECT_EQ(joined(read), "unfinished");
  ASSERT_TRUE(read.seek_end());
  EXPECT_EQ(joined(read), "");
  put(log, " business\n");
  EXPECT_EQ(joined(read), " business\n");
}

TEST_F(LogFileTest, TheTailGoesBackThroughOlderFiles) {
  LogWriter log = writer({.max_bytes = 1000, .max_files = 5});
  std::vector<std::string> lines;
  for (int i = 0; i < 60; ++i) {
    lines.push_back("line " + std::to_string(i) + "\n");
    put(log, lines.back());
  }
  LogReader whole = reader();
  size_t kept = all(whole).size();
  for (size_t tail = 0; tail <= kept; ++tail) {
    LogReader read = reader();
    ASSERT_TRUE(read.seek_tail(tail));
    auto records = all(read);
    ASSERT_EQ(records.size(), tail);
    ASSERT_TRUE(std::equal(records.rbegin(), records.rend(), lines.rbegin()));
  }
}

// A limit on the file's size stands in for the end of a disk: the write that reaches it is cut short, the next fails.
class FullDisk {
 public:
  explicit FullDisk(uint64_t most_bytes) {
    ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit{most_bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;
  ~FullDisk() { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

TEST_F(LogFileTest, AFullDiskLosesWholeRecordsAndSaysSoLater) {
  for (uint64_t room = 80; room < 320; room += 7) {
    fs::remove(path_);
    LogWriter log = writer();
    {
      FullDisk full(room);
      put(log, "one\ntwo\nthree\nfour\n");
      put(log, "five\n");
      LogReader meanwhile = reader();
      for (const auto& record : all(meanwhile)) EXPECT_TRUE(record.ends_with("\n"));
      EXPECT_EQ(meanwhile.position(), log.position());
    }
    EXPECT_GT(log.lost_bytes(), 0u);
    uint64_t lost = log.lost_bytes();
    put(log, "six\n");
    EXPECT_EQ(log.lost_bytes(), 0u);
    LogReader read = reader();
    auto records = all(read);
    ASSERT_GE(records.size(), 2u) << room;
    EXPECT_EQ(records[records.size() - 2], "(lost " + std::to_string(lost) + ")") << room;
    EXPECT_EQ(records.back(), "six\n") << room;
    uint64_t kept = 0;
    for (size_t i = 0; i + 2 < records.size(); ++i) kept += records[i].size();
    EXPECT_EQ(kept + lost, std::string_view("one\ntwo\nthree\nfour\nfive\n").size()) << room;
    EXPECT_EQ(read.malformed_lines(), 0u) << room;
  }
}

TEST_F(LogFileTest, ARotationThatFailsIsTriedAgain) {
  LogWriter log = writer({.max_bytes = 1600, .max_files = 2});
  ASSERT_TRUE(make_directories(scratch_ / "container.log.1" / "in-the-way"));
  std::string text;
  for (int i = 0; i < 30; ++i) {
    text += "line " + std::to_string(i) + "\n";
    put(log, "line " + std::to_string(i) + "\n");
  }
  EXPECT_EQ(log.position().generation, 0u);
  fs::remove_all(scratch_ / "container.log.1");
  for (int i = 30; i < 34; ++i) {
    text += "line " + std::to_string(i) + "\n";
    put(log, "line " + std::to_string(i) + "\n");
  }
  EXPECT_EQ(log.position().generation, 1u);
  LogReader read = reader();
  EXPECT_EQ(joined(read), text);
}

TEST_F(LogFileTest, AReaderInAnotherThreadSeesEverythingInOrder) {
  constexpr int count = 20'000;
  LogWriter log = writer({.max_bytes = 1 << 20, .max_files = 100});
  std::thread writing([&] {
    for (int i = 0; i < count; ++i) put(log, std::to_string(i) + "\n");
  });
  LogReader read = reader();
  int next = 0;
  while (next < count)
    for (const auto& record : all(read)) ASSERT_EQ(record, std::to_string(next++) + "\n");
  writing.join();
  EXPECT_EQ(read.malformed_lines(), 0u);
}

}  // namespace
}  // namespace diatom
