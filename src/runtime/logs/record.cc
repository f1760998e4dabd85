#include "runtime/logs/record.h"

#include <fmt/core.h>

#include <algorithm>
#include <cassert>
#include <charconv>
#include <cstring>

#include "base/base64.h"
#include "base/text.h"
#include "base/time_text.h"

namespace diatom {

namespace {

constexpr std::string_view stream_names[] = {"stdout", "stderr"};
constexpr std::string_view replacement = "\xef\xbf\xbd";  // U+FFFD

char* put(char* out, std::string_view text) {
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

constexpr uint64_t every_byte(uint8_t byte) { return uint64_t{0x0101010101010101} * byte; }

// Whether one of the eight bytes may be other than plain ASCII that JSON takes as it is. It may say so once too often.
bool needs_a_look(uint64_t word) {
  auto zeroes = [](uint64_t bytes) { return (bytes - every_byte(0x01)) & ~bytes; };
  uint64_t controls = (word - every_byte(0x20)) & ~word;
  return ((word | controls | zeroes(word ^ every_byte('"')) | zeroes(word ^ every_byte('\\'))) & every_byte(0x80)) != 0;
}

char* escape_ascii(char* out, char c) {
  switch (c) {
    case '"':
    case '\\':
      *out++ = '\\';
      *out++ = c;
      return out;
    case '\n':
      return put(out, "\\n");
    case '\r':
      return put(out, "\\r");
    case '\t':
      return put(out, "\\t");
    default:
      break;
  }
  if (c >= 0x20) {
    *out++ = c;
    return out;
  }
  constexpr std::string_view digits = "0123456789abcdef";
  out = put(out, "\\u00");
  *out++ = digits[static_cast<size_t>(c >> 4)];
  *out++ = digits[static_cast<size_t>(c & 15)];
  return out;
}

// `exact`: whether it was all UTF-8, so that nothing was replaced.
char* escape(char* out, std::string_view bytes, bool& exact) {
  const char* next = bytes.data();
  const char* end = next + bytes.size();
  while (next < end) {
    uint64_t word = 0;
    while (end - next >= 8) {
      std::memcpy(&word, next, 8);
      if (needs_a_look(word)) break;
      std::memcpy(out, &word, 8);
      next += 8;
      out += 8;
    }
    if (next == end) break;
    if ((*next & 0x80) == 0) {
      out = escape_ascii(out, *next++);
      continue;
    }
    size_t size = utf8_character_size({next, static_cast<size_t>(end - next)});
    exact = exact && size > 0;
    out = put(out, size > 0 ? std::string_view(next, size) : replacement);
    next += std::max<size_t>(size, 1);
  }
  return out;
}

void append_utf8(std::string& out, uint32_t point) {
  if (point < 0x80) {
    out += static_cast<char>(point);
    return;
  }
  int more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
  constexpr uint32_t leads[] = {0, 0xc0, 0xe0, 0xf0};
  out += static_cast<char>(leads[more] | point >> (6 * more));
  while (more-- > 0) out += static_cast<char>(0x80 | (point >> (6 * more) & 0x3f));
}

// Reads a flat JSON object off the front of a text.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  bool done() {
    skip_blanks();
    return rest_.empty();
  }
  bool literal(char c) {
    skip_blanks();
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool string(std::string& out) {
    out.clear();
    if (!literal('"')) return false;
    for (;;) {
      size_t plain = 0;
      while (plain < rest_.size() && rest_[plain] != '"' && rest_[plain] != '\\') ++plain;
      out += rest_.substr(0, plain);
      if (plain == rest_.size()) return false;
      bool ends = rest_[plain] == '"';
      rest_.remove_prefix(plain + 1);
      if (ends) return true;
      if (!escaped(out)) return false;
    }
  }
  bool number(uint64_t& out) {
    skip_blanks();
    auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), out);
    if (error != std::errc{}) return false;
    rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
    return true;
  }

 private:
  void skip_blanks() {
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t')) rest_.remove_prefix(1);
  }
  bool escaped(std::string& out) {
    if (rest_.empty()) return false;
    char c = rest_.front();
    rest_.remove_prefix(1);
    if (c == 'u') return escaped_point(out);
    constexpr std::string_view names = "\"\\/bfnrt";
    constexpr std::string_view values = "\"\\/\b\f\n\r\t";
    size_t which = names.find(c);
    if (which == std::string_view::npos) return false;
    out += values[which];
    return true;
  }
  bool hex4(uint32_t& out) {
    if (rest_.size() < 4) return false;
    auto [end, error] = std::from_chars(rest_.data(), rest_.data() + 4, out, 16);
    if (error != std::errc{} || end != rest_.data() + 4) return false;
    rest_.remove_prefix(4);
    return true;
  }
  bool escaped_point(std::string& out) {
    uint32_t point = 0;
    if (!hex4(point)) return false;
    if (point < 0xd800 || point > 0xdfff) {
      append_utf8(out, point);
      return true;
    }
    // Half of a pair alone stands for nothing.
    uint32_t low = 0;
    Scanner ahead(rest_);
    if (point < 0xdc00 && rest_.starts_with("\\u")) {
      ahead.rest_.remove_prefix(2);
      if (!ahead.hex4(low)) return false;
      if (low >= 0xdc00 && low <= 0xdfff) {
        rest_ = ahead.rest_;
        append_utf8(out, 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00));
        return true;
      }
    }
    out += replacement;
    return true;
  }

  std::string_view rest_;
};

// The fields of a line, before they are looked at together.
struct Fields {
  std::optional<channel::Output> stream;
  std::optional<int64_t> time_ns;
  std::optional<std::string> log;
  std::optional<std::string> exact;
  LogRecord record;

  bool set(const std::string& key, std::string value) {
    if (key == "log") {
      log = std::move(value);
    } else if (key == "b64") {
      exact = base64_decode(value);
      return exact.has_value();
    } else if (key == "time") {
      time_ns = parse_rfc3339(value);
      return time_ns.has_value();
    } else if (key == "stream") {
      if (value == stream_names[0]) stream = channel::Output::stdout_stream;
      if (value == stream_names[1]) stream = channel::Output::stderr_stream;
      return stream.has_value();
    }
    return true;  // somebody else's
  }
  void set(const std::string& key, uint64_t value) {
    if (key == "lost_bytes") record.lost_bytes = value;
    // No log has had that many files: counting on must not run over.
    if (key == "generation" && value < uint64_t{1} << 40) record.generation = value;
  }
};

}  // namespace

char* encode_log_record(char* out, channel::Output stream, std::string_view bytes, std::string_view time) {
  assert(bytes.size() <= log_line_bytes && time.size() <= 32);
  out = put(out, R"({"log":")");
  bool exact = true;
  out = escape(out, bytes, exact);
  out = put(out, R"(","stream":")");
  out = put(out, stream_names[static_cast<size_t>(stream)]);
  out = put(out, R"(","time":")");
  out = put(out, time);
  if (!exact) {
    out = put(out, R"(","b64":")");
    out = put(out, base64_encode(bytes));
  }
  return put(out, "\"}\n");
}

std::string encode_log_note(channel::Output stream, std::string_view time, std::string_view field, uint64_t value) {
  return fmt::format("{{\"log\":\"\",\"stream\":\"{}\",\"time\":\"{}\",\"{}\":{}}}\n",
                     stream_names[static_cast<size_t>(stream)], time, field, value);
}

std::optional<LogRecord> decode_log_record(std::string_view line) {
  Scanner scanner(line);
  Fields fields;
  std::string key;
  std::string text;
  uint64_t number = 0;
  if (!scanner.literal('{')) return {};
  do {
    if (!scanner.string(key) || !scanner.literal(':')) return {};
    if (scanner.number(number))
      fields.set(key, number);
    else if (!scanner.string(text) || !fields.set(key, std::move(text)))
      return {};
  } while (scanner.literal(','));
  if (!scanner.literal('}') || !scanner.done() || !fields.stream || !fields.time_ns || !fields.log) return {};
  LogRecord record = std::move(fields.record);
  record.stream = *fields.stream;
  record.time_ns = *fields.time_ns;
  record.bytes = fields.exact ? std::move(*fields.exact) : std::move(*fields.log);
  return record;
}

}  // namespace diatom
