#include "agent_vm.h"

#include <csignal>

namespace diatom::test {
namespace {

using channel::ContainerConfig;
using channel::Limits;
using channel::ProcessConfig;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

// One VM for all of these: each leaves it as it was.
class ExecTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { shared_ = std::make_unique<AgentVm>(); }
  static void TearDownTestSuite() { shared_.reset(); }
  void TearDown() override {
    // One that did not start is known until its child was reaped, a moment after its failure was told.
    vm_.ask_until([this] { return vm_.stats().value().agent_processes == 1; });
  }
  static std::unique_ptr<AgentVm> shared_;
  AgentVm& vm_ = *shared_;
};
std::unique_ptr<AgentVm> ExecTest::shared_;

TEST_F(ExecTest, EndsWithTheCodeOfItsProgramOrOfWhyThereIsNone) {
  struct Case {
    std::vector<std::string> argv;
    int code;
    std::string_view message;
  };
  const Case cases[] = {
      {{"true"}, 0, ""},
      {{"false"}, 1, ""},
      {{"sh", "-c", "exit 77"}, 77, ""},
      {{"/bin/true"}, 0, ""},
      {{"nope"}, 127, "executable file not found in $PATH"},
      {{"/nope"}, 127, "No such file"},
      {{"/etc/passwd"}, 126, "Permission denied"},
      {{"/etc"}, 126, "directory"},
  };
  for (const Case& test : cases) {
    GuestProcess& process = vm_.exec(program(test.argv));
    EXPECT_EQ(process.code(), test.code) << test.argv[0];
    EXPECT_EQ(process.failure.has_value(), !test.message.empty()) << test.argv[0];
    EXPECT_THAT(process.failure ? process.failure->message : "", HasSubstr(test.message));
  }
}

TEST_F(ExecTest, IsRefusedWhatItAsksForAndCannotHave) {
  const std::pair<std::function<void(ProcessConfig&)>, std::string_view> cases[] = {
      {[](ProcessConfig& config) { config.user = "nobody-here"; }, "find user \"nobody-here\""},
      {[](ProcessConfig& config) { config.groups = {"no-group"}; }, "find group \"no-group\""},
      {[](ProcessConfig& config) { config.cwd = "/not/there"; }, "enter working directory /not/there"},
  };
  for (const auto& [change, message] : cases) {
    ProcessConfig config = program({"true"});
    change(config);
    GuestProcess& process = vm_.exec(config);
    EXPECT_EQ(process.code(), 125);
    ASSERT_TRUE(process.failure) << message;
    EXPECT_THAT(process.failure->message, HasSubstr(message));
  }
}

TEST_F(ExecTest, HasItsOwnUserGroupsEnvironmentAndDirectory) {
  ProcessConfig config = shell("id; echo $HOME $A; pwd; umask; ulimit -n; cat /proc/self/oom_score_adj");
  config.user = "user";
  config.groups = {"root", "4242"};
  config.env.emplace_back("A=b c");
  config.cwd = "/tmp";
  GuestProcess& process = vm_.exec(config);
  EXPECT_EQ(process.out,
            "uid=1000(user) gid=1000(user) groups=0(root),2000(extra),4242\n/home/user b c\n/tmp\n0022\n1024\n0\n");
  EXPECT_EQ(process.err, "");
}

TEST_F(ExecTest, IsInTheNamespacesOfTheFirstProcessAndItsCgroup) {
  EXPECT_EQ(vm_.output_of("for n in pid mnt uts ipc cgroup net; do "
                          "[ $(readlink /proc/self/ns/$n) = $(readlink /proc/1/ns/$n) ] || echo $n; done"),
            "");
  EXPECT_EQ(vm_.output_of("hostname; cat /proc/self/cgroup; readlink /proc/self/root"), "guest\n0::/\n/\n");
  EXPECT_EQ(vm_.output_of("ls /proc/self/fd | wc -l; readlink /proc/self/fd/0"), "4\n/dev/null\n")
      << "nothing of the agent's is open: 0, 1, 2, and the folder itself";
  GuestProcess& written = vm_.exec(shell("echo 1 > /proc/sys/kernel/panic"));
  EXPECT_NE(written.code(), 0);
}

TEST_F(ExecTest, HasDockersCapabilitiesOrAllOfThem) {
  constexpr const char* script = "grep -E 'Cap(Inh|Eff|Bnd|Amb)' /proc/self/status";
  EXPECT_EQ(vm_.output_of(script),
            "CapInh:\t0000000000000000\nCapEff:\t00000000a80425fb\nCapBnd:\t00000000a80425fb\n"
            "CapAmb:\t0000000000000000\n");
  ProcessConfig config = shell(script);
  config.privileged = true;
  EXPECT_THAT(vm_.exec(config).out, HasSubstr("CapEff:\t000001ffffffffff\nCapBnd:\t000001ffffffffff\n"));
  config.privileged = false;
  config.user = "1000";
  EXPECT_THAT(vm_.exec(config).out, HasSubstr("CapEff:\t0000000000000000\nCapBnd:\t00000000a80425fb\n"));
}

TEST_F(ExecTest, HasATerminalOfTheContainers) {
  ProcessConfig config = shell("tty; stty size; read line; stty size; echo got $line; ls -ln $(tty)");
  config.tty = true;
  config.user = "user";
  config.open_stdin = true;
  config.rows = 33;
  config.cols = 77;
  GuestProcess& process = vm_.start(vm_.next_id(), config, {}, [](GuestProcess& made) { made.keep_stdin_open = true; });
  vm_.wait_for([&] { return process.out.find("33 77\r\n") != std::string::npos || process.over(); });
  vm_.agent().resize(process.id, 10, 20);
  vm_.agent().write_stdin(process.id, bytes_of("line\n"));
  vm_.wait_for([&] { return process.over(); });
  EXPECT_THAT(process.out, AllOf(StartsWith("/dev/pts/"), HasSubstr("33 77\r\n"), HasSubstr("10 20\r\n"),
                                 HasSubstr("got line\r\n"), HasSubstr("1000     5")));
  EXPECT_EQ(process.code(), 0);
}

TEST_F(ExecTest, CarriesAMebibyteEachWay) {
  std::string much = noise(1 << 20);
  GuestProcess& process = vm_.exec(shell("tee /dev/stderr"), much);
  EXPECT_EQ(process.code(), 0);
  EXPECT_TRUE(process.out == much);
  EXPECT_TRUE(process.err == much);
}

TEST_F(ExecTest, EndsByASignal) {
  for (int signal : {SIGTERM, SIGKILL, SIGUSR1}) {
    GuestProcess& process = vm_.start(vm_.next_id(), program({"sleep", "1000"}));
    vm_.wait_for([&] { return process.started; });
    EXPECT_TRUE(vm_.kill(process.id, signal));
    vm_.wait_for([&] { return process.over(); });
    ASSERT_TRUE(process.exit && *process.exit);
    EXPECT_EQ((**process.exit).signal, signal);
    EXPECT_EQ((**process.exit).code, 128 + signal);
    EXPECT_FALSE((**process.exit).oom_killed);
  }
}

TEST_F(ExecTest, IsToldByASignalThatAnOutputWasClosed) {
  GuestProcess& process = vm_.start(vm_.next_id(), program({"yes"}));
  vm_.wait_for([&] { return !process.out.empty(); });
  vm_.agent().close_output(process.id, channel::Output::stdout_stream);
  vm_.wait_for([&] { return process.over(); });
  // busybox says EPIPE by its code where SIGPIPE is ignored, which it is not.
  EXPECT_NE(process.code(), 0);
  EXPECT_TRUE(process.exit && *process.exit);
}

TEST_F(ExecTest, OfALiveIdIsRefusedAndOfAnEndedOneIsNew) {
  GuestProcess& first = vm_.start("same", program({"sleep", "1000"}));
  vm_.wait_for([&] { return first.started; });
  std::optional<int> status;
  auto& connection = vm_.agent().connection();
  channel::StreamHandlers handlers;
  handlers.on_status = [&](int got) { status = got; };
  handlers.on_close = [&](bool) { vm_.loop().stop(); };
  channel::StreamId stream = connection.request({"PUT", "/v1/processes/same"}, std::move(handlers));
  connection.send_all(stream, channel::encode(program({"true"})));
  connection.finish(stream);
  vm_.wait_for([&] { return status.has_value(); });
  EXPECT_EQ(status, 500);
  EXPECT_TRUE(vm_.kill("same", SIGKILL));
  vm_.wait_for([&] { return first.over(); });
  vm_.ask_until([&] { return vm_.stats().value().agent_processes == 1; });
  GuestProcess& second = vm_.start("same", program({"true"}));
  vm_.wait_for([&] { return second.over(); });
  EXPECT_EQ(second.code(), 0);
}

TEST_F(ExecTest, RunsOnWhenItsClientHasGone) {
  vm_.output_of("mkfifo /tmp/done");
  // More than a pipe holds: it would stand still if nobody took it.
  ProcessConfig config = shell("seq 100000; echo finished > /tmp/done");
  auto& connection = vm_.agent().connection();
  bool heard = false;
  std::vector<channel::StreamId> streams;
  for (const char* rest : {"", "/stdout", "/stderr", "/exit"}) {
    channel::StreamHandlers handlers;
    handlers.on_data = [&](std::span<const std::byte>) {
      heard = true;
      vm_.loop().stop();
    };
    bool starts = std::string_view(rest).empty();
    streams.push_back(
        connection.request({starts ? "PUT" : "GET", "/v1/processes/lonely" + std::string(rest)}, std::move(handlers)));
    if (starts) connection.send_all(streams.back(), channel::encode(config));
    connection.finish(streams.back());
  }
  vm_.wait_for([&] { return heard; });
  for (channel::StreamId stream : streams) connection.reset(stream);
  EXPECT_EQ(vm_.output_of("cat /tmp/done; rm /tmp/done"), "finished\n");
  vm_.ask_until([&] { return vm_.stats().value().agent_processes == 1; });
}

TEST_F(ExecTest, DetachedNeedsNobodyToRead) {
  ProcessConfig config = shell("seq 100000; exit 5");
  config.detached = true;
  GuestProcess& process = vm_.exec(config);
  EXPECT_EQ(process.code(), 5);
  EXPECT_EQ(process.out, "");
}

TEST_F(ExecTest, RunsTwoHundredAtOnce) {
  std::vector<GuestProcess*> all;
  vm_.agent().cork();
  for (int number = 0; number < 200; ++number) {
    std::string text = std::to_string(number);
    all.push_back(&vm_.start(
        "many-" + text, shell("read line; echo $line " + text + "; exit " + std::to_string(number % 100)), "hello\n"));
  }
  vm_.agent().uncork();
  vm_.wait_for([&] { return std::ranges::all_of(all, &GuestProcess::over); }, 120s);
  for (int number = 0; number < 200; ++number) {
    GuestProcess& process = *all[static_cast<size_t>(number)];
    EXPECT_EQ(process.out, "hello " + std::to_string(number) + "\n");
    EXPECT_EQ(process.code(), number % 100);
  }
}

TEST_F(ExecTest, StallsNobodyElseAndLittleMemoryWhenNobodyReads) {
  std::vector<GuestProcess*> stalled;
  for (int number = 0; number < 200; ++number)
    stalled.push_back(&vm_.start("stalled-" + std::to_string(number), program({"yes"}), {},
                                 [](GuestProcess& process) { process.reads = false; }));
  vm_.wait_for(
      [&] {
        return std::ranges::all_of(stalled,
                                   [](GuestProcess* each) { return each->out.size() >= channel::stream_window / 2; });
      },
      120s);
  std::string much = noise(256 << 10);
  GuestProcess& lively = vm_.exec(program({"cat"}), much);
  EXPECT_TRUE(lively.out == much);
  auto stats = vm_.stats();
  ASSERT_TRUE(stats) << error_of(stats);
  // 64 KiB for each, and what the agent is made of.
  EXPECT_LT(stats->agent_rss_bytes, uint64_t{28} << 20);
  for (GuestProcess* each : stalled) {
    EXPECT_LE(each->out.size(), channel::stream_window);
    vm_.agent().kill(each->id, SIGKILL, [](const Result<>&) {});
    vm_.agent().close_output(each->id, channel::Output::stdout_stream);
  }
  vm_.wait_for([&] { return std::ranges::all_of(stalled, &GuestProcess::over); });
}

TEST_F(ExecTest, LeavesNothingBehind) {
  vm_.exec(program({"true"}));
  uint64_t before = vm_.stats().value().agent_rss_bytes;
  for (int number = 0; number < 100; ++number) ASSERT_EQ(vm_.exec(program({"true"})).code(), 0);
  auto after = vm_.stats();
  EXPECT_EQ(after->agent_processes, 1U);
  EXPECT_LT(after->agent_rss_bytes, before + (256 << 10));
}

TEST_F(ExecTest, ItsProcessesAreListed) {
  ProcessConfig config = program({"sleep", "1234"});
  config.user = "user";
  config.tty = true;
  GuestProcess& process = vm_.start(vm_.next_id(), config);
  vm_.wait_for([&] { return process.started; });
  auto list = vm_.list();
  ASSERT_TRUE(list) << error_of(list);
  ASSERT_EQ(list->processes.size(), 2U);
  EXPECT_EQ(list->total, 2U);
  const auto& first = list->processes[0];
  EXPECT_EQ(first.pid, 1U);
  EXPECT_EQ(first.ppid, 0U);
  EXPECT_EQ(first.user, "root");
  EXPECT_EQ(first.tty, "");
  EXPECT_EQ(first.comm, "sleep");
  EXPECT_EQ(first.cmdline, std::string("sleep\0001000000\0", 14));
  const auto& second = list->processes[1];
  EXPECT_GT(second.pid, 1U);
  EXPECT_EQ(second.ppid, 0U) << "the agent is out of sight";
  EXPECT_EQ(second.uid, 1000U);
  EXPECT_EQ(second.user, "user");
  EXPECT_THAT(second.tty, StartsWith("pts/"));
  EXPECT_EQ(second.state, "S");
  EXPECT_EQ(second.threads, 1U);
  EXPECT_GT(second.rss_kib, 0U);
  EXPECT_GT(second.vsz_kib, second.rss_kib);
  EXPECT_LT(std::llabs(static_cast<long long>(second.start_time) - std::time(nullptr)), 3600);
  EXPECT_TRUE(vm_.kill(process.id, SIGKILL));
  vm_.wait_for([&] { return process.over(); });
}

TEST_F(ExecTest, ItsWorkIsMeasured) {
  auto before = vm_.stats();
  ASSERT_TRUE(before) << error_of(before);
  EXPECT_GT(before->memory.limit, 0U);
  EXPECT_GT(before->online_cpus, 0U);
  EXPECT_EQ(before->pids.current, 1U);
  EXPECT_GT(before->uptime_us, 0U);
  vm_.output_of(
      "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; "
      "dd if=/dev/zero of=/tmp/file bs=64k count=64 conv=fsync 2>/dev/null; "
      "cp /bin/busybox /tmp/copy; sync; rm /tmp/copy");
  GuestProcess& sleeper = vm_.start(vm_.next_id(), shell("sleep 1000 & sleep 1000 & echo; wait"));
  vm_.wait_for([&] { return !sleeper.out.empty(); });
  auto after = vm_.stats();
  ASSERT_TRUE(after) << error_of(after);
  EXPECT_GT(after->cpu.usage_us, before->cpu.usage_us + 10'000);
  EXPECT_GE(after->cpu.usage_us, after->cpu.user_us);
  EXPECT_EQ(after->pids.current, 4U);
  EXPECT_GE(after->memory.cache, before->memory.cache + (3 << 20)) << "the file that was written";
  EXPECT_GT(after->memory.current, before->memory.current);
  EXPECT_GE(after->io.written_bytes, before->io.written_bytes + (4 << 20));
  EXPECT_GT(after->io.writes, before->io.writes);
  EXPECT_FALSE(after->io.devices.empty());
  EXPECT_GT(after->time_us, before->time_us);
  EXPECT_GT(after->agent_rss_bytes, 0U);
  vm_.output_of("killall sleep; rm /tmp/file");  // but for the first process, which does not hear it
  vm_.wait_for([&] { return sleeper.over(); });
}

TEST_F(ExecTest, StandsStillWhileTheContainerIsFrozen) {
  GuestProcess& busy = vm_.start(vm_.next_id(), shell("while :; do :; done"));
  vm_.wait_for([&] { return busy.started; });
  for (int twice = 0; twice < 2; ++twice) EXPECT_TRUE(vm_.freeze()) << "also when it is so already";
  uint64_t frozen_at = vm_.stats().value().cpu.usage_us;
  GuestProcess& refused = vm_.exec(program({"true"}));
  ASSERT_TRUE(refused.failure);
  EXPECT_THAT(refused.failure->message, HasSubstr("the container is paused"));
  EXPECT_EQ(vm_.list().value().processes.size(), 2U);
  EXPECT_EQ(vm_.stats().value().cpu.usage_us, frozen_at);
  for (int twice = 0; twice < 2; ++twice) EXPECT_TRUE(vm_.thaw());
  EXPECT_EQ(vm_.output_of("echo awake"), "awake\n");
  EXPECT_GT(vm_.stats().value().cpu.usage_us, frozen_at);
  EXPECT_TRUE(vm_.freeze());
  EXPECT_TRUE(vm_.kill(busy.id, SIGKILL));
  vm_.wait_for([&] { return busy.over(); });
  EXPECT_TRUE(vm_.thaw());
}

// ---- What a container is made with.

std::string settings_of(AgentVm& vm) {
  return vm.output_of(
      "ulimit -n; ulimit -Hn; ulimit -c; cat /proc/sys/net/core/somaxconn /proc/sys/kernel/msgmax; "
      "grep -E 'CapBnd|NoNewPrivs' /proc/self/status; cat /sys/fs/cgroup/memory.max");
}

TEST(Container, HasItsInitLimitsSettingsAndCapabilities) {
  AgentVm::Options options;
  ContainerConfig& config = options.container;
  config.init = true;
  config.ulimits = {{"nofile", 100, 200}, {"core", 0, channel::unlimited}};
  config.sysctls = {{"net.core.somaxconn", "321"}, {"kernel.msgmax", "7777"}};
  config.cap_drop = {"ALL"};
  config.cap_add = {"CHOWN", "KILL", "SYS_TIME"};
  config.no_new_privileges = true;
  config.memory_max = 64 << 20;
  options.main = shell("trap 'exit 7' TERM; echo ready $$; while :; do sleep 1000 & wait $!; done");
  AgentVm vm(options);
  vm.wait_for([&] { return !vm.main().out.empty(); });
  EXPECT_EQ(vm.main().out, "ready 2\n") << "init is the first";
  EXPECT_EQ(settings_of(vm), "100\n200\n0\n321\n7777\nCapBnd:\t0000000002000021\nNoNewPrivs:\t1\n67108864\n");
  EXPECT_EQ(vm.output_of("cat /proc/1/comm; ls /proc/1/fd | wc -l"), "init\n0\n");

  // An orphan that ends is reaped.
  vm.output_of("mkfifo /tmp/go; sh -c '(cat /tmp/go; exit 3) & ' ; echo > /tmp/go");
  vm.ask_until([&] {
    auto list = vm.list().value();
    return std::ranges::none_of(list.processes, [](const auto& process) { return process.state == "Z"; });
  });

  // A signal reaches the program, whose code becomes the container's. What runs beside it goes with it.
  GuestProcess& beside = vm.start("beside", program({"sleep", "1000"}));
  vm.wait_for([&] { return beside.started; });
  EXPECT_TRUE(vm.kill("main", SIGTERM));
  vm.wait_for([&] { return beside.over() && vm.main().over(); });
  EXPECT_EQ(vm.main().code(), 7);
  EXPECT_EQ((**beside.exit).signal, SIGKILL);
  EXPECT_FALSE((**beside.exit).oom_killed);
  GuestProcess& late = vm.exec(program({"true"}));
  ASSERT_TRUE(late.failure);
  EXPECT_EQ(late.failure->exit_code, 125);
  EXPECT_THAT(late.failure->message, HasSubstr("the container is not running"));
  for (const Result<>& result : {vm.freeze(), vm.thaw(), vm.list() ? Result<>() : fail(Errc::guest, "not running")})
    EXPECT_THAT(error_of(result), HasSubstr("not running"));
  EXPECT_TRUE(vm.shutdown());
}

TEST(Container, KeepsToLimitsThatAreChanged) {
  AgentVm::Options options;
  options.container.init = true;
  AgentVm vm(options);
  auto before = vm.stats().value();
  EXPECT_TRUE(vm.limit({.cpu_quota_us = 50'000, .cpu_weight = 200, .memory_max = 24 << 20, .pids_max = 6}));
  EXPECT_EQ(vm.output_of("cd /sys/fs/cgroup; cat cpu.max cpu.weight memory.max pids.max"),
            "50000 100000\n200\n25165824\n6\n");
  auto limited = vm.stats().value();
  EXPECT_EQ(limited.memory.limit, 24U << 20);
  EXPECT_EQ(limited.pids.limit, 6U);
  GuestProcess& forks = vm.exec(shell("for i in 1 2 3 4 5 6; do sleep 1000 > /dev/null 2>&1 & done"));
  EXPECT_NE(forks.code(), 0);
  EXPECT_TRUE(vm.limit({.cpu_quota_us = 0, .cpu_weight = {}, .memory_max = {}, .pids_max = 0}));
  EXPECT_EQ(vm.output_of("cd /sys/fs/cgroup; cat cpu.max cpu.weight memory.max"), "max 100000\n200\n25165824\n")
      << "left alone";

  GuestProcess& greedy = vm.exec(program({"dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"}));
  ASSERT_TRUE(greedy.exit && *greedy.exit);
  EXPECT_EQ((**greedy.exit).signal, SIGKILL);
  EXPECT_TRUE((**greedy.exit).oom_killed);
  EXPECT_GT(vm.stats().value().memory.oom_kills, before.memory.oom_kills);
  GuestProcess& innocent = vm.exec(shell("kill -9 $$"));
  EXPECT_FALSE((**innocent.exit).oom_killed);

  EXPECT_TRUE(vm.limit({.cpu_quota_us = {}, .cpu_weight = {}, .memory_max = 0, .pids_max = {}}));
  EXPECT_EQ(vm.stats().value().memory.limit, before.memory.limit);
}

TEST(Container, IsNotStartedWithASettingThatTheKernelRefuses) {
  AgentVm::Options options;
  options.container.sysctls = {{"net.core.no_such_thing", "1"}};
  AgentVm vm(options);
  ASSERT_TRUE(vm.main().failure);
  EXPECT_EQ(vm.main().failure->exit_code, 125);
  EXPECT_THAT(vm.main().failure->message, HasSubstr("set sysctl net.core.no_such_thing=1"));
  GuestProcess& early = vm.exec(program({"true"}));
  EXPECT_EQ(early.code(), 125);
  EXPECT_TRUE(vm.shutdown());
}

TEST(Container, ThatIsPrivilegedHidesNothing) {
  AgentVm::Options options;
  options.container.privileged = true;
  AgentVm vm(options);
  EXPECT_EQ(
      vm.output_of("grep CapEff /proc/self/status; echo 55 > /proc/sys/vm/swappiness && cat /proc/sys/vm/swappiness; "
                   "mkdir /sys/fs/cgroup/own && rmdir /sys/fs/cgroup/own && echo cgroup; "
                   "mknod /tmp/kmsg c 1 11 && exec 3<>/tmp/kmsg && echo device"),
      "CapEff:\t000001ffffffffff\n55\ncgroup\ndevice\n");
}

TEST(Container, IsShutDownInTimeWhateverItsProcessesDo) {
  AgentVm::Options options;
  options.main = shell("trap '' TERM INT HUP; while :; do sleep 1000; done");
  AgentVm vm(options);
  std::vector<GuestProcess*> others;
  for (int number = 0; number < 8; ++number)
    others.push_back(&vm.start(vm.next_id(), shell("trap '' TERM; dd if=/dev/zero of=/tmp/f$$ bs=1M 2>/dev/null")));
  vm.wait_for([&] { return std::ranges::all_of(others, &GuestProcess::started); });
  EXPECT_TRUE(vm.freeze());
  auto begin = std::chrono::steady_clock::now();
  auto result = vm.shutdown();
  EXPECT_TRUE(result) << error_of(result);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s);
}

}  // namespace
}  // namespace diatom::test
