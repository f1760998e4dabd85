#include "runtime/local_stdio.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/file.h"

namespace diatom {

namespace {

using channel::Output;

constexpr size_t stdin_block = 64 << 10;
constexpr size_t compact_bytes = 256 << 10;

}  // namespace

Result<std::string> parse_detach_keys(std::string_view text) {
  std::string keys;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = std::min(text.find(',', begin), text.size());
    std::string_view key = text.substr(begin, end - begin);
    begin = end + 1;
    if (key.size() == 1) {
      keys += key[0];
      continue;
    }
    bool control = key.size() == 6 && key.starts_with("ctrl-");
    char letter = control ? key[5] : '\0';
    if (letter >= 'a' && letter <= 'z') letter = static_cast<char>(letter - 32);
    if (letter < '@' || letter > '_')
      return fail(Errc::invalid_argument, "parse detach keys \"" + std::string(text.substr(0, 100)) + "\"",
                  "write ctrl-p,ctrl-q: single characters, or ctrl- and one of a-z @ [ \\ ] ^ _");
    keys += static_cast<char>(letter - '@');
  }
  return keys;
}

std::optional<TerminalSize> terminal_size(int fd) {
  winsize size{};
  if (::isatty(fd) == 0 || ::ioctl(fd, TIOCGWINSZ, &size) < 0) return std::nullopt;
  return TerminalSize{size.ws_row, size.ws_col};
}

LocalStdio::LocalStdio(EventLoop& loop, LocalStdioOptions options) : loop_(loop), options_(std::move(options)) {
  // The loop knows a watch by its descriptor: each direction needs one of its own.
  if (options_.stdin_fd == options_.stdout_fd || options_.stdin_fd == options_.stderr_fd)
    own_descriptor(options_.stdin_fd);
  if (options_.stderr_fd == options_.stdout_fd) own_descriptor(options_.stderr_fd);
  sink(Output::stdout_stream).fd = options_.stdout_fd;
  sink(Output::stderr_stream).fd = options_.stderr_fd;
}

void LocalStdio::own_descriptor(int& fd) {
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy) return;
  fd = copy.get();
  duplicates_.push_back(std::move(copy));
}

LocalStdio::~LocalStdio() {
  watch_stdin(false);
  for (Sink& one : sinks_)
    if (one.watched) loop_.forget(one.fd);
  if (saved_mode_) ::tcsetattr(options_.stdin_fd, TCSADRAIN, &*saved_mode_);
}

void LocalStdio::started() {
  if (!options_.open_stdin) return;
  termios mode{};
  if (options_.tty && ::tcgetattr(options_.stdin_fd, &mode) == 0) {
    saved_mode_ = mode;
    ::cfmakeraw(&mode);
    ::tcsetattr(options_.stdin_fd, TCSADRAIN, &mode);
  }
  watch_stdin(true);
}

void LocalStdio::watch_stdin(bool on) {
  if (on == stdin_watched_ || (on && stdin_ended_)) return;
  stdin_watched_ = on;
  if (on)
    loop_.on_readable(options_.stdin_fd, [this] { read_stdin(); });
  else
    loop_.forget(options_.stdin_fd);
}

void LocalStdio::read_stdin() {
  typed_.resize(stdin_block);
  ssize_t got = ::read(options_.stdin_fd, typed_.data(), typed_.size());
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) {
    typed_.clear();
    return;
  }
  typed_.resize(got > 0 ? static_cast<size_t>(got) : 0);
  if (got <= 0) {
    watch_stdin(false);
    stdin_ended_ = true;
    program_->close_stdin();
    return;
  }
  bool detach = look_for_detach_keys();
  offer_stdin();
  if (detach) options_.on_detach();
}

// Takes them out of what was typed. Those that turn out to be something else are sent late, but they are sent.
bool LocalStdio::look_for_detach_keys() {
  const std::string& keys = options_.detach_keys;
  if (keys.empty() || !options_.tty) return false;
  std::vector<std::byte> kept;
  for (std::byte byte : typed_) {
    auto key = [&](size_t i) { return static_cast<std::byte>(keys[i]); };
    if (byte == key(keys_seen_)) {
      if (++keys_seen_ < keys.size()) continue;
      typed_ = std::move(kept);  // what was typed before them is the program's
      return true;
    }
    for (size_t i = 0; i < keys_seen_; ++i) kept.push_back(key(i));
    keys_seen_ = 0;
    if (byte == key(0))
      keys_seen_ = 1;
    else
      kept.push_back(byte);
  }
  typed_ = std::move(kept);
  return false;
}

void LocalStdio::offer_stdin() {
  size_t taken = program_->write_stdin(typed_);
  typed_.erase(typed_.begin(), typed_.begin() + static_cast<ptrdiff_t>(taken));
  // What was not taken is offered again by stdin_writable(); until then nothing more is read.
  watch_stdin(typed_.empty());
}

void LocalStdio::stdin_writable() {
  if (!typed_.empty()) offer_stdin();
}

void LocalStdio::output(Output output, std::span<const std::byte> data) {
  Sink& to = sink(output);
  if (to.broken) {
    program_->consumed(output, data.size());
    return;
  }
  to.pending.insert(to.pending.end(), data.begin(), data.end());
  if (!to.watched) write_pending(output);
}

void LocalStdio::write_pending(Output output) {
  Sink& to = sink(output);
  bool whole = never_blocks(to.fd);
  size_t done = 0;
  while (to.begin < to.pending.size()) {
    size_t left = to.pending.size() - to.begin;
    // Without poll's word only a file may be written: the first block of a pipe waits for it.
    if (!whole && (!to.watched || done > 0)) break;
    ssize_t put = ::write(to.fd, to.pending.data() + to.begin, whole ? left : std::min(left, unblocking_write));
    if (put < 0 && (errno == EINTR || errno == EAGAIN)) break;
    if (put < 0) {
      if (errno != EPIPE && output_error_.empty())
        output_error_ =
            std::string("write ") + (output == Output::stdout_stream ? "stdout: " : "stderr: ") + std::strerror(errno);
      to.broken = true;
      done += left;
      to.begin = to.pending.size();
      program_->close_output(output);
      break;
    }
    to.begin += static_cast<size_t>(put);
    done += static_cast<size_t>(put);
  }
  if (done > 0) program_->consumed(output, done);
  bool empty = to.begin == to.pending.size();
  if (empty) {
    to.pending.clear();
    to.begin = 0;
  } else if (to.begin >= compact_bytes) {  // a reader that is always a little behind must not make it grow
    to.pending.erase(to.pending.begin(), to.pending.begin() + static_cast<ptrdiff_t>(to.begin));
    to.begin = 0;
  }
  if (!empty && !to.watched) {
    loop_.on_writable(to.fd, [this, output] { write_pending(output); });
    to.watched = true;
  } else if (empty && to.watched) {
    loop_.forget(to.fd);
    to.watched = false;
  }
  check_drained();
}

void LocalStdio::drain(std::function<void()> done) {
  on_drained_ = std::move(done);
  check_drained();
}

bool LocalStdio::drained() const {
  return std::ranges::all_of(sinks_, [](const Sink& one) { return one.pending.empty(); });
}

void LocalStdio::check_drained() {
  if (drained() && on_drained_) std::exchange(on_drained_, nullptr)();
}

}  // namespace diatom
