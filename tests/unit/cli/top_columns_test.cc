#include "cli/top_columns.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <time.h>

namespace diatom::cli {
namespace {

using testing::ElementsAreArray;
using testing::HasSubstr;
using Words = std::vector<std::string>;

Words headers(const Words& options) {
  auto columns = parse_ps_options(options);
  Words headers;
  if (!columns) return {columns.error().message};
  for (const TopColumn& column : *columns) headers.push_back(column.header);
  return headers;
}

TEST(PsOptions, ChooseTheColumnsAsPsDoes) {
  const Words full = {"UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"};
  const Words user = {"USER", "PID", "%CPU", "%MEM", "VSZ", "RSS", "TTY", "STAT", "START", "TIME", "COMMAND"};
  const std::pair<Words, Words> cases[] = {
      {{}, full},
      {{"-ef"}, full},
      {{"-e", "-f"}, full},
      {{"-fe"}, full},
      {{"aux"}, user},
      {{"-aux"}, user},
      {{"-e"}, {"PID", "TTY", "TIME", "CMD"}},
      {{"-o", "pid,user"}, {"PID", "USER"}},
      {{"-opid,comm"}, {"PID", "COMMAND"}},
      {{"-eo", "pid cmd"}, {"PID", "CMD"}},
      {{"-o", "pid", "-o", "etime,thcount"}, {"PID", "ELAPSED", "THCNT"}},
      {{"axo", "pid,pmem"}, {"PID", "%MEM"}},
      {{"-o", "pid=ID,args"}, {"ID", "COMMAND"}},
  };
  for (const auto& [options, expected] : cases)
    EXPECT_THAT(headers(options), ElementsAreArray(expected)) << testing::PrintToString(options);
}

TEST(PsOptions, NameWhatIsSupportedWhenTheyAreNot) {
  for (const Words& options : {Words{"-l"}, Words{"-"}, Words{""}, Words{"--sort=pid"}, Words{"-o"}, Words{"-o", ","},
                               Words{"-o", "pid,nothing"}, Words{"-u", "root"}, Words{"ef"}, Words{"pid"}}) {
    auto columns = parse_ps_options(options);
    ASSERT_FALSE(columns) << testing::PrintToString(options);
    EXPECT_EQ(columns.error().code, Errc::invalid_argument);
    EXPECT_THAT(columns.error().hint, HasSubstr("-ef, aux"));
  }
}

TEST(TopTable, ShowsTimesAndSizesAsPsDoes) {
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  constexpr int64_t second = 1'000'000'000;
  int64_t now = 1'764'072'000 * second;  // 2025-11-25 12:00:00
  ProcessInfo first;
  first.pid = 1;
  first.user = "root";
  first.state = 'S';
  first.tty = "pts/0";
  first.started_ns = now - 3725 * second;
  first.cpu_ms = 61'500;
  first.cpu_permille = 16;
  first.vsz_bytes = 4 << 20;
  first.rss_bytes = 1 << 20;
  first.nice = 5;
  first.threads = 3;
  first.command = "sh";
  first.arguments = {"sh", "-c", "a\nb"};
  ProcessInfo old;
  old.pid = 12;
  old.ppid = 1;
  old.uid = 1000;
  old.state = 'R';
  old.started_ns = now - 3 * 86400 * second;
  old.cpu_ms = 90'000'000;
  old.command = "worker";
  TopContext context{now, 100 << 20};
  auto table = [&](const char* list) { return top_table(*parse_ps_options({"-o", list}), {first, old}, context); };
  EXPECT_EQ(top_table(*parse_ps_options({}), {first}, context),
            "UID    PID   PPID   C   STIME   TTY     TIME       CMD\n"
            "root   1     0      1   10:57   pts/0   00:01:01   sh -c a b\n");
  EXPECT_EQ(table("user,etime,time,stat"),
            "USER   ELAPSED      TIME         STAT\nroot   01:02:05     00:01:01     SNl\n1000   3-00:00:00   "
            "1-01:00:00   R\n");
  EXPECT_EQ(
      table("tty,rss,vsz,pmem,pcpu,args"),
      "TT      RSS    VSZ    %MEM   %CPU   COMMAND\npts/0   1024   4096   1.0    1.6    sh -c a b\n?       0      "
      "0      0.0    0.0    [worker]\n");
  EXPECT_EQ(table("stime,start,ni,comm"),
            "STIME   STARTED    NI   COMMAND\n10:57   10:57:55   5    sh\nNov22   Nov 22     0    worker\n");
}

}  // namespace
}  // namespace diatom::cli
