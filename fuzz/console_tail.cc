// What a guest prints: the log stays within its bound, and its tail is few lines that a terminal can show.
#include "fuzz.h"
#include "runtime/console_log.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzedDataProvider input(data, size);
  diatom::UniqueFd file = diatom::fuzz::memory_file();
  auto log = diatom::ConsoleLog::create("/proc/self/fd/" + std::to_string(file.get()));
  REQUIRE(log);
  auto lines = input.ConsumeIntegral<uint8_t>();
  while (input.remaining_bytes() > 0) {
    std::string text = input.ConsumeRandomLengthString();
    std::string many;
    for (int times = input.ConsumeIntegral<uint8_t>(); times >= 0; --times) many += text;
    log->append(std::as_bytes(std::span(many)));
  }
  REQUIRE(diatom::file_size(file.get()).value() <= 2 * diatom::ConsoleLog::half_bytes);
  std::string tail = log->tail(lines);
  REQUIRE(tail.size() <= 4096);
  REQUIRE(std::ranges::all_of(tail, [](char c) { return c == '\n' || (c >= ' ' && c < 127); }));
  REQUIRE(std::ranges::count(tail, '\n') < std::max<int>(lines, 1));
  REQUIRE(lines > 0 || tail.empty() || tail.starts_with("Kernel panic"));
  return 0;
}
