#include "runtime/tool.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/platform/platform.h"
#include "runtime/names.h"

namespace diatom {

namespace {

using namespace std::chrono_literals;
using channel::Output;

constexpr size_t block_size = 256 << 10;
constexpr int pipe_size = 1 << 20;
constexpr size_t most_words = 64 << 10;
constexpr size_t most_warnings = 64;
constexpr auto cancel_deadline = 5s;  // for the tool to leave what it is at

// A signal is for whoever's process this is, and a pipe that breaks is an error of ours.
void block_signals() {
  sigset_t signals;
  sigfillset(&signals);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

// "not_found: open /x: No such file or directory"
Error tool_error(std::string_view line) {
  for (Errc code : {Errc::not_found, Errc::already_exists, Errc::invalid_argument, Errc::unsupported, Errc::internal}) {
    std::string_view name = errc_name(code);
    if (line.starts_with(name) && line.substr(name.size()).starts_with(": "))
      return {code, std::string(line.substr(name.size() + 2)), "", 0};
  }
  return {Errc::guest, line.empty() ? "the guest's tool failed without a word" : std::string(line), "", 0};
}

}  // namespace

Tool::Tool(EventLoop& loop, channel::AgentClient& agent, ToolCall call, std::function<void(Result<>)> on_done)
    : loop_(loop), agent_(agent), call_(std::move(call)), on_done_(std::move(on_done)), id_(make_container_id()) {}

Tool::~Tool() {
  if (deadline_) loop_.cancel(*deadline_);
  close_pipe();  // which ends the thread
}

Result<> Tool::start() {
  platform::Pipe pipe = TRY(platform::make_pipe());
  bool sends = static_cast<bool>(call_.send);
  pipe_ = std::move(sends ? pipe.read_end : pipe.write_end);
  their_end_ = std::move(sends ? pipe.write_end : pipe.read_end);
  ::fcntl(pipe_.get(), F_SETFL, O_NONBLOCK);
  platform::widen_pipe(pipe_.get(), pipe_size);

  channel::ProcessConfig config;
  config.tool = call_.tool;
  config.argv = call_.words;
  config.open_stdin = sends;
  agent_.start_process(id_, config,
                       {.on_started =
                            [this](std::expected<void, channel::StartFailure> result) {
                              if (!result) tool_ended(fail(Errc::guest, result.error().message));
                            },
                        .on_output =
                            [this](Output output, std::span<const std::byte> data) {
                              if (output == Output::stdout_stream) return received(data);
                              words_.append(reinterpret_cast<const char*>(data.data()),
                                            std::min(data.size(), most_words - std::min(words_.size(), most_words)));
                              agent_.consumed(id_, output, data.size());
                            },
                        .on_output_end =
                            [this](Output output) {
                              if (output != Output::stdout_stream) return;
                              stream_ended_ = true;
                              if (!call_.send) pass_received();
                            },
                        .on_stdin_writable = [this] { pass_sent(); },
                        .on_exit = [this](Result<channel::ExitReport> report) { tool_ended(std::move(report)); }});
  if (sends) {
    watched_ = true;
    loop_.on_readable(pipe_.get(), [this] { pass_sent(); });
  }
  thread_ = std::jthread([this] {
    block_signals();
    auto result = (call_.send ? call_.send : call_.receive)(their_end_.get());
    their_end_.reset();
    loop_.post([this, result = std::move(result)] { thread_ended(result); });
  });
  return {};
}

// ---- Its stream.

void Tool::received(std::span<const std::byte> data) {
  if (call_.send || !pipe_) return agent_.consumed(id_, Output::stdout_stream, data.size());
  held_.insert(held_.end(), data.begin(), data.end());
  if (!watched_) pass_received();
}

void Tool::pass_received() {
  size_t done = 0;
  while (pipe_ && held_begin_ < held_.size()) {
    ssize_t put = ::write(pipe_.get(), held_.data() + held_begin_, held_.size() - held_begin_);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno == EAGAIN) break;
    if (put < 0) {  // its reader has gone, and says why itself
      close_pipe();
      agent_.close_output(id_, Output::stdout_stream);
      break;
    }
    held_begin_ += static_cast<size_t>(put);
    done += static_cast<size_t>(put);
  }
  if (!pipe_ || held_begin_ == held_.size()) {
    if (!pipe_) done += held_.size() - held_begin_;
    held_.clear();
    held_begin_ = 0;
  }
  if (done > 0) agent_.consumed(id_, Output::stdout_stream, done);
  bool blocked = pipe_ && !held_.empty();
  if (blocked && !watched_) loop_.on_writable(pipe_.get(), [this] { pass_received(); });
  if (!blocked && watched_ && pipe_) loop_.forget(pipe_.get());
  watched_ = blocked;
  if (stream_ended_ && held_.empty()) close_pipe();
}

void Tool::pass_sent() {
  while (pipe_) {
    if (held_begin_ == held_.size()) {
      held_.resize(block_size);
      ssize_t got = ::read(pipe_.get(), held_.data(), held_.size());
      held_.resize(got > 0 ? static_cast<size_t>(got) : 0);
      held_begin_ = 0;
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) break;
      if (got <= 0) {
        // Where its writer failed, the tool has to see that this is no end.
        close_pipe();
        agent_.close_stdin(id_);
        return;
      }
    }
    held_begin_ += agent_.write_stdin(id_, std::span(held_).subspan(held_begin_));
    if (held_begin_ < held_.size()) break;
  }
  bool wants = pipe_ && held_begin_ == held_.size();
  if (wants && !watched_) loop_.on_readable(pipe_.get(), [this] { pass_sent(); });
  if (!wants && watched_ && pipe_) loop_.forget(pipe_.get());
  watched_ = wants;
}

void Tool::close_pipe() {
  if (pipe_ && watched_) loop_.forget(pipe_.get());
  watched_ = false;
  pipe_.reset();
}

// ---- Its end.

void Tool::cancel() {
  if (std::exchange(cancelled_, true)) return;
  if (call_.on_cancel) call_.on_cancel();
  bool open = static_cast<bool>(pipe_);
  close_pipe();
  if (open) call_.send ? agent_.close_stdin(id_) : agent_.close_output(id_, Output::stdout_stream);
  deadline_ = loop_.after(cancel_deadline, [this] {
    deadline_.reset();
    tool_ended(fail(Errc::guest, "the guest's tool does not end"));
  });
}

void Tool::thread_ended(Result<> result) {
  thread_.join();
  thread_failed_first_ = !result && !tool_result_ && !stream_ended_;
  thread_result_ = std::move(result);
  finish_if_over();
}

void Tool::tool_ended(Result<channel::ExitReport> report) {
  if (tool_result_) return;
  tool_result_ = report ? read_words(*report) : Result<>(std::unexpected(report.error()));
  stream_ended_ = true;
  if (call_.send)
    close_pipe();  // nobody reads it
  else
    pass_received();
  finish_if_over();
}

// One line each: "warning: …", and the reason last.
Result<> Tool::read_words(const channel::ExitReport& report) {
  std::string last;
  for (size_t begin = 0; begin < words_.size();) {
    size_t end = std::min(words_.find('\n', begin), words_.size());
    std::string line = words_.substr(begin, end - begin);
    begin = end + 1;
    constexpr std::string_view warning = "warning: ";
    if (!line.starts_with(warning))
      last = line;
    else if (warnings_.size() < most_warnings)
      warnings_.push_back(line.substr(warning.size()));
  }
  if (report.code == 0) return {};
  if (report.signal == SIGKILL)
    return fail(Errc::guest, "the guest's tool was killed: the guest may have too little memory");
  return std::unexpected(tool_error(last));
}

void Tool::finish_if_over() {
  if (!thread_result_ || !tool_result_ || !on_done_) return;
  if (deadline_) loop_.cancel(*std::exchange(deadline_, std::nullopt));
  auto done = std::exchange(on_done_, nullptr);
  bool thread_says_why = thread_failed_first_ || (!*thread_result_ && *tool_result_);
  Result<> result = thread_says_why ? std::move(*thread_result_) : std::move(*tool_result_);
  if (cancelled_) {
    std::string at = result ? "" : ": " + result.error().message;
    return done(fail(Errc::cancelled, "interrupted" + at));
  }
  done(std::move(result));
}

}  // namespace diatom
