// Two properties. Any bytes are a log: reading it ends, counts every line as a record or as none, and finds the same
// records from any tail. And what a writer is given comes out of the reader byte for byte, whatever was in the file
// before, however it was cut and rotated; a line is JSON for others, too.
#include <stdlib.h>

#include <nlohmann/json.hpp>

#include "fuzz.h"
#include "runtime/logs/reader.h"
#include "runtime/logs/writer.h"

using namespace diatom;

namespace {

// A folder of the process's own, emptied for each input.
fs::path scratch() {
  static const std::string folder = [] {
    std::string name = (fs::exists("/dev/shm") ? "/dev/shm" : "/tmp") + std::string("/diatom-fuzz-log-XXXXXX");
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    static TemporaryPath removed(name);
    return name;
  }();
  auto names = list_directory(folder).value();
  for (const auto& name : names) fs::remove(fs::path(folder) / name);
  return fs::path(folder) / "container.log";
}

std::vector<LogRecord> read_all(LogReader& reader) {
  std::vector<LogRecord> records;
  for (;;) {
    auto record = reader.next();
    REQUIRE(record);
    if (!*record) return records;
    REQUIRE((*record)->bytes.size() <= longest_log_record);
    records.push_back(std::move(**record));
  }
}

std::string bytes_of(const std::vector<LogRecord>& records, channel::Output stream) {
  std::string bytes;
  for (const auto& record : records)
    if (record.stream == stream) bytes += record.bytes;
  return bytes;
}

void check_reading(const fs::path& path, std::string_view content) {
  auto reader = LogReader::open(path);
  REQUIRE(reader);
  auto records = read_all(*reader);
  auto lines = static_cast<size_t>(std::ranges::count(content, '\n'));
  REQUIRE(records.size() + reader->malformed_lines() <= lines);
  for (uint64_t tail = 0; tail < 4; ++tail) {
    REQUIRE(reader->seek_tail(tail));
    auto last = read_all(*reader);
    REQUIRE(last.size() <= records.size());
    for (size_t i = 0; i < last.size(); ++i)
      REQUIRE(last[last.size() - 1 - i].bytes == records[records.size() - 1 - i].bytes);
    auto ends = std::ranges::count_if(last, [](const auto& record) { return record.bytes.ends_with('\n'); });
    REQUIRE(static_cast<uint64_t>(ends) <= tail);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzedDataProvider input(data, size);
  fs::path path = scratch();
  std::string before = input.ConsumeRandomLengthString();
  REQUIRE(replace_file(path, before));
  fs::remove(path.string() + ".tmp");
  check_reading(path, before);

  auto follower = LogReader::open(path);
  REQUIRE(follower);
  static_cast<void>(read_all(*follower));
  // So that all the files are kept.
  uint64_t max_bytes = input.ConsumeBool() ? input.ConsumeIntegralInRange<uint64_t>(40'000, 100'000) : 0;
  auto writer = LogWriter::open(path, {.max_bytes = max_bytes, .max_files = 100});
  REQUIRE(writer);
  // What was there may have become a record with the line end that it lacked.
  auto reader = LogReader::open(path);
  REQUIRE(reader && reader->seek(writer->position()));
  static_cast<void>(read_all(*follower));
  std::string written[2];
  std::vector<LogRecord> followed;
  for (int calls = 0; calls < 60 && input.remaining_bytes() > 0; ++calls) {
    auto stream = static_cast<channel::Output>(input.ConsumeBool());
    std::string bytes = input.ConsumeRandomLengthString();
    if (input.ConsumeBool()) bytes += std::string(input.ConsumeIntegralInRange<size_t>(0, 20'000), 'x');
    writer->append(stream, std::as_bytes(std::span(bytes)), input.ConsumeIntegralInRange<int64_t>(0, 1LL << 60));
    written[static_cast<size_t>(stream)] += bytes;
    if (input.ConsumeBool())
      for (auto& record : read_all(*follower)) followed.push_back(std::move(record));
  }
  for (auto& record : read_all(*follower)) followed.push_back(std::move(record));
  auto records = read_all(*reader);
  for (auto stream : {channel::Output::stdout_stream, channel::Output::stderr_stream}) {
    REQUIRE(bytes_of(records, stream) == written[static_cast<size_t>(stream)]);
    REQUIRE(bytes_of(followed, stream) == written[static_cast<size_t>(stream)]);
  }
  REQUIRE(reader->position() == writer->position());
  for (const auto& record : records) {
    std::string line(longest_log_record, '\0');
    char* end = encode_log_record(line.data(), record.stream, record.bytes, "2026-11-24T12:00:00Z");
    auto json = nlohmann::json::parse(line.data(), end, nullptr, false);
    REQUIRE(json.is_object() && json["log"].is_string());
    REQUIRE(json.contains("b64") || json["log"].get_ref<const std::string&>() == record.bytes);
  }
  return 0;
}
