#include "cli/progress.h"

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/text.h"
#include "cli/human_time.h"
#include "cli/template.h"
#include "cli/text.h"
#include "runtime/json/documents.h"

namespace diatom::cli {

namespace {

using Phase = TransferProgress::Phase;
constexpr auto frame = std::chrono::milliseconds(1000) / 15;

bool moves_bytes(Phase phase) { return phase == Phase::downloading || phase == Phase::uploading; }
bool has_ended(Phase phase) { return phase == Phase::done || phase == Phase::exists || phase == Phase::mounted; }

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

Progress::Progress(ProgressMode mode, Transfer transfer, ProgressSink sink)
    : mode_(mode), transfer_(transfer), sink_(std::move(sink)), last_draw_(sink_.now() - frame) {}

Progress::~Progress() { erase(); }

ProgressHandler Progress::handler() {
  if (mode_ == ProgressMode::none || mode_ == ProgressMode::quiet) return {};
  return [this](const TransferProgress& event) { on_progress(event); };
}

TransferProgress& Progress::blob(const std::string& id) {
  auto [entry, is_new] = by_id_.try_emplace(id, nullptr);
  if (is_new) entry->second = &blobs_.emplace_back();
  return *entry->second;
}

void Progress::on_progress(const TransferProgress& event) {
  if (mode_ == ProgressMode::json) {
    sink_.write(print_json(progress_json(event, status(event.phase))) + "\n");
    return;
  }
  bool is_new = !by_id_.contains(event.id);
  TransferProgress& blob = this->blob(event.id);
  bool changes = is_new || blob.phase != event.phase || event.phase == Phase::retrying;
  blob = event;
  if (mode_ == ProgressMode::plain) {
    if (changes)
      sink_.write(
          printable(fmt::format("{}: {}{}", event.id, status(event.phase), event.note.empty() ? "" : " " + event.note),
                    uncut) +
          "\n");
    return;
  }
  bool silence_follows =
      changes && event.phase != Phase::waiting && std::ranges::none_of(blobs_, moves_bytes, &TransferProgress::phase);
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

std::string Progress::bar_line(const TransferProgress& blob, size_t columns) const {
  std::string line = fmt::format("{}: {}", blob.id, status(blob.phase));
  if (!blob.note.empty()) line += " " + blob.note;
  line = printable(line, uncut);
  if (moves_bytes(blob.phase)) {
    size_t used = display_width(line) + 1;
    line += " " + bar(blob, columns > used ? columns - used : 0);
  }
  return ellipsis(line, columns);
}

// Those that there is room for. What does not fit would scroll away and could not be drawn again: those that have ended
// give way first, and a line says how many did.
std::vector<const TransferProgress*> Progress::shown(size_t lines) const {
  size_t to_hide = blobs_.size() > lines ? blobs_.size() - lines + 1 : 0;
  std::vector<const TransferProgress*> shown;
  for (const TransferProgress& blob : blobs_) {
    bool gives_way = to_hide > 0 && has_ended(blob.phase);
    if (gives_way)
      --to_hide;
    else
      shown.push_back(&blob);
  }
  shown.resize(shown.size() - to_hide);
  return shown;
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
  auto lines = shown(everything ? blobs_.size() : std::max<size_t>(size.rows, 3) - 2);
  drawn_.clear();
  auto add = [&](const std::string& line) {
    drawn_.push_back(display_width(line));
    text += line + "\x1b[K\n";
  };
  for (const TransferProgress* blob : lines) add(bar_line(*blob, columns));
  if (lines.size() < blobs_.size()) add(ellipsis(fmt::format("… and {} more", blobs_.size() - lines.size()), columns));
  sink_.write(text + "\x1b[J");
}

void Progress::erase() {
  if (drawn_.empty()) return;
  TerminalSize size = sink_.terminal_size();
  size_t up = std::min(rows_drawn(size.columns), size.rows - 1);
  drawn_.clear();
  sink_.write((up > 0 ? fmt::format("\x1b[{}A", up) : "") + "\r\x1b[J");
}

void Progress::line(std::string_view text) {
  if (mode_ == ProgressMode::json) {
    sink_.write(print_json({{"status", text}}) + "\n");
    return;
  }
  if (mode_ == ProgressMode::quiet) return;
  bool bars = !drawn_.empty();
  erase();
  sink_.write(printable(text, uncut) + "\n");
  if (bars) draw(false);
}

void Progress::finish() {
  if (mode_ == ProgressMode::tty && !blobs_.empty()) draw(true);
  drawn_.clear();
  blobs_.clear();
  by_id_.clear();
}

}  // namespace diatom::cli
