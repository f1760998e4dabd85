#include "processes.h"

#include <signal.h>
#include <sys/wait.h>

#include <algorithm>

#include "answers.h"

namespace diatom::agent {

namespace {

using namespace std::chrono_literals;

constexpr std::string_view first_id = "main";
constexpr size_t longest_id = 64;
constexpr ptrdiff_t most_alive = 1024;
constexpr size_t most_known = 4096;  // with those whose end nobody has asked about
// How long an end waits to be asked about: the host asks in the same breath as it starts, unless it has gone.
constexpr auto report_patience = 60s;

bool good_id(std::string_view id) {
  return !id.empty() && id.size() <= longest_id && std::ranges::all_of(id, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-';
  });
}

std::optional<size_t> output_number(std::string_view name) {
  if (name == "stdout") return 0;
  if (name == "stderr") return 1;
  return std::nullopt;
}

}  // namespace

Processes::~Processes() {
  if (sweep_) loop_.cancel(*sweep_);
  for (const auto& [id, process] : processes_)
    if (process->spawning) loop_.forget(process->spawning->news());
}

Processes::Process& Processes::process(std::string_view id) {
  if (Process* known = find(id)) return *known;
  auto made = std::make_unique<Process>(loop_, connection_);
  made->io.on_detached([this] { sweep_soon(); });
  return *processes_.emplace(std::string(id), std::move(made)).first->second;
}

Processes::Process* Processes::find(std::string_view id) {
  auto found = processes_.find(id);
  return found == processes_.end() ? nullptr : found->second.get();
}

pid_t Processes::first() const {
  auto found = processes_.find(first_id);
  return found != processes_.end() && found->second->phase == Phase::running ? found->second->pid : -1;
}

channel::StreamHandlers Processes::route(StreamId stream, const std::string& method, std::string_view id,
                                         std::string_view rest) {
  auto after = [rest](std::string_view prefix) { return std::string(rest.substr(prefix.size())); };
  std::string name(id);
  bool known = good_id(id) && (find(id) != nullptr || processes_.size() < most_known);
  if (known && method == "PUT" && rest.empty())
    return with_body(*connection_, stream,
                     [this, stream, name](const std::string& body) { start(stream, name, body); });
  if (known && method == "GET" && (rest == "/stdout" || rest == "/stderr")) return attach(stream, id, after("/"));
  if (known && method == "PUT" && rest == "/stdin") return attach(stream, id, after("/"));
  if (known && method == "GET" && rest == "/exit") return await_exit(stream, id);
  if (method == "POST" && rest.starts_with("/kill/"))
    return with_body(*connection_, stream, [this, stream, name, signal = after("/kill/")](const std::string&) {
      kill(stream, name, signal);
    });
  if (method == "POST" && rest.starts_with("/resize/"))
    return with_body(*connection_, stream, [this, stream, name, size = after("/resize/")](const std::string&) {
      resize(stream, name, size);
    });
  if (method == "POST" && rest.starts_with("/close/"))
    return with_body(*connection_, stream, [this, stream, name, output = after("/close/")](const std::string&) {
      close_output(stream, name, output);
    });
  answer(*connection_, stream, 404);
  return {};
}

// ---- Streams.

channel::StreamHandlers Processes::attach(StreamId stream, std::string_view id, std::string_view name) {
  auto output = output_number(name);
  Process& wanted = process(id);
  ProcessIo& io = wanted.io;
  if (output ? !io.can_attach_output(*output) : !io.can_attach_input()) {
    refuse(*connection_, stream, {125, "attach to " + std::string(name) + ": another has it"});
    return {};
  }
  if (id == first_id || wanted.is_tool) connection_->widen(stream);
  return output ? io.attach_output(stream, *output) : io.attach_input(stream);
}

channel::StreamHandlers Processes::await_exit(StreamId stream, std::string_view id) {
  Process& wanted = process(id);
  wanted.exit_streams.push_back(stream);
  report(std::string(id), wanted);
  channel::StreamHandlers handlers;
  handlers.on_close = [this, stream, name = std::string(id)](bool) {
    Process* asked = find(name);
    // Those that were answered are not in the list any more.
    if (asked == nullptr || std::erase(asked->exit_streams, stream) == 0) return;
    if (asked->exit_streams.empty()) asked->reported = true;  // who wanted to know has gone
    sweep_soon();
  };
  return handlers;
}

void Processes::close_output(StreamId stream, std::string_view id, std::string_view name) {
  auto output = output_number(name);
  Process* wanted = find(id);
  if (!output || wanted == nullptr)
    return refuse(*connection_, stream, {125, "close output: no such process or output"});
  wanted->io.close_output(*output);
  answer(*connection_, stream, 200);
}

void Processes::kill(StreamId stream, std::string_view id, std::string_view signal) {
  auto value = parse_number(signal, 64);
  Process* wanted = find(id);
  if (!value || wanted == nullptr) return refuse(*connection_, stream, {125, "send signal: no such process or signal"});
  if (wanted->pid > 0) ::kill(wanted->pid, static_cast<int>(*value));
  wanted->killed = wanted->killed || *value == SIGKILL;
  answer(*connection_, stream, 200);
}

void Processes::resize(StreamId stream, std::string_view id, std::string_view size) {
  size_t slash = std::min(size.find('/'), size.size());
  auto rows = parse_number(size.substr(0, slash), UINT16_MAX);
  auto cols = parse_number(size.substr(std::min(slash + 1, size.size())), UINT16_MAX);
  Process* wanted = find(id);
  if (!rows || !cols || wanted == nullptr)
    return refuse(*connection_, stream, {125, "resize: no such process or size"});
  wanted->io.resize(static_cast<uint16_t>(*rows), static_cast<uint16_t>(*cols));
  answer(*connection_, stream, 200);
}

// ---- From start to end.

Result<> Processes::prepare(const channel::Preparation& preparation) {
  if (container_ || waiting_) return fail(Errc::already_exists, "prepare container: there is one");
  waiting_ = TRY(WaitingProcess::make(preparation));
  return {};
}

void Processes::prepare_for(const channel::ContainerConfig& config) {
  if (waiting_ && !waiting_->fits(config)) waiting_.reset();
}

void Processes::set_container(channel::ContainerConfig config, std::string text) {
  container_ = std::move(config);
  container_text_ = std::move(text);
  Process* first = find(first_id);
  if (first == nullptr || !first->config) return;
  ProcessText wanted = std::move(*first->config);
  first->config.reset();
  spawn(std::string(first_id), *first, wanted);
}

Result<> Processes::may_start(std::string_view id, const Process& process) const {
  std::string what = "start process " + std::string(id) + ": ";
  if (process.phase != Phase::mentioned || process.start_stream != 0)
    return fail(Errc::already_exists, what + "it was started already");
  if (process.is_tool && (id == first_id || !container_))
    return fail(Errc::start_failed, what + "there is no container");
  if (id == first_id) return {};
  if (!process.is_tool && first() < 0) return fail(Errc::start_failed, what + "the container is not running");
  if (!process.is_tool && freezer_.frozen()) return fail(Errc::start_failed, what + "the container is paused");
  if (std::ranges::count_if(processes_, [](const auto& entry) { return entry.second->pid > 0; }) >= most_alive)
    return fail(Errc::start_failed, what + std::to_string(most_alive) + " of them run already");
  return {};
}

void Processes::start(StreamId stream, const std::string& id, const std::string& body) {
  Process& wanted = process(id);
  auto config = channel::decode_process_config(body);
  if (wanted.phase == Phase::mentioned && wanted.start_stream == 0) wanted.is_tool = config && !config->tool.empty();
  if (auto may = may_start(id, wanted); !may) {
    // One that was started goes on: this was another's wish.
    if (wanted.phase != Phase::mentioned) return refuse(*connection_, stream, {125, may.error().message});
    wanted.start_stream = stream;
    return start_failed(id, wanted, {125, may.error().message});
  }
  wanted.start_stream = stream;
  if (!config) return start_failed(id, wanted, {125, config.error().message});
  if (config->detached) wanted.io.discard_output();
  ProcessText text{std::move(*config), id == first_id ? body : ""};
  if (container_) return spawn(id, wanted, text);
  wanted.config = std::move(text);
}

std::expected<Spawning, channel::StartFailure> Processes::spawn_first(const ProcessText& wanted) {
  if (wanted.config.privileged) waiting_.reset();
  auto waiting = std::exchange(waiting_, nullptr);
  if (!waiting) return agent::spawn(*container_, wanted.config);
  namespaces_ = waiting->take_namespaces();
  return waiting->go_on(std::exchange(container_text_, ""), wanted.text, wanted.config);
}

void Processes::spawn(const std::string& id, Process& process, const ProcessText& wanted) {
  auto spawning = id == first_id ? spawn_first(wanted) : agent::spawn(*container_, wanted.config, first());
  if (!spawning) return start_failed(id, process, spawning.error());
  process.phase = Phase::starting;
  process.pid = spawning->pid();
  process.oom_kills = count_oom_kills();
  process.spawning = std::move(*spawning);
  loop_.on_readable(process.spawning->news(), [this, id] { look_at_start(id); });
}

void Processes::look_at_start(const std::string& id) {
  Process* starting = find(id);
  auto result = starting->spawning->result();
  if (!result) return;
  loop_.forget(starting->spawning->news());
  starting->spawning.reset();
  if (!*result) return start_failed(id, *starting, result->error());
  starting->phase = Phase::running;
  connection_->cork();
  answer(*connection_, std::exchange(starting->start_stream, 0), 200);
  starting->io.started(std::move(**result));
  connection_->uncork();
}

void Processes::start_failed(const std::string& id, Process& process, const channel::StartFailure& why) {
  process.phase = Phase::ended;
  process.report.code = why.exit_code;
  connection_->cork();
  refuse(*connection_, std::exchange(process.start_stream, 0), why);
  process.io.not_started();
  process.io.ended();
  report(id, process);
  connection_->uncork();
  sweep_soon();
}

void Processes::leave_clients() {
  for (const auto& [id, process] : processes_) process->start_stream = 0;
  if (Process* main = find(first_id)) main->io.leave_streams();
}

void Processes::reap() {
  int status = 0;
  for (pid_t pid; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
    if (waiting_ && waiting_->pid() == pid) {
      waiting_->ended();
      waiting_.reset();
    }
    auto found = std::ranges::find_if(processes_, [pid](const auto& entry) { return entry.second->pid == pid; });
    if (found == processes_.end()) continue;  // an orphan
    ended(found->first, *found->second, status);
  }
}

void Processes::ended(const std::string& id, Process& process, int status) {
  process.pid = -1;
  sweep_soon();
  if (process.phase == Phase::starting) look_at_start(id);  // its last words are there
  if (process.phase == Phase::ended) return;                // it did not start
  process.phase = Phase::ended;
  channel::ExitReport& report = process.report;
  report.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  report.code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  uint64_t oom_kills = count_oom_kills();
  report.oom_killed =
      id == first_id ? oom_kills > 0 : report.signal == SIGKILL && !process.killed && oom_kills > process.oom_kills;
  connection_->cork();
  process.io.ended();
  this->report(id, process);
  connection_->uncork();
}

void Processes::report(const std::string& id, Process& process) {
  if (process.phase != Phase::ended) return;
  process.reported = process.reported || !process.exit_streams.empty();
  for (StreamId stream : std::exchange(process.exit_streams, {}))
    answer(*connection_, stream, 200, encode(process.report));
  if (process.reported) return sweep_soon();
  loop_.after(report_patience, [this, id] {
    Process* known = find(id);
    if (known == nullptr || known->phase != Phase::ended) return;
    known->reported = true;
    sweep_soon();
  });
}

bool Processes::all_dead() const {
  return std::ranges::all_of(processes_, [](const auto& entry) { return entry.second->pid < 0; });
}

void Processes::kill_all() {
  waiting_.reset();
  kill_cgroup();
  for (const auto& [id, process] : processes_)
    if (process->pid > 0) ::kill(process->pid, SIGKILL);
}

void Processes::sweep_soon() {
  if (!sweep_) sweep_ = loop_.after(0ms, [this] { sweep(); });
}

// The first one stays: that it has ended is what the container is.
void Processes::sweep() {
  sweep_.reset();
  std::erase_if(processes_, [](const auto& entry) {
    const Process& process = *entry.second;
    bool over = process.phase == Phase::mentioned || (process.phase == Phase::ended && process.reported);
    return entry.first != first_id && over && process.pid < 0 && process.start_stream == 0 &&
           process.exit_streams.empty() && process.io.idle();
  });
}

}  // namespace diatom::agent
