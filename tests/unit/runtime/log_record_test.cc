#include "runtime/logs/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "support/scratch.h"

namespace diatom {
namespace {

using channel::Output;
using namespace std::string_literals;

std::string encode(std::string_view bytes, Output stream = Output::stdout_stream) {
  std::string out(longest_log_record, '\0');
  char* end = encode_log_record(out.data(), stream, bytes, "2026-11-24T12:00:00.123456789Z");
  out.resize(static_cast<size_t>(end - out.data()));
  return out;
}

TEST(LogRecord, IsTheLineThatDockerWouldWrite) {
  EXPECT_EQ(encode("hello\n"), R"({"log":"hello\n","stream":"stdout","time":"2026-11-24T12:00:00.123456789Z"})"
                               "\n");
  EXPECT_EQ(encode("no end", Output::stderr_stream),
            R"({"log":"no end","stream":"stderr","time":"2026-11-24T12:00:00.123456789Z"})"
            "\n");
  EXPECT_EQ(encode("\xff"),
            "{\"log\":\"\xef\xbf\xbd\",\"stream\":\"stdout\",\"time\":\"2026-11-24T12:00:00.123456789Z\","
            "\"b64\":\"/w==\"}\n");
}

TEST(LogRecord, KeepsEveryByteAndIsJsonForOthers) {
  std::string every;
  for (int c = 0; c < 256; ++c) every += static_cast<char>(c);
  const std::string cases[] = {"",
                               "\n",
                               "plain text of more than eight bytes\n",
                               "quotes \" and \\ and \t\r\b\f\n",
                               "\0"s,
                               "grüße, 世界 🦠\n",
                               "\x7f\x1b[31m",
                               "\xc3",          // a character that goes on in the next record
                               "\xed\xa0\x80",  // half a surrogate pair is no UTF-8
                               every,
                               std::string(log_line_bytes, '\1'),
                               std::string(log_line_bytes, '\xff')};
  for (const std::string& bytes : cases)
    for (Output stream : {Output::stdout_stream, Output::stderr_stream}) {
      std::string line = encode(bytes, stream);
      ASSERT_TRUE(line.ends_with("\n")) << bytes;
      line.pop_back();
      EXPECT_EQ(line.find('\n'), std::string::npos);
      auto record = decode_log_record(line);
      ASSERT_TRUE(record) << line;
      EXPECT_EQ(record->bytes, bytes);
      EXPECT_EQ(record->stream, stream);
      EXPECT_EQ(record->time_ns, 1795521600123456789);
      auto json = nlohmann::json::parse(line, nullptr, false);
      ASSERT_TRUE(json.is_object()) << line;
      if (!json.contains("b64")) {
        EXPECT_EQ(json["log"].get<std::string>(), bytes);
      }
    }
}

TEST(LogRecord, ReadsWhatDockerWrites) {
  const std::pair<std::string_view, std::string> cases[] = {
      {R"({"log":"a\u003cb\u003e\n","stream":"stderr","time":"2026-11-24T12:00:00Z"})", "a<b>\n"},
      {R"({"time":"2026-11-24T12:00:00.5Z", "stream":"stdout" , "log":"\ud83e\udda0\u00fc\/"})", "🦠ü/"},
      {R"({"log":"\ud83e.","stream":"stdout","time":"2026-11-24T12:00:00Z"} )", "\xef\xbf\xbd."},
      {R"({"log":"\udda0","stream":"stdout","time":"2026-11-24T13:00:00+01:00"})", "\xef\xbf\xbd"},
      {R"({"log":"x","stream":"stdout","time":"2026-11-24T12:00:00Z","other":"y","more":1})", "x"},
  };
  for (const auto& [line, bytes] : cases) {
    auto record = decode_log_record(line);
    ASSERT_TRUE(record) << line;
    EXPECT_EQ(record->bytes, bytes);
  }
}

TEST(LogRecord, TakesNothingElse) {
  for (std::string_view line :
       {"", "{", "{}", "null", R"({"log":"x","stream":"stdout"})", R"({"log":"x","time":"2026-11-24T12:00:00Z"})",
        R"({"stream":"stdout","time":"2026-11-24T12:00:00Z"})",
        R"({"log":"x","stream":"stdin","time":"2026-11-24T12:00:00Z"})",
        R"({"log":"x","stream":"stdout","time":"yesterday"})",
        R"({"log":"\x","stream":"stdout","time":"2026-11-24T12:00:00Z"})",
        R"({"log":"\u12","stream":"stdout","time":"2026-11-24T12:00:00Z"})",
        R"({"log":"\ud800\u12","stream":"stdout","time":"2026-11-24T12:00:00Z"})",
        R"({"log":"x","stream":"stdout","time":"2026-11-24T12:00:00Z","b64":"?"})",
        R"({"log":"x","stream":"stdout","time":"2026-11-24T12:00:00Z")",
        R"({"log":"x","stream":"stdout","time":"2026-11-24T12:00:00Z"}{"log":"x")", R"(["log"])"})
    EXPECT_FALSE(decode_log_record(line)) << line;
  EXPECT_FALSE(decode_log_record(std::string(4096, '\0')));
}

TEST(LogRecord, NotesCarryNumbers) {
  std::string line = encode_log_note(Output::stderr_stream, "2026-11-24T12:00:00Z", "lost_bytes", 70);
  ASSERT_TRUE(line.ends_with("\n"));
  auto record = decode_log_record(std::string_view(line).substr(0, line.size() - 1));
  ASSERT_TRUE(record);
  EXPECT_EQ(record->bytes, "");
  EXPECT_EQ(record->lost_bytes, 70u);
}

}  // namespace
}  // namespace diatom
