// Owns one container's VM from its boot to its end: starts the engine's process, talks to the agent, keeps the console,
// notices when any of them goes. It knows nothing of terminals, records or command lines.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "channel/agent_client.h"
#include "runtime/console_log.h"
#include "runtime/guest_clock.h"
#include "runtime/process_peer.h"
#include "vm/engine.h"

namespace diatom {

struct TaskPlan {
  vm::MachineSpec machine;
  channel::ContainerConfig container;
  channel::ProcessConfig process;
  bool has_program = true;  // false: the VM runs, and the agent in it, until finish()
  std::chrono::milliseconds start_timeout = std::chrono::minutes(2);
  bool keep_disk = true;  // let the guest write everything out before its VM ends
};

struct TaskHandlers {
  // "vmm", "clock" (that of a VM which was restored), "agent", "started", "exited"
  std::function<void(std::string_view)> on_stage;
  std::function<void()> on_started;  // the program runs; without one, the container's root is there
  std::function<void(channel::Output, std::span<const std::byte>)> on_output;  // answered by consumed()
  std::function<void(channel::Output)> on_output_end;
  std::function<void()> on_stdin_writable;
  // Once, last: the program's end, or why there was none. The VM is gone by then.
  std::function<void(Result<channel::ExitReport>)> on_end;
};

// Lives on the loop's thread. Destroying it kills the VM at once.
class Task final : public ProcessPeer {
 public:
  Task(EventLoop& loop, TaskPlan plan, TaskHandlers handlers);
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  Task(Task&&) = delete;
  Task& operator=(Task&&) = delete;
  ~Task() override;

  // `engine` is borrowed until the program runs.
  Result<> start(vm::Engine& engine);

  size_t write_stdin(std::span<const std::byte> data) override;  // on_stdin_writable follows when it did not take all
  void close_stdin() override;
  void consumed(channel::Output output, size_t bytes) override;
  void close_output(channel::Output output) override;  // the program gets SIGPIPE
  void kill(int signal);                               // before the program runs: gives the start up
  void resize(uint16_t rows, uint16_t cols) override;
  void abort(Error error);  // ends the VM at once; on_end gets the error
  void finish();            // of one without a program: as when that has ended well
  bool running() const { return phase_ == Phase::running; }
  bool takes_input() const { return takes_input_; }                   // once the program was asked for
  bool restored() const { return machine_ && machine_->restored(); }  // else its VM has booted
  int64_t pid() const { return machine_ ? machine_->pid() : 0; }      // of the VMM
  channel::AgentClient& agent() { return *agent_; }                   // once the program runs
  // What the guest's CLOCK_MONOTONIC lacks of this host's time, ns. Not called when the VM ends meanwhile.
  void ask_clock(std::function<void(Result<int64_t>)> done);
  // For who saves the VM: until resume_listening() nobody else is spoken to by the VMM.
  Result<std::function<Result<>(const vm::SaveTarget&)>> begin_saving();
  void resume_listening();

 private:
  enum class Phase { booting, running, stopping, ended };

  Result<> boot();
  void go_on_restoring();
  void boot_instead(const Error& why);
  Result<> begin();
  Result<> open_channel();
  void accept_agent();
  void ask_clock_again(GuestClock clock, std::function<void(Result<int64_t>)> done);
  void set_clock();
  void start_container();
  void resume_container();
  channel::ProcessHandlers program_handlers();
  void stop_listening();
  void start_program();
  void watch_console();
  void watch_exit();
  void program_ended(Result<channel::ExitReport> report);
  void machine_ended();
  void end();
  // As loop_.after(), but for as long as the task is there.
  void after(std::chrono::milliseconds delay, EventLoop::Handler handler);
  Error ended_unexpectedly(bool was_running) const;
  Error with_last_words(Error error, const std::string& vmm_words) const;
  void stage(std::string_view name);

  EventLoop& loop_;
  TaskPlan plan_;
  TaskHandlers handlers_;
  vm::Engine* engine_ = nullptr;
  Phase phase_ = Phase::booting;
  bool restoring_ = false;
  bool takes_input_ = false;
  std::optional<ConsoleLog> console_log_;
  std::unique_ptr<vm::Machine> machine_;
  UniqueFd console_;
  UniqueFd listener_;  // until the agent has connected
  std::unique_ptr<channel::AgentClient> agent_;
  std::optional<Result<channel::ExitReport>> report_;
  bool listening_ = false;
  std::vector<EventLoop::TimerId> timers_;
};

}  // namespace diatom
