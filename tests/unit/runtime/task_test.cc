#include "runtime/task.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "base/clock.h"
#include "support/fake_guest.h"

namespace diatom {
namespace {

using namespace std::chrono_literals;
using channel::ExitReport;
using channel::Output;
using test::FakeGuest;
using test::GuestScript;
using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Not;

class MonitorTest : public testing::Test {
 protected:
  MonitorTest() : loop_(test::loop_with_deadline()) {
    ::signal(SIGPIPE, SIG_IGN);  // as the command line does
    plan_.machine.id = std::string(64, 'a');
    plan_.machine.directory = scratch_.path();
    plan_.process.argv = {"program"};
    plan_.process.open_stdin = true;
    handlers_ = {.on_stage = [this](std::string_view stage) { stages_.emplace_back(stage); },
                 .on_started =
                     [this] {
                       if (on_started_) on_started_();
                     },
                 .on_output =
                     [this](Output output, std::span<const std::byte> data) {
                       outputs_[static_cast<size_t>(output)].append(reinterpret_cast<const char*>(data.data()),
                                                                    data.size());
                       if (consume_) monitor_->consumed(output, data.size());
                     },
                 .on_output_end = [](Output) {},
                 .on_stdin_writable = [this] { feed(); },
                 .on_end =
                     [this](Result<ExitReport> end) {
                       EXPECT_FALSE(end_) << "it ended twice";
                       EXPECT_TRUE(guest_->gone) << "the VM must have gone by then";
                       end_ = std::move(end);
                       loop_->stop();
                     }};
  }

  Result<> start(GuestScript script) {
    monitor_.reset();  // its VM goes before the guest
    guest_ = std::make_unique<FakeGuest>(*loop_, std::move(script));
    monitor_ = std::make_unique<Task>(*loop_, plan_, handlers_);
    return monitor_->start(*guest_);
  }
  Result<ExitReport> run(GuestScript script) {
    auto started = start(std::move(script));
    EXPECT_TRUE(started) << test::error_of(started);
    EXPECT_TRUE(loop_->run());
    return end_.value_or(Result<ExitReport>(fail(Errc::internal, "it never ended")));
  }
  // Offers what is left of the program's input.
  void feed() {
    while (!to_write_.empty()) {
      size_t taken = monitor_->write_stdin(test::bytes_of(to_write_));
      if (taken == 0) return;
      to_write_.erase(0, taken);
    }
    monitor_->close_stdin();
  }

  test::ScratchDirectory scratch_;
  std::unique_ptr<EventLoop> loop_;
  TaskPlan plan_;
  TaskHandlers handlers_;
  std::unique_ptr<FakeGuest> guest_;
  std::unique_ptr<Task> monitor_;
  std::function<void()> on_started_;
  std::vector<std::string> stages_;
  std::string outputs_[2];
  std::string to_write_;
  bool consume_ = true;
  std::optional<Result<ExitReport>> end_;
};

TEST_F(MonitorTest, ReportsTheProgramsEndAndAllThatItWrote) {
  auto end =
      run({.bad_container = {}, .out = test::noise(100'000), .err = "complaint", .exit = ExitReport{7, 0, true}});
  ASSERT_TRUE(end) << test::error_of(end);
  EXPECT_EQ(end->code, 7);
  EXPECT_TRUE(end->oom_killed);
  EXPECT_TRUE(outputs_[0] == test::noise(100'000));
  EXPECT_EQ(outputs_[1], "complaint");
  EXPECT_THAT(stages_, ElementsAre("vmm", "agent", "started", "exited"));
  EXPECT_THAT(guest_->requests, Contains("POST /v1/shutdown"));
}

TEST_F(MonitorTest, GivesEachVmRandomBytesAndTheTimeToOneThatWasRestored) {
  std::string before;
  for (bool restored : {false, true}) {
    end_.reset();
    plan_.machine.templates = "/templates";
    int64_t begin_ns = wall_clock_ns();
    ASSERT_TRUE(run({.restored = restored,
                     .clock = std::vector<std::string>(10, R"({"monotonic_ns": 5000000000})"),
                     .bad_container = {},
                     .exit = ExitReport{}}));
    auto config = channel::decode_container_config(guest_->container);
    ASSERT_TRUE(config) << test::error_of(config);
    EXPECT_GE(config->entropy.size(), 32U);
    EXPECT_NE(config->entropy, before);
    before = config->entropy;
    if (!restored) {
      EXPECT_EQ(config->clock_offset_ns, 0);
      EXPECT_THAT(guest_->requests, Not(Contains("GET /v1/clock")));
      continue;
    }
    EXPECT_GE(config->clock_offset_ns, begin_ns - 5'000'000'000);
    EXPECT_LE(config->clock_offset_ns, wall_clock_ns() - 5'000'000'000);
    EXPECT_THAT(stages_, IsSupersetOf({"vmm", "clock", "agent"}));
  }
}

TEST_F(MonitorTest, TakesInputForAProgramOnlyOnceThatWasAskedFor) {
  plan_.machine.templates = "/templates";
  handlers_.on_stage = [this](std::string_view stage) {
    EXPECT_EQ(monitor_->takes_input(), stage != "vmm" && stage != "clock") << stage;
  };
  to_write_ = "words";
  auto end = run({.restored = true,
                  .clock = std::vector<std::string>(10, R"({"monotonic_ns": 1})"),
                  .bad_container = {},
                  .echo = true});
  ASSERT_TRUE(end) << test::error_of(end);
  EXPECT_EQ(guest_->input, "words");
}

TEST_F(MonitorTest, StartsNothingInAGuestWhoseClockMakesNoSense) {
  plan_.machine.templates = "/templates";
  for (const char* answer :
       {"", "[]", R"({"monotonic_ns": -1})", R"({"monotonic_ns": "x"})", R"({"monotonic_ns": 9223372036854775807})"}) {
    end_.reset();
    auto end = run({.restored = true, .clock = std::vector<std::string>(10, answer), .bad_container = {}});
    ASSERT_FALSE(end) << answer;
    EXPECT_EQ(end.error().code, Errc::guest) << answer;
    EXPECT_THAT(guest_->requests, Each("GET /v1/clock"));
  }
}

TEST_F(MonitorTest, GivesAGuestUpThatDoesNotTellItsTime) {
  plan_.machine.templates = "/templates";
  plan_.start_timeout = 20ms;
  auto end = run({.restored = true, .bad_container = {}});
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, Errc::timeout);
}

TEST_F(MonitorTest, BootsAVmThatCouldNotBeRestored) {
  plan_.machine.templates = "/templates";
  auto end = run({.restore_error = Errc::start_failed, .bad_container = {}, .exit = ExitReport{}});
  ASSERT_TRUE(end) << test::error_of(end);
  EXPECT_THAT(guest_->boots, ElementsAre("restore", "boot"));
  EXPECT_THAT(stages_, ElementsAre("vmm", "agent", "started", "exited"));
  EXPECT_EQ(channel::decode_container_config(guest_->container)->clock_offset_ns, 0);
}

TEST_F(MonitorTest, DoesNotBootAVmWhosePortIsTaken) {
  plan_.machine.templates = "/templates";
  auto end = run({.restore_error = Errc::already_exists, .bad_container = {}, .exit = ExitReport{}});
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, Errc::already_exists);
  EXPECT_THAT(guest_->boots, ElementsAre("restore"));
}

TEST_F(MonitorTest, DoesNotBootAVmThatSomebodyHasKilled) {
  plan_.machine.templates = "/templates";
  auto end = run({.restore_error = Errc::guest, .bad_container = {}, .exit = ExitReport{}});
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, Errc::start_failed);
  EXPECT_THAT(end.error().message, HasSubstr("its VM ended unexpectedly"));
  EXPECT_THAT(guest_->boots, ElementsAre("restore"));
}

TEST_F(MonitorTest, DoesNotWaitForADiskThatNobodyWillRead) {
  plan_.keep_disk = false;
  ASSERT_TRUE(run({.bad_container = {}, .exit = ExitReport{}}));
  EXPECT_THAT(guest_->requests, Not(Contains("POST /v1/shutdown")));
}

TEST_F(MonitorTest, TellsDockersExitCodeWhenTheProgramIsNotThere) {
  for (int code : {127, 126, 125}) {
    stages_.clear();
    end_.reset();
    auto end = run({.bad_container = {}, .bad_program = channel::StartFailure{code, "exec \"nope\": not found"}});
    ASSERT_FALSE(end);
    EXPECT_EQ(end.error().code, Errc::start_failed);
    EXPECT_EQ(end.error().exit_code, code);
    EXPECT_EQ(end.error().message, "start container: exec \"nope\": not found");
    EXPECT_THAT(stages_, Not(Contains("started")));
  }
}

TEST_F(MonitorTest, PassesOnWhyTheAgentCouldNotSetUp) {
  auto end = run({.bad_container = channel::StartFailure{125, "mount root: no such device"}});
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, Errc::guest);
  EXPECT_THAT(end.error().message, HasSubstr("mount root: no such device"));
}

TEST_F(MonitorTest, TellsTheLastWordsOfAVmThatDiesBeforeItsProgramRuns) {
  ASSERT_TRUE(start({.silent = true, .bad_container = {}}));
  guest_->print_on_console("boot\r\nKernel panic - not syncing: no init\r\nCall trace:\r\n");
  guest_->die("qemu: bad option");
  ASSERT_TRUE(loop_->run());
  ASSERT_TRUE(end_ && !*end_);
  EXPECT_EQ(end_->error().code, Errc::start_failed);
  EXPECT_EQ(end_->error().message, "start container aaaaaaaaaaaa: its VM ended unexpectedly: qemu: bad option");
  EXPECT_THAT(end_->error().hint, HasSubstr("Kernel panic - not syncing: no init"));
  EXPECT_THAT(read_file(scratch_ / "console.log").value(), HasSubstr("Call trace:"));
}

TEST_F(MonitorTest, TellsThatARunningVmDied) {
  on_started_ = [this] { guest_->die(); };
  auto end = run({.bad_container = {}, .out = "so far"});
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, Errc::guest);
  EXPECT_THAT(end.error().message, HasSubstr("run container aaaaaaaaaaaa: its VM ended unexpectedly"));
}

TEST_F(MonitorTest, GivesAGuestUpThatDoesNotComeUpInTime) {
  plan_.start_timeout = 20ms;
  auto end = run({.silent = true, .bad_container = {}});
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, Errc::timeout);
  EXPECT_THAT(end.error().message, HasSubstr("did not come up in time"));
}

TEST_F(MonitorTest, DoesNotGiveAProgramUpThatRuns) {
  plan_.start_timeout = 20ms;
  on_started_ = [this] { loop_->after(40ms, [this] { guest_->end_program({3}); }); };
  EXPECT_EQ(run({.bad_container = {}})->code, 3);
}

TEST_F(MonitorTest, EndsAtOnceWhenItIsAborted) {
  on_started_ = [this] {
    monitor_->abort({Errc::cancelled, "run container: interrupted", ""});
    monitor_->abort({Errc::internal, "a second reason", ""});
  };
  auto end = run({.bad_container = {}});
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, Errc::cancelled);
  EXPECT_EQ(end.error().message, "run container: interrupted");
}

TEST_F(MonitorTest, GivesTheStartUpWhenASignalComesBeforeTheProgram) {
  ASSERT_TRUE(start({.silent = true, .bad_container = {}}));
  monitor_->kill(SIGINT);
  ASSERT_TRUE(loop_->run());
  EXPECT_EQ(end_->error().code, Errc::cancelled);
}

TEST_F(MonitorTest, SendsSignalsAndSizesToTheProgram) {
  on_started_ = [this] {
    EXPECT_TRUE(monitor_->running());
    monitor_->resize(50, 132);
    monitor_->kill(SIGTERM);
  };
  auto end = run({.bad_container = {}});
  ASSERT_TRUE(end) << test::error_of(end);
  EXPECT_EQ(end->code, 143);
  EXPECT_EQ(end->signal, 15);
  EXPECT_THAT(guest_->requests, Contains("POST /v1/processes/main/resize/50/132"));
  EXPECT_THAT(guest_->requests, Contains("POST /v1/processes/main/kill/15"));
  EXPECT_FALSE(monitor_->running());
  monitor_->kill(SIGTERM);  // after the end it goes nowhere
  monitor_->resize(1, 1);
}

TEST_F(MonitorTest, CarriesInputOfAnySizeToItsEnd) {
  to_write_ = test::noise(3 << 20);
  on_started_ = [this] { feed(); };
  ASSERT_TRUE(run({.bad_container = {}, .echo = true}));
  EXPECT_TRUE(guest_->input == test::noise(3 << 20));
  EXPECT_TRUE(guest_->input_ended);
  EXPECT_TRUE(outputs_[0] == guest_->input);
}

TEST_F(MonitorTest, HoldsNoMoreOutputThanAStreamsWindowForWhoDoesNotRead) {
  consume_ = false;
  size_t seen = 0;
  on_started_ = [this, &seen] {
    loop_->after(50ms, [this, &seen] {  // everything that could come has come
      seen = outputs_[0].size();
      consume_ = true;
      monitor_->consumed(Output::stdout_stream, seen);
    });
  };
  ASSERT_TRUE(run({.bad_container = {}, .out = test::noise(2 << 20), .err = "not held up", .exit = ExitReport{}}));
  EXPECT_LE(seen, size_t{channel::wide_stream_window});
  EXPECT_GT(seen, 0U);
  EXPECT_TRUE(outputs_[0] == test::noise(2 << 20));
}

TEST_F(MonitorTest, LetsTheProgramKnowThatNobodyReadsItsOutput) {
  on_started_ = [this] {
    monitor_->close_output(Output::stdout_stream);
    loop_->after(5ms, [this] { guest_->end_program({141, 13}); });
  };
  EXPECT_EQ(run({.bad_container = {}, .out = "x"})->code, 141);
  EXPECT_TRUE(guest_->output_refused);
}

TEST_F(MonitorTest, FailsToStartWhenTheEngineDoes) {
  auto started = start({.boots = false, .bad_container = {}});
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, Errc::engine_unavailable);
}

TEST_F(MonitorTest, CanBeDestroyedAtAnyTimeWhileItsLoopGoesOn) {
  plan_.start_timeout = 5ms;
  ASSERT_TRUE(start({.silent = true, .bad_container = {}}));
  loop_->after(1ms, [this] { monitor_.reset(); });
  loop_->after(10ms, [this] { loop_->stop(); });
  ASSERT_TRUE(loop_->run());
  EXPECT_TRUE(guest_->gone);
  EXPECT_FALSE(end_);
}

}  // namespace
}  // namespace diatom
