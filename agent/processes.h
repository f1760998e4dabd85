// The container's processes that the host knows by an id: the first one, "main", and those that are executed beside it.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/event_loop.h"
#include "cgroup.h"
#include "channel/connection.h"
#include "channel/messages.h"
#include "process_io.h"
#include "spawn.h"

namespace diatom::agent {

class Processes {
 public:
  using StreamId = channel::StreamId;
  // `connection` and `freezer` outlive this.
  Processes(EventLoop& loop, channel::Connection*& connection, const Freezer& freezer)
      : loop_(loop), connection_(connection), freezer_(freezer) {}
  Processes(const Processes&) = delete;
  Processes& operator=(const Processes&) = delete;
  Processes(Processes&&) = delete;
  Processes& operator=(Processes&&) = delete;
  ~Processes();

  // For a VM that others are restored from: the first process is made, and waits for what it is to become.
  Result<> prepare(const channel::Preparation& preparation);
  bool prepared() const { return waiting_ != nullptr; }
  // Before a container is made: what was prepared and does not fit it goes.
  void prepare_for(const channel::ContainerConfig& config);
  // The root is there: the first process may start.
  void set_container(channel::ContainerConfig config, std::string text);
  channel::StreamHandlers route(StreamId stream, const std::string& method, std::string_view id, std::string_view rest);

  bool has_container() const { return container_.has_value(); }
  channel::ContainerConfig& container() { return *container_; }  // once there is one
  // Another client takes the place of the one that asked for all this: it will ask for the first process's streams
  // again, and for nothing else.
  void leave_clients();

  void reap();  // some child has ended
  // None of them lives any more, and what is killed is not waited for.
  bool all_dead() const;
  void kill_all();
  void leave_namespaces() { namespaces_.clear(); }  // they hold the root
  pid_t first() const;                              // -1 while the container does not run
  size_t size() const { return processes_.size(); }

 private:
  enum class Phase { mentioned, starting, running, ended };
  // As it came, too.
  struct ProcessText {
    channel::ProcessConfig config;
    std::string text;
  };
  // A process from its first mention: the host sends everything at once, and requests for its streams may come before
  // the one that starts it is complete. Until it was reported, and all its streams are closed.
  struct Process {
    Phase phase = Phase::mentioned;
    std::optional<ProcessText> config;  // of the first one, while it waits for the container
    std::optional<Spawning> spawning;
    StreamId start_stream = 0;
    pid_t pid = -1;  // until it was reaped
    channel::ExitReport report;
    std::vector<StreamId> exit_streams;
    bool is_tool = false;
    bool reported = false;  // or nobody is there any more who would want to know
    bool killed = false;    // by the host
    uint64_t oom_kills = 0;
    ProcessIo io;
    Process(EventLoop& loop, channel::Connection*& connection) : io(loop, connection) {}
  };

  Process& process(std::string_view id);
  Process* find(std::string_view id);
  void start(StreamId stream, const std::string& id, const std::string& body);
  Result<> may_start(std::string_view id, const Process& process) const;
  void spawn(const std::string& id, Process& process, const ProcessText& wanted);
  std::expected<Spawning, channel::StartFailure> spawn_first(const ProcessText& wanted);
  void look_at_start(const std::string& id);
  void start_failed(const std::string& id, Process& process, const channel::StartFailure& why);
  void ended(const std::string& id, Process& process, int status);
  channel::StreamHandlers attach(StreamId stream, std::string_view id, std::string_view name);
  channel::StreamHandlers await_exit(StreamId stream, std::string_view id);
  void kill(StreamId stream, std::string_view id, std::string_view signal);
  void resize(StreamId stream, std::string_view id, std::string_view size);
  void close_output(StreamId stream, std::string_view id, std::string_view name);
  void report(const std::string& id, Process& process);
  void sweep_soon();
  void sweep();

  EventLoop& loop_;
  channel::Connection*& connection_;
  const Freezer& freezer_;
  std::optional<channel::ContainerConfig> container_;
  std::string container_text_;  // as it came
  std::unique_ptr<WaitingProcess> waiting_;
  std::vector<UniqueFd> namespaces_;  // of the first process, where it has waited
  std::map<std::string, std::unique_ptr<Process>, std::less<>> processes_;
  std::optional<EventLoop::TimerId> sweep_;
};

}  // namespace diatom::agent
