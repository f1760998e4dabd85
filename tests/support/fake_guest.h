// A VM that is none: an engine whose machine is a pair of sockets, with an agent behind them that does what a script
// says. Everything happens on one loop's thread.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/platform/platform.h"
#include "channel/connection.h"
#include "channel/messages.h"
#include "support/scratch.h"
#include "vm/engine.h"

namespace diatom::test {

struct GuestScript {
  bool silent = false;                     // the agent never comes up
  bool boots = true;                       // false: the engine itself fails
  bool restored = false;                   // from a template, where the VM may have one
  std::optional<Errc> restore_error = {};  // it has one, and is not restored
  std::vector<std::string> clock = {};     // answers when it is asked, one after the other, and then nothing
  std::optional<channel::StartFailure> bad_container;  // answers to what is asked first
  std::optional<channel::StartFailure> bad_program = {};
  std::string out = {};  // what the program writes at once
  std::string err = {};
  bool echo = false;                             // writes what it reads, and ends when that ends
  std::optional<channel::ExitReport> exit = {};  // ends by itself, at once
};

class FakeGuest final : public vm::Engine {
 public:
  FakeGuest(EventLoop& loop, GuestScript script) : loop_(loop), script_(std::move(script)) {}

  std::string_view name() const override { return "fake"; }
  vm::Availability probe() const override {
    return {.usable = true, .reason = {}, .version = {}, .accelerator = "none", .note = {}};
  }
  Result<std::string> ask_version() const override { return "1"; }
  Result<vm::GuestKernel> find_kernel(const std::filesystem::path&) const override { return vm::GuestKernel(); }
  std::function<Result<>(const CancelToken&)> preparation(const vm::MachineSpec&) const override { return nullptr; }
  Result<std::unique_ptr<vm::Machine>> boot(const vm::MachineSpec& spec) override {
    if (!script_.boots) return fail(Errc::engine_unavailable, "boot VM: no engine");
    platform::SocketPair channel = TRY(platform::make_socket_pair());
    platform::SocketPair console = TRY(platform::make_socket_pair());
    platform::Pipe alive = TRY(platform::make_pipe());
    console_ = std::move(console.theirs);
    alive_ = std::move(alive.write_end);
    if (script_.silent)
      silent_channel_ = std::move(channel.theirs);
    else
      agent_ = TRY(channel::Connection::open(
          loop_, std::move(channel.theirs), channel::Connection::Role::server,
          [this](channel::StreamId stream, const channel::Request& request) { return answer(stream, request); },
          [](const Error&) {}));
    bool restoring = !spec.templates.empty() && (script_.restored || script_.restore_error);
    boots.push_back(restoring ? "restore" : "boot");
    return std::make_unique<FakeMachine>(*this, std::move(channel.ours), std::move(console.ours),
                                         std::move(alive.read_end), restoring);
  }

  // Events in the guest. The VM's end, as if its process had been killed or had crashed.
  void print_on_console(std::string_view text) { EXPECT_TRUE(write_all(console_.get(), text)); }
  void die(std::string words = {}) {
    words_ = std::move(words);
    alive_.reset();
  }
  void end_program(const channel::ExitReport& report) {
    agent_->cork();
    for (const char* output : {"stdout", "stderr"})
      if (auto stream = streams_.find(output); stream != streams_.end()) agent_->finish(stream->second);
    reply(streams_.at("exit"), 200, channel::encode(report));
    agent_->uncork();
  }

  // What it has seen.
  std::vector<std::string> boots;     // "restore", "boot"
  std::vector<std::string> requests;  // "POST /v1/shutdown", in order
  std::string container;              // its config
  std::string input;                  // of the program
  bool input_ended = false;
  bool output_refused = false;  // its stdout was closed by whoever reads it
  bool gone = false;

 private:
  class FakeMachine final : public vm::Machine {
   public:
    FakeMachine(FakeGuest& guest, UniqueFd channel, UniqueFd console, UniqueFd exit, bool restoring)
        : guest_(guest),
          channel_(std::move(channel)),
          console_(std::move(console)),
          exit_(std::move(exit)),
          restoring_(restoring) {}
    ~FakeMachine() override { guest_.gone = true; }
    pid_t pid() const override { return 1; }
    int exit_event() const override { return exit_.get(); }
    vm::Channel take_channel() override { return {std::move(channel_)}; }
    UniqueFd take_console() override { return std::move(console_); }
    int restore_event() const override { return restoring_ ? restore_.read_end.get() : -1; }
    Result<bool> go_on() override {
      // Twice: it is not done at once.
      if (std::exchange(first_look_, false)) return false;
      restoring_ = false;
      restored_ = guest_.script_.restored;
      if (restored_) return true;
      return fail(*guest_.script_.restore_error, "restore VM: it would not");
    }
    bool restored() const override { return restored_; }
    void kill() override { guest_.alive_.reset(); }
    Result<std::string> reap() override {
      guest_.console_.reset();
      guest_.gone = true;
      return guest_.words_;
    }

   private:
    FakeGuest& guest_;
    UniqueFd channel_;
    UniqueFd console_;
    UniqueFd exit_;
    platform::Pipe restore_ = ready_pipe();
    bool restoring_;
    bool first_look_ = true;
    bool restored_ = false;
  };

  static platform::Pipe ready_pipe() {
    platform::Pipe pipe = std::move(*platform::make_pipe());
    EXPECT_TRUE(write_all(pipe.write_end.get(), "x"));
    return pipe;
  }

  void reply(channel::StreamId stream, int status, std::string_view body) {
    agent_->respond(stream, status);
    agent_->send_all(stream, body);
    agent_->finish(stream);
  }

  channel::StreamHandlers answer(channel::StreamId stream, const channel::Request& request) {
    requests.push_back(request.method + " " + request.path);
    std::string what = request.path.substr(request.path.rfind('/') + 1);
    streams_[what] = stream;
    channel::StreamHandlers handlers;
    handlers.on_data = [this, stream](std::span<const std::byte> data) { agent_->consume(stream, data.size()); };
    if (request.path == "/v1/container") {
      handlers.on_data = [this, stream](std::span<const std::byte> data) {
        container.append(reinterpret_cast<const char*>(data.data()), data.size());
        agent_->consume(stream, data.size());
      };
      handlers.on_end = [this, stream] { reply_or_refuse(stream, script_.bad_container); };
    } else if (request.path == "/v1/clock") {
      handlers.on_end = [this, stream] { tell_time(stream); };
    } else if (request.path == "/v1/processes/main") {
      handlers.on_end = [this, stream] { reply_or_refuse(stream, script_.bad_program); };
    } else if (what == "stdout" || what == "stderr") {
      agent_->respond(stream, 200);
      handlers.on_close = [this, what](bool clean) { output_refused = output_refused || (what == "stdout" && !clean); };
    } else if (what == "stdin") {
      agent_->respond(stream, 200);
      handlers.on_data = [this, stream](std::span<const std::byte> data) { read_input(stream, data); };
      handlers.on_end = [this] {
        input_ended = true;
        if (script_.echo) end_program({});
      };
    } else if (what == "exit") {
      handlers.on_end = [this] { run_program(); };
    } else if (request.path.starts_with("/v1/processes/main/kill/")) {
      handlers.on_end = [this, stream, signal = std::stoi(what)] {
        reply(stream, 200, "");
        end_program({128 + signal, signal});
      };
    } else {
      handlers.on_end = [this, stream] { reply(stream, 200, ""); };
    }
    return handlers;
  }

  void reply_or_refuse(channel::StreamId stream, const std::optional<channel::StartFailure>& failure) {
    reply(stream, failure ? 400 : 200, failure ? channel::encode(*failure) : "");
  }

  void tell_time(channel::StreamId stream) {
    if (script_.clock.empty()) return;
    std::string body = script_.clock.front();
    script_.clock.erase(script_.clock.begin());
    reply(stream, 200, body);
  }

  void run_program() {
    if (script_.bad_container || script_.bad_program) return;
    agent_->send_all(streams_["stdout"], script_.out);
    if (streams_.contains("stderr")) agent_->send_all(streams_["stderr"], script_.err);
    if (script_.exit) end_program(*script_.exit);
  }

  void read_input(channel::StreamId stream, std::span<const std::byte> data) {
    std::string_view text(reinterpret_cast<const char*>(data.data()), data.size());
    input += text;
    if (script_.echo) agent_->send_all(streams_["stdout"], text);
    agent_->consume(stream, data.size());
  }

  EventLoop& loop_;
  GuestScript script_;
  std::unique_ptr<channel::Connection> agent_;
  UniqueFd silent_channel_;
  UniqueFd console_;
  UniqueFd alive_;  // its other end is the machine's exit event
  std::string words_;
  std::map<std::string, channel::StreamId> streams_;
};

// A loop whose test fails rather than hangs.
inline std::unique_ptr<EventLoop> loop_with_deadline() {
  auto loop = std::move(*EventLoop::create());
  loop->after(std::chrono::seconds(20), [raw = loop.get()] {
    ADD_FAILURE() << "nothing happened within the deadline";
    raw->stop();
  });
  return loop;
}

}  // namespace diatom::test
