#include "cli/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/template.h"
#include "cli/text.h"

namespace diatom::cli {
namespace {

using Phase = TransferProgress::Phase;
using namespace std::chrono_literals;
using testing::ElementsAre;

// A terminal that understands what Progress writes, and no more: it breaks lines anew when its width changes.
class Screen {
 public:
  TerminalSize size{40, 10};
  std::chrono::steady_clock::time_point now{1h};
  size_t writes = 0;
  std::string raw;

  ProgressSink sink() {
    return {.write = [this](std::string_view text) { write(text); },
            .terminal_size = [this] { return size; },
            .now = [this] { return now; }};
  }
  // Lines above the cursor, as the user sees them.
  std::vector<std::string> lines() const { return {lines_.begin(), lines_.end() - (lines_.back().empty() ? 1 : 0)}; }
  void resize(size_t columns) {
    std::vector<std::string> broken;
    for (const auto& line : lines_)
      for (size_t at = 0; at == 0 || at < line.size(); at += columns) broken.push_back(line.substr(at, columns));
    lines_ = broken;
    row_ = lines_.size() - 1;
    size.columns = columns;
  }

 private:
  void write(std::string_view text) {
    ++writes;
    raw += text;
    while (!text.empty()) {
      if (text.starts_with("\x1b[")) {
        size_t end = text.find_first_of("AKJ");
        int count = end > 2 ? std::stoi(std::string(text.substr(2, end - 2))) : 0;
        if (text[end] == 'A') row_ -= std::min(row_, static_cast<size_t>(count));
        if (text[end] == 'K') lines_[row_].resize(column_);
        if (text[end] == 'J') lines_.resize(row_ + 1), lines_[row_].resize(column_);
        text.remove_prefix(end + 1);
        continue;
      }
      constexpr std::string_view dots = "…";  // three bytes, one column
      char c = text.starts_with(dots) ? '~' : text.front();
      text.remove_prefix(c == '~' ? dots.size() : 1);
      if (c == '\r') {
        column_ = 0;
      } else if (c == '\n') {
        column_ = 0;
        if (++row_ == lines_.size()) lines_.emplace_back();
      } else {
        lines_[row_].resize(std::max(lines_[row_].size(), column_ + 1), ' ');
        lines_[row_][column_++] = c;
      }
    }
  }

  std::vector<std::string> lines_{""};
  size_t row_ = 0;
  size_t column_ = 0;
};

TransferProgress event(std::string id, Phase phase, uint64_t done = 0, uint64_t total = 0, std::string note = {}) {
  return {std::move(id), phase, done, total, std::move(note)};
}

TEST(ProgressMode, IsReadFromItsName) {
  EXPECT_EQ(*parse_progress_mode("auto"), ProgressMode::automatic);
  EXPECT_EQ(*parse_progress_mode("json"), ProgressMode::json);
  EXPECT_FALSE(parse_progress_mode("fancy"));
  EXPECT_EQ(resolve_progress_mode(ProgressMode::json, 1), ProgressMode::json);
}

TEST(ProgressTty, DrawsOneBarForEachLayerInPlace) {
  Screen screen;
  screen.size.columns = 60;
  Progress progress(ProgressMode::tty, Transfer::pull, screen.sink());
  auto report = progress.handler();
  report(event("aaa", Phase::downloading, 0, 1000));
  report(event("bbb", Phase::waiting));
  screen.now += 1s;
  report(event("aaa", Phase::downloading, 500, 1000));
  EXPECT_THAT(screen.lines(),
              ElementsAre("aaa: Downloading [===============>               ] 500B/1kB", "bbb: Waiting"));
  report(event("bbb", Phase::exists));
  report(event("aaa", Phase::done, 1000, 1000));
  EXPECT_THAT(screen.lines(), ElementsAre("aaa: Pull complete", "bbb: Already exists"))
      << "when nothing moves any more, the last state is drawn at once";
  progress.finish();
  progress.line("Digest: x");
  EXPECT_THAT(screen.lines(), ElementsAre("aaa: Pull complete", "bbb: Already exists", "Digest: x"));
}

TEST(ProgressTty, RedrawsAtMostFifteenTimesASecond) {
  Screen screen;
  Progress progress(ProgressMode::tty, Transfer::pull, screen.sink());
  auto report = progress.handler();
  for (uint64_t ms = 0; ms < 1000; ++ms) {
    report(event("aaa", Phase::downloading, ms, 1000));
    report(event("bbb", Phase::downloading, ms, 1000));
    screen.now += 1ms;
  }
  EXPECT_LE(screen.writes, 16u);
  EXPECT_GE(screen.writes, 14u);
}

TEST(ProgressTty, LeavesNoBarsBehindWhenItEndsEarly) {
  Screen screen;
  {
    Progress progress(ProgressMode::tty, Transfer::pull, screen.sink());
    progress.line("latest: Pulling from library/busybox");
    progress.handler()(event("aaa", Phase::downloading, 1, 1000));
    EXPECT_EQ(screen.lines().size(), 2u);
  }
  EXPECT_THAT(screen.lines(), ElementsAre("latest: Pulling from library/busybox"));
}

TEST(ProgressTty, FitsNarrowTerminalsAndSurvivesAResize) {
  Screen screen;
  Progress progress(ProgressMode::tty, Transfer::pull, screen.sink());
  auto report = progress.handler();
  progress.line("first");
  report(event("aaaaaaaaaaaa", Phase::downloading, 500, 1000));
  for (size_t columns : {20u, 12u, 30u, 5u, 80u}) {
    screen.resize(columns);
    screen.now += 1s;
    report(event("aaaaaaaaaaaa", Phase::downloading, 600, 1000));
    for (const auto& line : screen.lines()) EXPECT_LT(display_width(line), std::max<size_t>(columns, 6)) << line;
    EXPECT_EQ(screen.lines().size(), 2u) << columns;
    EXPECT_EQ(screen.lines().front(), "first") << columns;
  }
}

TEST(ProgressTty, ShowsNoMoreLinesThanTheTerminalHas) {
  Screen screen;
  screen.size.rows = 6;
  Progress progress(ProgressMode::tty, Transfer::pull, screen.sink());
  auto report = progress.handler();
  for (int i = 0; i < 20; ++i) {
    screen.now += 1s;
    report(event("old" + std::to_string(i), Phase::done));
  }
  report(event("new", Phase::downloading, 1, 1000));
  screen.now += 1s;
  report(event("new", Phase::downloading, 2, 1000));
  auto lines = screen.lines();
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_TRUE(lines[2].starts_with("new: Downloading")) << lines[2];
  EXPECT_EQ(lines[3], "~ and 18 more");
  progress.finish();
  EXPECT_EQ(screen.lines().size(), 21u) << "the last frame shows them all";
}

TEST(ProgressPlain, PrintsALineWhenAPhaseBegins) {
  Screen screen;
  Progress progress(ProgressMode::plain, Transfer::push, screen.sink());
  auto report = progress.handler();
  report(event("aaa", Phase::waiting));
  for (uint64_t i = 0; i < 10; ++i) report(event("aaa", Phase::uploading, i, 10));
  report(event("aaa", Phase::retrying, 0, 0, "the \x1b[31mregistry said 503"));
  report(event("aaa", Phase::uploading, 0, 10));
  report(event("aaa", Phase::done));
  report(event("bbb", Phase::mounted, 0, 0, "library/x"));
  progress.finish();
  EXPECT_EQ(screen.raw,
            "aaa: Waiting\naaa: Pushing\naaa: Retrying: the ?[31mregistry said 503\naaa: Pushing\naaa: Pushed\n"
            "bbb: Mounted from library/x\n");
}

TEST(ProgressJson, WritesAnObjectForEachEvent) {
  Screen screen;
  Progress progress(ProgressMode::json, Transfer::pull, screen.sink());
  progress.handler()(event("aaa", Phase::downloading, 3, 10));
  progress.handler()(event("aaa", Phase::done));
  progress.line("Digest: sha256:1");
  EXPECT_EQ(screen.raw,
            R"({"id":"aaa","status":"Downloading","phase":"downloading","progressDetail":{"current":3,"total":10}})"
            "\n"
            R"({"id":"aaa","status":"Pull complete","phase":"done","progressDetail":{}})"
            "\n"
            R"({"status":"Digest: sha256:1"})"
            "\n");
}

TEST(ProgressNone, SaysNothing) {
  Screen screen;
  Progress progress(ProgressMode::none, Transfer::pull, screen.sink());
  EXPECT_FALSE(progress.handler());
  progress.line("x");
  progress.finish();
  EXPECT_EQ(screen.raw, "");
}

}  // namespace
}  // namespace diatom::cli
