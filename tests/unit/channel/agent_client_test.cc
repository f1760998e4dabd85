#include "channel/agent_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "base/platform/platform.h"
#include "run_loop.h"

namespace diatom::channel {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Answer {
  int status = 200;
  std::string body;
};

// Answers what it was told to; what has no answer stays open until answer_late().
class FakeAgent {
 public:
  FakeAgent(EventLoop& loop, UniqueFd fd) {
    connection_ = Connection::open(
                      loop, std::move(fd), Connection::Role::server,
                      [this](StreamId id, const Request& request) { return serve(id, request); }, nullptr)
                      .value();
  }

  void answer_late(const std::string& path, const Answer& answer) { send(streams_.at(path), answer); }
  void reset(const std::string& path) { connection_->reset(streams_.at(path)); }

  std::map<std::string, Answer> answers;
  std::vector<std::string> requests;          // "METHOD path", as they came
  std::map<std::string, std::string> bodies;  // by path
  std::function<void(const std::string& path)> on_body_end = [](const std::string&) {};

 private:
  StreamHandlers serve(StreamId id, const Request& request) {
    const std::string path = request.path;
    requests.push_back(request.method + " " + path);
    streams_[path] = id;
    StreamHandlers handlers;
    handlers.on_data = [this, id, path](std::span<const std::byte> data) {
      bodies[path].append(reinterpret_cast<const char*>(data.data()), data.size());
      connection_->consume(id, data.size());
    };
    handlers.on_end = [this, id, path] {
      if (auto found = answers.find(path); found != answers.end()) send(id, found->second);
      on_body_end(path);
    };
    return handlers;
  }
  void send(StreamId id, const Answer& answer) {
    connection_->respond(id, answer.status);
    connection_->send_all(id, answer.body);
    connection_->finish(id);
  }

  std::unique_ptr<Connection> connection_;
  std::map<std::string, StreamId> streams_;
};

class AgentClientTest : public testing::Test {
 protected:
  void SetUp() override {
    ::signal(SIGPIPE, SIG_IGN);  // as main() does
    client_.reset();             // some tests begin again
    agent_.reset();
    loop_ = EventLoop::create().value();
    auto pair = platform::make_socket_pair().value();
    agent_ = std::make_unique<FakeAgent>(*loop_, std::move(pair.ours));
    client_ = AgentClient::connect(*loop_, std::move(pair.theirs), [this](const Error&) {
                ++lost_;
                loop_->stop();
              }).value();
    agent_->answers = {{"/v1/processes/main", {200, ""}},
                       {"/v1/processes/main/stdout", {200, "out"}},
                       {"/v1/processes/main/stderr", {200, "err"}},
                       {"/v1/processes/main/exit", {200, R"({"code":3})"}}};
  }

  // Everything that is heard of the process, in order.
  void start_main(ProcessConfig config = {}) {
    config.argv = {"program"};
    ProcessHandlers handlers;
    handlers.on_started = [this](std::expected<void, StartFailure> started) {
      heard_.push_back(started ? "started"
                               : "failed " + std::to_string(started.error().exit_code) + " " + started.error().message);
      if (!started) loop_->stop();
    };
    handlers.on_output = [this](Output output, std::span<const std::byte> data) {
      outputs_[static_cast<size_t>(output)].append(reinterpret_cast<const char*>(data.data()), data.size());
      client_->consumed("main", output, data.size());
    };
    handlers.on_output_end = [this](Output output) {
      heard_.push_back(output == Output::stdout_stream ? "stdout ended" : "stderr ended");
    };
    handlers.on_stdin_writable = [] {};
    handlers.on_exit = [this](Result<ExitReport> report) {
      heard_.push_back(report ? "exit " + std::to_string(report->code) : "lost: " + report.error().message);
      EXPECT_TRUE(report || report.error().code == Errc::guest);
      loop_->stop();
    };
    client_->start_process("main", config, std::move(handlers));
  }

  // What done() is told of one call.
  std::function<void(Result<>)> keep(std::optional<Error>& error) {
    return [this, &error](const Result<>& result) {
      if (!result) error = result.error();
      loop_->stop();
    };
  }

  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<FakeAgent> agent_;
  std::unique_ptr<AgentClient> client_;
  std::vector<std::string> heard_;
  std::string outputs_[2];
  int lost_ = 0;
};

TEST_F(AgentClientTest, StartsAProcessCarriesItsOutputsAndReportsItsEnd) {
  start_main();
  run_loop(*loop_);
  ASSERT_EQ(heard_.size(), 4U);
  EXPECT_EQ(heard_.front(), "started");
  EXPECT_EQ(heard_.back(), "exit 3");
  EXPECT_EQ(outputs_[0], "out");
  EXPECT_EQ(outputs_[1], "err");
  EXPECT_THAT(agent_->requests, ElementsAre("PUT /v1/processes/main", "GET /v1/processes/main/stdout",
                                            "GET /v1/processes/main/stderr", "GET /v1/processes/main/exit"));
  auto config = decode_process_config(agent_->bodies["/v1/processes/main"]);
  ASSERT_TRUE(config);
  EXPECT_THAT(config->argv, ElementsAre("program"));
}

TEST_F(AgentClientTest, TheEndIsReportedAfterTheLastOutput) {
  agent_->answers.erase("/v1/processes/main/stdout");
  start_main();
  settle(*loop_);
  EXPECT_THAT(heard_, ElementsAre("started", "stderr ended")) << "the exit is known, and kept back";
  agent_->answer_late("/v1/processes/main/stdout", {200, "late"});
  run_loop(*loop_);
  EXPECT_EQ(outputs_[0], "late");
  EXPECT_THAT(heard_, ElementsAre("started", "stderr ended", "stdout ended", "exit 3"));
}

// Found by fuzzing: the guest decides in which order it answers.
TEST_F(AgentClientTest, TheEndIsReportedAfterTheBeginning) {
  for (bool starts : {true, false}) {
    SetUp();
    heard_.clear();
    agent_->answers.erase("/v1/processes/main");
    start_main();
    settle(*loop_);
    EXPECT_EQ(heard_.size(), 2U) << "the outputs have ended, and the exit is known";
    agent_->answer_late("/v1/processes/main", {starts ? 200 : 500, ""});
    run_loop(*loop_);
    settle(*loop_);
    ASSERT_EQ(heard_.size(), starts ? 4U : 3U);
    EXPECT_THAT(heard_[2], HasSubstr(starts ? "started" : "failed 125"));
    EXPECT_EQ(heard_.back() == "exit 3", starts);
  }
}

TEST_F(AgentClientTest, ATerminalHasOneOutput) {
  ProcessConfig config;
  config.tty = true;
  start_main(config);
  run_loop(*loop_);
  EXPECT_THAT(heard_, ElementsAre("started", "stdout ended", "exit 3"));
}

TEST_F(AgentClientTest, AStartThatFailedSaysWhyAndHasNoExit) {
  agent_->answers["/v1/processes/main"] = {500, encode(StartFailure{127, "not found"})};
  start_main();
  run_loop(*loop_);
  settle(*loop_);
  EXPECT_THAT(heard_, testing::Contains("failed 127 not found"));
  EXPECT_THAT(heard_, testing::Not(testing::Contains("exit 3")));
}

TEST_F(AgentClientTest, AnAnswerThatMakesNoSenseIsTheGuestsError) {
  const std::string cases[] = {"", "{", "[]", R"({"code":300})", std::string(1 << 20, 'x')};
  for (const std::string& body : cases) {
    SetUp();
    heard_.clear();
    agent_->answers["/v1/processes/main/exit"].body = body;
    start_main();
    run_loop(*loop_);
    EXPECT_THAT(heard_.back(), HasSubstr("lost: ")) << body.substr(0, 20);
  }
}

TEST_F(AgentClientTest, ARefusalCarriesTheAgentsReasonOrSaysThatThereIsNone) {
  const std::pair<Answer, std::string_view> cases[] = {
      {{500, encode(StartFailure{125, "mount root: no such device"})}, "set container up: mount root: no such device"},
      {{404, ""}, "set container up: the agent refused without a reason"},
      {{500, "<html>"}, "set container up: the agent refused without a reason"},
  };
  for (const auto& [answer, message] : cases) {
    SetUp();
    agent_->answers["/v1/container"] = answer;
    std::optional<Error> error;
    client_->start_container({}, keep(error));
    run_loop(*loop_);
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code, Errc::guest);
    EXPECT_EQ(error->message, message);
  }
}

TEST_F(AgentClientTest, ABrokenChannelEndsEverythingThatWasAsked) {
  agent_->answers = {{"/v1/processes/main", {200, ""}}};
  start_main();
  std::optional<Error> error;
  client_->shutdown(keep(error));
  settle(*loop_);
  EXPECT_THAT(heard_, ElementsAre("started"));
  agent_.reset();
  run_loop(*loop_);
  EXPECT_EQ(lost_, 1);
  ASSERT_TRUE(error);
  EXPECT_THAT(error->message, HasSubstr("shut guest down: the guest channel broke"));
  ASSERT_EQ(heard_.size(), 4U);
  EXPECT_THAT(heard_.back(), HasSubstr("lost: wait for process"));

  error.reset();
  client_->kill("main", SIGTERM, keep(error));
  EXPECT_TRUE(error) << "what is asked afterwards fails at once";
}

TEST_F(AgentClientTest, SignalsAndSizesNameTheirProcess) {
  agent_->answers["/v1/processes/main/kill/15"] = {};
  std::optional<Error> error;
  client_->resize("main", 24, 80);
  client_->kill("main", 15, keep(error));
  run_loop(*loop_);
  EXPECT_FALSE(error);
  EXPECT_THAT(agent_->requests, ElementsAre("POST /v1/processes/main/resize/24/80", "POST /v1/processes/main/kill/15"));
}

TEST_F(AgentClientTest, StdinGoesThroughAndEnds) {
  ProcessConfig config;
  config.open_stdin = true;
  agent_->answers.erase("/v1/processes/main/exit");
  start_main(config);
  EXPECT_EQ(client_->write_stdin("main", std::as_bytes(std::span<const char>("input", 5))), 5U);
  client_->close_stdin("main");
  agent_->on_body_end = [this](const std::string& path) {
    if (path == "/v1/processes/main/stdin") loop_->stop();
  };
  run_loop(*loop_);
  EXPECT_EQ(agent_->bodies["/v1/processes/main/stdin"], "input");
}

TEST_F(AgentClientTest, WhatIsWrittenToAProgramThatClosedItsStdinGoesNowhere) {
  ProcessConfig config;
  config.open_stdin = true;
  agent_->answers.erase("/v1/processes/main/exit");
  start_main(config);
  settle(*loop_);
  agent_->reset("/v1/processes/main/stdin");
  settle(*loop_);
  std::string much(4 << 20, 'x');
  EXPECT_EQ(client_->write_stdin("main", std::as_bytes(std::span(much))), much.size());
  EXPECT_EQ(client_->write_stdin("other", std::as_bytes(std::span(much))), much.size())
      << "nor to one that is not there";
}

TEST_F(AgentClientTest, AnExecHasStreamsOfItsOwnAndItsIdIsFreeAgain) {
  for (const char* rest : {"", "/stdout", "/stderr", "/exit"})
    agent_->answers["/v1/processes/e1" + std::string(rest)] = agent_->answers["/v1/processes/main" + std::string(rest)];
  for (int time = 0; time < 3; ++time) {
    ProcessConfig config;
    config.argv = {"x"};
    config.privileged = true;
    int ended = 0;
    ProcessHandlers handlers;
    handlers.on_started = [](const std::expected<void, StartFailure>& started) { EXPECT_TRUE(started); };
    handlers.on_output = [this](Output output, std::span<const std::byte> data) {
      client_->consumed("e1", output, data.size());
    };
    handlers.on_exit = [&](const Result<ExitReport>& report) {
      ended = report.value().code;
      loop_->stop();
    };
    client_->start_process("e1", config, std::move(handlers));
    run_loop(*loop_);
    EXPECT_EQ(ended, 3);
    EXPECT_TRUE(decode_process_config(agent_->bodies["/v1/processes/e1"])->privileged);
    agent_->bodies.clear();
  }
}

TEST_F(AgentClientTest, ADetachedOneAsksForNoOutput) {
  ProcessConfig config;
  config.detached = true;
  start_main(config);
  run_loop(*loop_);
  EXPECT_THAT(heard_, ElementsAre("started", "exit 3"));
  EXPECT_THAT(agent_->requests, ElementsAre("PUT /v1/processes/main", "GET /v1/processes/main/exit"));
}

TEST_F(AgentClientTest, AFailedStartLeavesNoStreamOpen) {
  agent_->answers = {{"/v1/processes/main", {500, encode(StartFailure{126, "no"})}}};
  ProcessConfig config;
  config.open_stdin = true;
  start_main(config);
  run_loop(*loop_);
  settle(*loop_);
  EXPECT_THAT(heard_, testing::IsSupersetOf({"failed 126 no", "stdout ended", "stderr ended"}));
  EXPECT_EQ(client_->write_stdin("main", std::as_bytes(std::span<const char>("x", 1))), 1U) << "it goes nowhere";
}

TEST_F(AgentClientTest, MeasuresAndListsAndSaysWhatItDoesNotUnderstand) {
  Stats stats;
  stats.pids.current = 42;
  ProcessList list;
  list.processes.resize(900);
  for (auto& process : list.processes) process.cmdline = std::string(300, 'c');  // more than an answer mostly is
  agent_->answers["/v1/stats"] = {200, encode(stats)};
  agent_->answers["/v1/processes"] = {200, encode(list)};
  client_->stats([&](const Result<Stats>& got) {
    EXPECT_EQ(got.value().pids.current, 42U);
    loop_->stop();
  });
  run_loop(*loop_);
  client_->list_processes([&](const Result<ProcessList>& got) {
    EXPECT_EQ(got.value().processes.size(), 900U);
    loop_->stop();
  });
  run_loop(*loop_);
  const std::pair<Answer, std::string_view> cases[] = {
      {{200, "{"}, "list processes: read process list: it is no JSON object"},
      {{200, std::string(2 << 20, ' ')}, "list processes: read process list"},
      {{500, encode(StartFailure{125, "the container is not running"})},
       "list processes: the container is not running"},
      {{404, ""}, "list processes: the agent refused without a reason"},
  };
  for (const auto& [answer, message] : cases) {
    agent_->answers["/v1/processes"] = answer;
    client_->list_processes([&](const Result<ProcessList>& got) {
      ASSERT_FALSE(got);
      EXPECT_EQ(got.error().code, Errc::guest);
      EXPECT_THAT(got.error().message, HasSubstr(message));
      loop_->stop();
    });
    run_loop(*loop_);
  }
}

TEST_F(AgentClientTest, FreezesThawsAndLimits) {
  for (const char* path : {"/v1/freeze", "/v1/thaw", "/v1/limits"}) agent_->answers[path] = {};
  std::optional<Error> error;
  client_->freeze(keep(error));
  run_loop(*loop_);
  client_->thaw(keep(error));
  run_loop(*loop_);
  client_->set_limits({.cpu_quota_us = {}, .cpu_weight = {}, .memory_max = 7, .pids_max = {}}, keep(error));
  run_loop(*loop_);
  EXPECT_FALSE(error);
  EXPECT_THAT(agent_->requests, ElementsAre("POST /v1/freeze", "POST /v1/thaw", "PUT /v1/limits"));
  EXPECT_EQ(agent_->bodies["/v1/limits"], R"({"memory_max":7})");
}

TEST_F(AgentClientTest, AnOutputThatNobodyReadsIsTakenBack) {
  agent_->answers.erase("/v1/processes/main/stdout");
  start_main();
  settle(*loop_);
  client_->close_output("main", Output::stdout_stream);
  settle(*loop_);
  EXPECT_THAT(heard_, ElementsAre("started", "stderr ended", "stdout ended", "exit 3"));
  EXPECT_THAT(agent_->requests, testing::Contains("POST /v1/processes/main/close/stdout"));
}

}  // namespace
}  // namespace diatom::channel
