#include "proc_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace diatom::agent {
namespace {

TEST(ProcText, NumbersAreFoundByTheNameAtTheBeginningOfALine) {
  constexpr std::string_view text = "oom 3\noom_kill 12\nMemTotal:       1024 kB\nempty\nword x\nno_newline 7";
  const std::pair<std::string_view, std::optional<uint64_t>> cases[] = {
      {"oom", 3},    {"oom_kill", 12}, {"MemTotal:", 1024}, {"no_newline", 7},  {"kill", {}},
      {"empty", {}}, {"word", {}},     {"absent", {}},      {"oom_kill 1", {}}, {"MemTota", {}},
  };
  for (auto [name, expected] : cases) EXPECT_EQ(number_of(text, name), expected) << name;
  EXPECT_EQ(number_of("", "x"), std::nullopt);
  EXPECT_EQ(single_number("4096\n"), 4096U);
  EXPECT_EQ(single_number("max\n"), std::nullopt);
  EXPECT_EQ(single_number(""), std::nullopt);
}

TEST(ProcText, CpuTimesAndThrottlingAreRead) {
  auto cpu = parse_cpu_stat(
      "usage_usec 100\nuser_usec 60\nsystem_usec 40\nnr_periods 5\nnr_throttled 2\nthrottled_usec 7\nnr_bursts 0\n");
  EXPECT_EQ(cpu.usage_us, 100U);
  EXPECT_EQ(cpu.user_us, 60U);
  EXPECT_EQ(cpu.system_us, 40U);
  EXPECT_EQ(cpu.nr_periods, 5U);
  EXPECT_EQ(cpu.nr_throttled, 2U);
  EXPECT_EQ(cpu.throttled_us, 7U);
  EXPECT_EQ(parse_cpu_stat("").usage_us, 0U);
}

TEST(ProcText, IoIsSummedOverItsDevices) {
  auto io = parse_io_stat(
      "254:16 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=9 dios=9\n"
      "254:0 rbytes=100 wbytes=0 rios=3 wios=0 dbytes=0 dios=0\n"
      "7:1 \n"
      "odd\n");
  EXPECT_EQ(io.read_bytes, 110U);
  EXPECT_EQ(io.written_bytes, 20U);
  EXPECT_EQ(io.reads, 4U);
  EXPECT_EQ(io.writes, 2U);
  ASSERT_EQ(io.devices.size(), 3U);
  EXPECT_EQ(io.devices[0].major, 254U);
  EXPECT_EQ(io.devices[0].minor, 16U);
  EXPECT_EQ(io.devices[1].read_bytes, 100U);
  EXPECT_EQ(io.devices[2].minor, 1U);
}

TEST(ProcText, InterfacesButLoAreRead) {
  auto interfaces = parse_net_dev(
      "Inter-|   Receive                                                |  Transmit\n"
      " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls\n"
      "    lo:    5       6    0    0    0     0          0         0      5       6    0    0    0     0       0  0\n"
      "  eth0: 1234       2    3    4    0     0          0         0   5678       9   10   11    0     0       0  0\n"
      "eth1:99 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0");
  ASSERT_EQ(interfaces.size(), 2U);
  EXPECT_EQ(interfaces[0].name, "eth0");
  EXPECT_EQ(interfaces[0].rx_bytes, 1234U);
  EXPECT_EQ(interfaces[0].rx_packets, 2U);
  EXPECT_EQ(interfaces[0].rx_errors, 3U);
  EXPECT_EQ(interfaces[0].rx_dropped, 4U);
  EXPECT_EQ(interfaces[0].tx_bytes, 5678U);
  EXPECT_EQ(interfaces[0].tx_packets, 9U);
  EXPECT_EQ(interfaces[0].tx_errors, 10U);
  EXPECT_EQ(interfaces[0].tx_dropped, 11U);
  EXPECT_EQ(interfaces[1].rx_bytes, 99U) << "a kernel may leave no space behind the colon";
}

constexpr KernelClock clock{100, 50'000'000, 1'700'000'050'000'000};  // 50 s after the boot at 1700000000

// 4 s of CPU time, started 10 s after the boot.
constexpr std::string_view stat =
    "312 (sh -c (x) y) S 300 312 312 34817 320 4194304 100 0 0 0 300 100 0 0 20 -5 3 0 1000 2097152 130 184467 0\n";
constexpr std::string_view status =
    "Name:\tsh\nState:\tS (sleeping)\nTgid:\t312\nNSpid:\t312\t7\nUid:\t1000\t0\t0\t0\nVmRSS:\t     520 kB\n";

TEST(ProcText, AProcessIsTheContainersViewOfIt) {
  auto parsed = parse_process({stat, status}, clock);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->guest_pid, 312U);
  EXPECT_EQ(parsed->guest_parent, 300U);
  const auto& entry = parsed->entry;
  EXPECT_EQ(entry.pid, 7U);
  EXPECT_EQ(entry.comm, "sh -c (x) y");
  EXPECT_EQ(entry.state, "S");
  EXPECT_EQ(entry.tty, "pts/1");
  EXPECT_EQ(entry.uid, 0U) << "the effective one";
  EXPECT_EQ(entry.nice, -5);
  EXPECT_EQ(entry.threads, 3U);
  EXPECT_EQ(entry.cpu_ms, 4000U);
  EXPECT_EQ(entry.cpu_permille, 100U) << "4 s of 40";
  EXPECT_EQ(entry.start_time, 1'700'000'010U);
  EXPECT_EQ(entry.vsz_kib, 2048U);
  EXPECT_EQ(entry.rss_kib, 520U);
}

TEST(ProcText, AProcessOfAnotherNamespaceOrOneThatHasGoneIsNone) {
  for (auto [its_stat, its_status] : {std::pair<std::string_view, std::string_view>{stat, "NSpid:\t312\n"},
                                      {stat, "Name:\tsh\n"},
                                      {"", status},
                                      {stat, ""},
                                      {"312 )x( S", status}})
    EXPECT_FALSE(parse_process({its_stat, its_status}, clock)) << its_stat << its_status;
}

TEST(ProcText, TextThatIsCutOffIsReadAsFarAsItGoes) {
  for (size_t size = 0; size <= stat.size(); ++size) parse_process({stat.substr(0, size), status}, clock);
  for (size_t size = 0; size <= status.size(); ++size) parse_process({stat, status.substr(0, size)}, clock);
  auto parsed = parse_process({"1 (x) R", "NSpid:\t9\t1\n"}, clock);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->entry.tty, "");
}

}  // namespace
}  // namespace diatom::agent
