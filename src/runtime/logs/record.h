// A container's output as docker's json-file driver keeps it: one JSON object a line, for one line of output or a part
// of one (docs/format/log.md).
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "channel/agent_client.h"

namespace diatom {

// Where a record begins. Files of a log are counted from 0; a position holds for as long as its file is kept.
struct LogPosition {
  uint64_t generation = 0;
  uint64_t offset = 0;
  auto operator<=>(const LogPosition&) const = default;
};

struct LogRecord {
  channel::Output stream = channel::Output::stdout_stream;
  int64_t time_ns = 0;      // when the bytes arrived, since 1970 UTC
  std::string bytes;        // exactly as they came; ends with '\n' unless the line goes on in the stream's next record
  uint64_t lost_bytes = 0;  // could not be written (a full disk); `bytes` is empty then
  bool gap = false;         // files that should come here are gone: the reader lagged too far; `bytes` is empty
  // Heads every file but the first: the file's number. LogReader keeps it to itself.
  std::optional<uint64_t> generation = {};
};

// A longer line becomes several records.
inline constexpr size_t log_line_bytes = 16 << 10;
// What one record takes at most: each byte as \u00xx, and all of them once more as base64.
inline constexpr size_t longest_log_record = log_line_bytes * 8 + 256;

// Writes one record, with its line end, to `out`, which has room for longest_log_record. `bytes` has at most
// log_line_bytes. Returns where it ends.
char* encode_log_record(char* out, channel::Output stream, std::string_view bytes, std::string_view time);
// What is no line of output.
std::string encode_log_note(channel::Output stream, std::string_view time, std::string_view field, uint64_t value);

// A line without its line end. Nothing for what is no record: a torn one, for instance. Total; takes docker's own.
std::optional<LogRecord> decode_log_record(std::string_view line);

}  // namespace diatom
