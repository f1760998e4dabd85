#include "cli/progress.h"

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "cli/human_time.h"
#include "cli/template.h"
#include "cli/text.h"

namespace diatom::cli {

namespace {

using Phase = TransferProgress::Phase;
constexpr auto frame = std::chrono::milliseconds(1000) / 15;

std::string_view phase_name(Phase phase) {
  switch (phase) {
    case Phase::waiting:
      return "waiting";
    case Phase::exists:
      return "exists";
    case Phase::downloading:
      return "downloading";
    case Phase::uploading:
      return "uploading";
    case Phase::mounted:
      return "mounted";
    case Phase::retrying:
      return "retrying";
    case Phase::done:
      return "done";
  }
  return "";
}

bool moves_bytes(Phase phase) { return phase == Phase::downloading || phase == Phase::uploading; }

// "[=====>    ] 1.2MB/3.4MB"; without the bar where there is no room for it.
std::string bar(const TransferProgress& now, size_t columns) {
  std::string size = human_size(now.done_bytes);
  if (now.total_bytes == 0) return size;
  size += "/" + human_size(now.total_bytes);
  constexpr size_t narrowest = 10, widest = 50;
  if (columns < size.size() + narrowest + 3) return size;
  size_t width = std::min(columns - size.size() - 3, widest);
  double part = std::min(1.0, static_cast<double>(now.done_bytes) / static_cast<double>(now.total_bytes));
  auto full = static_cast<size_t>(part * static_cast<double>(width));
  std::string cells(full, '=');
  if (full < width) cells += '>';
  cells.resize(width, ' ');
  return "[" + cells + "] " + size;
}

}  // namespace

Result<ProgressMode> parse_progress_mode(std::string_view text) {
  static constexpr std::pair<std::string_view, ProgressMode> modes[] = {{"auto", ProgressMode::automatic},
                                                                        {"tty", ProgressMode::tty},
                                                                        {"plain", ProgressMode::plain},
                                                                        {"json", ProgressMode::json},
                                                                        {"none", ProgressMode::none}};
  for (auto [name, mode] : modes)
    if (name == text) return mode;
  return fail(Errc::invalid_argument, fmt::format("parse progress \"{}\": there is no such way to show it", text),
              "write auto, tty, plain, json or none");
}

ProgressMode resolve_progress_mode(ProgressMode mode, int fd) {
  if (mode != ProgressMode::automatic) return mode;
  const char* terminal = std::getenv("TERM");
  bool moves_cursor = terminal && *terminal && std::string_view(terminal) != "dumb";
  return ::isatty(fd) != 0 && moves_cursor ? ProgressMode::tty : ProgressMode::plain;
}

ProgressSink terminal_sink(int fd) {
  return {.write =
              [fd](std::string_view text) {
                // A reader that went away is not the transfer's failure.
                if (auto written = write_all(fd, text); !written) return;
              },
          .terminal_size =
              [fd] {
                winsize size{};
                bool known = ::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0;
                return known ? TerminalSize{size.ws_col, size.ws_row} : TerminalSize{};
              },
          .now = [] { return std::chrono::steady_clock::now(); }};
}

bool Progress::Blob::active() const { return moves_bytes(now.phase); }

Progress::Progress(ProgressMode mode, Transfer transfer, ProgressSink sink)
    : mode_(mode), transfer_(transfer), sink_(std::move(sink)), last_draw_(sink_.now() - frame) {}

Progress::~Progress() { erase(); }

ProgressHandler Progress::handler() {
  if (mode_ == ProgressMode::none) return {};
  return [this](const TransferProgress& event) { on_progress(event); };
}

Progress::Blob& Progress::blob(const std::string& id) {
  auto found = by_id_.find(id);
  if (found != by_id_.end()) return *found->second;
  blobs_.push_back(std::make_unique<Blob>());
  by_id_[id] = blobs_.back().get();
  return *blobs_.back();
}

void Progress::on_progress(const TransferProgress& event) {
  if (mode_ == ProgressMode::json) {
    Json line = {{"id", event.id}, {"status", status(event.phase)}, {"phase", phase_name(event.phase)}};
    if (!event.note.empty()) line["note"] = event.note;
    if (moves_bytes(event.phase))
      line["progressDetail"] = {{"current", event.done_bytes}, {"total", event.total_bytes}};
    else
      line["progressDetail"] = Json::object();
    sink_.write(print_json(line) + "\n");
    return;
  }
  bool is_new = !by_id_.contains(event.id);
  Blob& blob = this->blob(event.id);
  bool changes = is_new || blob.now.phase != event.phase || event.phase == Phase::retrying;
  blob.now = event;
  if (mode_ == ProgressMode::plain) {
    if (changes)
      sink_.write(printable(fmt::format("{}: {}{}", event.id, status(event.phase),
                                        event.note.empty() ? "" : " " + event.note)) +
                  "\n");
    return;
  }
  bool silence_follows = changes && std::ranges::none_of(blobs_, [](const auto& other) { return other->active(); }) &&
                         event.phase != Phase::waiting;
  if (silence_follows || sink_.now() - last_draw_ >= frame) draw(false);
}

std::string_view Progress::status(Phase phase) const {
  bool pull = transfer_ == Transfer::pull;
  switch (phase) {
    case Phase::waiting:
      return "Waiting";
    case Phase::exists:
      return pull ? "Already exists" : "Layer already exists";
    case Phase::downloading:
      return "Downloading";
    case Phase::uploading:
      return "Pushing";
    case Phase::mounted:
      return "Mounted from";
    case Phase::retrying:
      return "Retrying:";
    case Phase::done:
      return pull ? "Pull complete" : "Pushed";
  }
  return "";
}

std::string Progress::bar_line(const Blob& blob, size_t columns) const {
  std::string line = fmt::format("{}: {}", blob.now.id, status(blob.now.phase));
  if (!blob.now.note.empty()) line += " " + blob.now.note;
  line = printable(line);
  if (blob.active()) {
    size_t used = display_width(line) + 1;
    line += " " + bar(blob.now, columns > used ? columns - used : 0);
  }
  return ellipsis(line, columns);
}

// Terminals break lines anew when they become narrower.
size_t Progress::rows_drawn(size_t columns) const {
  size_t rows = 0;
  for (size_t width : drawn_) rows += std::max<size_t>(1, (width + columns - 1) / std::max<size_t>(columns, 1));
  return rows;
}

// A frame is one write that ends below its last line, at the left: whenever this process ends, the cursor is there.
void Progress::draw(bool everything) {
  TerminalSize size = sink_.terminal_size();
  last_draw_ = sink_.now();
  std::string text;
  size_t up = std::min(rows_drawn(size.columns), size.rows - 1);
  if (up > 0) text += fmt::format("\x1b[{}A", up);
  text += "\r";
  // Never the last column: there some terminals would begin a new line.
  size_t columns = std::max<size_t>(size.columns, 2) - 1;
  // What does not fit would scroll away and could not be drawn again: those that have ended wait for the last frame.
  size_t room = everything ? blobs_.size() : std::max<size_t>(size.rows, 3) - 2;
  size_t ended = 0;
  for (const auto& blob : blobs_) ended += blob->now.phase == Phase::done || blob->now.phase == Phase::exists;
  size_t hidden_ended = blobs_.size() > room ? std::min(ended, blobs_.size() - room + 1) : 0;
  drawn_.clear();
  size_t left_out = 0;
  auto add = [&](const std::string& line) {
    drawn_.push_back(display_width(line));
    text += line + "\x1b[K\n";
  };
  for (const auto& blob : blobs_) {
    bool has_ended = blob->now.phase == Phase::done || blob->now.phase == Phase::exists;
    bool fits = blobs_.size() <= room || drawn_.size() + 1 < room;
    if (!fits || (has_ended && hidden_ended > 0)) {
      if (has_ended && hidden_ended > 0) --hidden_ended;
      ++left_out;
      continue;
    }
    add(bar_line(*blob, columns));
  }
  if (left_out > 0) add(ellipsis(fmt::format("… and {} more", left_out), columns));
  sink_.write(text + "\x1b[J");
}

void Progress::erase() {
  if (drawn_.empty()) return;
  TerminalSize size = sink_.terminal_size();
  size_t up = std::min(rows_drawn(size.columns), size.rows - 1);
  drawn_.clear();
  sink_.write(fmt::format("\x1b[{}A\r\x1b[J", up));
}

void Progress::line(std::string_view text) {
  if (mode_ == ProgressMode::json) {
    sink_.write(print_json({{"status", text}}) + "\n");
    return;
  }
  if (mode_ == ProgressMode::none) return;
  bool bars = !drawn_.empty();
  erase();
  sink_.write(printable(text) + "\n");
  if (bars) draw(false);
}

void Progress::finish() {
  if (mode_ == ProgressMode::tty && !blobs_.empty()) draw(true);
  drawn_.clear();
  blobs_.clear();
  by_id_.clear();
}

}  // namespace diatom::cli
