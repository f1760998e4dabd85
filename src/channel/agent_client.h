// The host's end of the guest's agent. Everything that comes from the guest is hostile: bounded, decoded totally, and a
// typed error (Errc::guest) when it makes no sense. Resources and bodies: docs/format/channel.md.
#pragma once

#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "channel/connection.h"
#include "channel/messages.h"
#include "channel/reports.h"

namespace diatom::channel {

enum class Output { stdout_stream = 0, stderr_stream = 1 };

struct ProcessHandlers {
  // The program has been executed, or why not: StartFailure tells docker's exit code with it.
  std::function<void(std::expected<void, StartFailure>)> on_started;
  std::function<void(Output, std::span<const std::byte>)> on_output;  // answered by consumed()
  std::function<void(Output)> on_output_end;
  std::function<void()> on_stdin_writable;          // room again after write_stdin() took less than offered
  std::function<void(Result<ExitReport>)> on_exit;  // once, after on_started and both outputs' ends; not when it failed
};

// What sets the size of a process's terminal.
std::string resize_path(std::string_view id, uint16_t rows, uint16_t cols);

// One for each VM; lives on the loop's thread. Requests may be made before the agent is there: they wait.
class AgentClient {
 public:
  // Takes the channel; with none, requests wait until attach(). `on_lost` is called once when it breaks.
  static Result<std::unique_ptr<AgentClient>> connect(EventLoop& loop, UniqueFd channel,
                                                      std::function<void(Error)> on_lost);
  Result<> attach(UniqueFd channel);  // once
  AgentClient(const AgentClient&) = delete;
  AgentClient& operator=(const AgentClient&) = delete;
  AgentClient(AgentClient&&) = delete;
  AgentClient& operator=(AgentClient&&) = delete;
  ~AgentClient() = default;

  // What is asked between the two goes out in one write.
  void cork() { connection_->cork(); }
  void uncork() { connection_->uncork(); }

  bool lost() const { return connection_->lost(); }
  void close() { connection_->close(); }  // nothing comes of what was asked any more
  // For streams that this class knows nothing of: those that are relayed.
  Connection& connection() { return *connection_; }

  // A request of somebody else's, and its answer as it came; none when the channel broke.
  static constexpr size_t most_forwarded = 8 << 20;
  struct Response {
    int status = 0;
    std::string body;
  };
  void forward(const Request& request, std::string_view body, std::function<void(std::optional<Response>)> done) {
    call(request, body, std::move(done), most_forwarded);
  }

  void prepare(const Preparation& preparation, std::function<void(Result<>)> done);
  void start_container(const ContainerConfig& config, std::function<void(Result<>)> done);
  // `id`: "main" is the container's first process; any other one (of [A-Za-z0-9_.-]) runs beside it once that has
  // started. An id is free again after on_exit, or after on_started told why not.
  void start_process(const std::string& id, const ProcessConfig& config, ProcessHandlers handlers);
  // The same for one that runs already, in a VM that was copied while it did: its streams are joined from now on.
  // on_started is not called.
  void adopt_process(const std::string& id, const ProcessConfig& config, ProcessHandlers handlers);
  size_t write_stdin(std::string_view id, std::span<const std::byte> data);  // returns what it took
  void close_stdin(std::string_view id);
  void consumed(std::string_view id, Output output, size_t bytes);
  void close_output(std::string_view id, Output output);  // nobody reads it: the program gets SIGPIPE
  void kill(std::string_view id, int signal, std::function<void(Result<>)> done);
  void resize(std::string_view id, uint16_t rows, uint16_t cols);
  void read_clock(std::function<void(Result<ClockReading>)> done);
  void stats(std::function<void(Result<Stats>)> done);
  void list_processes(std::function<void(Result<ProcessList>)> done);
  // Answered when every process of the container stands still, or goes on. Both succeed when it is so already.
  void freeze(std::function<void(Result<>)> done);
  void thaw(std::function<void(Result<>)> done);
  void set_limits(const Limits& limits, std::function<void(Result<>)> done);
  // From `done` on nothing is under way between the two ends, and none of them says anything before go_on(): so that
  // the VM can be copied, and each copy be spoken to by a client of its own.
  void quiesce(std::function<void(Result<>)> done);
  void go_on();
  void set_identity(const Identity& identity, std::function<void(Result<>)> done);
  // Kills what is left, writes the disks out, unmounts them.
  void shutdown(std::function<void(Result<>)> done);

 private:
  struct Process {
    ProcessHandlers handlers;
    StreamId stdin_stream = 0;
    StreamId outputs[2] = {0, 0};
    int open_outputs = 0;
    bool wide = false;  // much goes through its streams
    bool started = false;
    std::optional<Result<ExitReport>> exit;
  };

  using Answer = std::function<void(std::optional<Response>)>;  // lacks when the channel broke

  AgentClient() = default;
  Process* find(std::string_view id);
  // A request with a message as its body and one as its answer.
  StreamId call(Request request, std::string_view body, Answer done, size_t most_bytes = 64 << 10);
  // What of an answer is 200 or a refusal, for a caller that wants no more.
  static Answer plain(std::string what, std::function<void(Result<>)> done);
  template <class Message>
  void get(const char* path, const char* what, size_t most_bytes, Result<Message> (*decode)(std::string_view),
           std::function<void(Result<Message>)> done);
  std::shared_ptr<Process> make_process(const std::string& id, const ProcessConfig& config, ProcessHandlers handlers);
  void open_streams(const std::shared_ptr<Process>& process, const std::string& id, const ProcessConfig& config);
  void open_output(const std::shared_ptr<Process>& process, const std::string& id, Output output);
  void open_input(const std::shared_ptr<Process>& process, const std::string& id);
  void start_failed(const std::string& id, Process& process, const std::optional<Response>& answer);
  void try_exit(const std::string& id, Process& process);
  void forget(const std::string& id, Process& process);

  // Those that have not ended. A process lives on as long as one of its streams.
  std::map<std::string, std::shared_ptr<Process>, std::less<>> processes_;
  std::unique_ptr<Connection> connection_;  // goes first: its streams' handlers refer to the processes
};

}  // namespace diatom::channel
