// How fast a container's output becomes records, and records become output again, on one core: MB of output a second.
//   cmake --build build --target log_bench && build/bin/log_bench [FOLDER]
#include <fmt/core.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>

#include "runtime/logs/reader.h"
#include "runtime/logs/writer.h"

using namespace diatom;

namespace {

constexpr size_t chunk_bytes = 64 << 10;  // what arrives at once
constexpr size_t total_bytes = 400 << 20;

double megabytes_a_second(std::chrono::steady_clock::time_point begin, size_t bytes) {
  return static_cast<double>(bytes) / 1e6 /
         std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// Lines of so many bytes, whose characters take turns.
std::string lines_of(size_t line_bytes, std::string_view characters) {
  std::string text;
  while (text.size() < chunk_bytes)
    text += text.size() % line_bytes == line_bytes - 1 ? '\n' : characters[text.size() % characters.size()];
  return text;
}

void measure(const fs::path& folder, const char* name, const std::string& chunk) {
  fs::path path = folder / "container.log";
  auto writer = LogWriter::open(path, {}).value();
  auto begin = std::chrono::steady_clock::now();
  for (size_t done = 0; done < total_bytes; done += chunk.size())
    writer.append(channel::Output::stdout_stream, std::as_bytes(std::span(chunk)), 1'700'000'000'000'000'000);
  double written = megabytes_a_second(begin, total_bytes);
  begin = std::chrono::steady_clock::now();
  auto reader = LogReader::open(path).value();
  size_t bytes = 0;
  while (auto record = reader.next().value()) bytes += record->bytes.size();
  double read = megabytes_a_second(begin, bytes);
  begin = std::chrono::steady_clock::now();
  if (!reader.seek_tail(10)) std::exit(1);
  double tail_us = std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count();
  fmt::print("{:<24} write {:6.0f} MB/s   read {:6.0f} MB/s   find the last 10 lines {:6.0f} us\n", name, written, read,
             tail_us);
  auto files = list_directory(folder).value();
  for (const auto& file : files) fs::remove(folder / file);
}

}  // namespace

int main(int argc, char** argv) {
  std::string folder = (fs::path(argc > 1 ? argv[1] : ".") / "log-bench-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) return 1;
  TemporaryPath removed(folder);
  std::string letters = "abcdefghij klmnopq rstuvw";
  measure(folder, "lines of 100 bytes", lines_of(100, letters));
  measure(folder, "lines of 20 bytes", lines_of(20, letters));
  measure(folder, "lines of 1000 bytes", lines_of(1000, letters));
  measure(folder, "quotes and colours", lines_of(100, "\"a\\b\"\x1b[0mcdefghij"));
  measure(folder, "not UTF-8",
          lines_of(100,
                   "\xff\xfe"
                   "abc"));
  return 0;
}
