// The one process that owns a container: it holds the container's lock for as long as it lives, starts its VM, keeps
// its logs, checks its health, runs it again when its policy says so, records its end, and answers whoever asks over
// the control socket (docs/format/control.md). One thread, one loop.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/event_loop.h"
#include "diatom/runtime.h"
#include "runtime/control_messages.h"
#include "runtime/monitor/attachments.h"
#include "runtime/monitor/control_server.h"
#include "runtime/monitor/health.h"
#include "runtime/monitor/restart.h"
#include "runtime/monitor/saver.h"
#include "runtime/plan.h"
#include "runtime/task.h"
#include "store/store.h"

namespace diatom {

class Monitor {
 public:
  // Takes the container's lock; fails with already_exists when another monitor has it.
  static Result<std::unique_ptr<Monitor>> open(store::Paths paths, const std::string& id, EventLoop& loop);
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;
  Monitor(Monitor&&) = delete;
  Monitor& operator=(Monitor&&) = delete;
  ~Monitor();

  // `starter`: the connection of whoever wants the container to run. Returns when it has ended for good, and everybody
  // knows; with the container's exit code. On failure nothing has been started, and the starter, where it is still
  // there, has not been told.
  Result<int> run(UniqueFd& starter);

 private:
  using StreamId = channel::StreamId;
  // Somebody who waits for an answer: nobody, once the stream is closed.
  struct Waiting {
    channel::Connection* connection;
    StreamId stream;
    bool closed = false;
  };
  using Asker = std::shared_ptr<Waiting>;
  enum class Phase { between, starting, running, paused, stopping, done };

  explicit Monitor(EventLoop& loop) : loop_(loop), restart_({}) {}

  struct Input {
    Asker from;
    std::string held;    // came, and was not taken by the program yet
    bool ended = false;  // nothing more comes
  };

  // ---- Its life.
  void begin_run_soon();
  void begin_run();
  Result<> plan_run();
  Result<> run_planned();
  void run_or_fail(const Result<>& planned);
  void started();
  void ended(Result<channel::ExitReport> report);
  void record_end(const Result<channel::ExitReport>& report);
  void next(std::optional<std::chrono::milliseconds> delay);
  void finish();
  void tell_of_failed_start();
  void leave_when_idle();
  void set_state(std::string_view state);
  Result<> write_record(bool on_disk);
  void save(bool on_disk = false);
  void start_health();
  void emit(std::string_view action, std::map<std::string, std::string> attributes = {});

  // ---- What it is asked (monitor_requests.cc).
  channel::StreamHandlers route(channel::Connection& client, StreamId stream, const channel::Request& request);
  channel::StreamHandlers route_own(channel::Connection& client, StreamId stream, const channel::Request& request);
  channel::StreamHandlers attach_input(const Asker& asker);
  channel::StreamHandlers route_process(channel::Connection& client, StreamId stream, const channel::Request& request);
  channel::StreamHandlers start_exec(const Asker& asker, const std::string& id);
  channel::StreamHandlers report_exec(const Asker& asker, const channel::Request& request, const std::string& id);
  void exec_ended(const std::string& id, const std::optional<channel::AgentClient::Response>& response);
  channel::StreamHandlers set_size(const Asker& asker, const std::string& path);
  static Asker asker_of(channel::Connection& client, StreamId stream);
  static channel::StreamHandlers wait_in(std::vector<Asker>& list, Asker asker);
  channel::StreamHandlers with_body(const Asker& asker, std::function<void(std::string)> act,
                                    size_t most_bytes = 64 << 10);
  void offer_input();
  void input_over(const std::shared_ptr<Input>& input);
  void stop(const StopRequest& request);
  void kill_for_good();
  void kill(const Asker& asker, std::string_view signal);
  channel::StreamHandlers hold(const Asker& asker);
  void let_go(const Asker& asker);
  void resume_unless_held(const Asker& asker);
  void freeze(const Asker& asker, bool frozen);
  void freeze_for(const Asker& asker, bool frozen, std::function<void()> on_done);
  void update(const Asker& asker, const std::string& body);
  // ---- monitor_saving.cc.
  void save_vm(const Asker& asker, const std::string& body);
  void save_next();
  void end_saving();
  Result<> plan_going_on();
  void forget_saved();
  void tell_starters(const StartLine& line);
  void reached(std::string_view stage);
  static void tell(std::vector<Asker>& list, int status, const std::string& body);
  static void answer(const Asker& asker, int status, std::string_view body = {});
  static void refuse(const Asker& asker, const Error& error);
  static void pass_on(const Asker& asker, const std::optional<channel::AgentClient::Response>& response);
  Error not_running(std::string_view what) const;
  bool has_program() const { return phase_ == Phase::running || phase_ == Phase::paused; }
  std::string shown() const { return "container " + record_.id.substr(0, 12); }

  EventLoop& loop_;
  std::unique_ptr<store::Store> store_;
  std::optional<FileLock> lock_;
  store::ContainerRecord record_;
  ContainerSpec spec_;
  Plan plan_;
  int stop_signal_ = 15;
  std::vector<std::unique_ptr<vm::Engine>> engines_;
  std::optional<LogWriter> log_;
  std::unique_ptr<Attachments> attachments_;
  std::unique_ptr<ControlServer> server_;
  vm::Engine* engine_ = nullptr;
  std::optional<CancelToken> cancel_preparation_;
  std::jthread preparation_;  // of the engine, before there is a task
  std::unique_ptr<Task> task_;
  std::unique_ptr<Saver> saver_;  // of the first of these; goes before the task
  std::deque<std::pair<Asker, vm::SaveTarget>> saves_;
  std::unique_ptr<HealthChecker> health_;
  RestartDecision restart_;
  Phase phase_ = Phase::between;
  std::chrono::steady_clock::time_point run_began_;
  std::vector<StageTime> stages_;                   // of this run
  std::optional<channel::Limits> late_limits_;      // that came while the guest was booting
  std::chrono::steady_clock::time_point kill_due_;  // of a stop
  bool host_stops_ = false;                         // it is the host that wants us to end, and nobody else
  bool begun_ = false;
  bool ever_ran_ = false;
  std::optional<std::pair<uint16_t, uint16_t>> size_;  // of the terminal: rows and columns, told before there is one
  bool stop_requested_ = false;
  bool restart_requested_ = false;
  std::optional<EventLoop::TimerId> timer_;  // the next run, or the next step of a stop
  int exit_code_ = 125;
  std::optional<Error> start_error_;  // its starters are yet to be told

  std::vector<Asker> starters_;     // told of every stage
  std::vector<Asker> exit_askers_;  // told of the end of this run
  std::vector<Asker> stop_askers_;  // told when it has stopped for good
  std::vector<Asker> restart_askers_;
  std::vector<Asker> holders_;  // for whom it is paused; none where it is paused by somebody's word
  std::vector<std::shared_ptr<Input>> inputs_;
  std::set<std::string> tools_;  // the agent's, that are at work
  std::set<std::string> execs_;  // that have started, and whose end is yet to be an event
};

// What the monitor's executable does: `diatom-monitor ID`, with the starter's connection as descriptor 3.
int monitor_main(int argc, char** argv);

}  // namespace diatom
