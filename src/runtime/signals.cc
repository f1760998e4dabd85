#include "runtime/signals.h"

#include <algorithm>
#include <charconv>
#include <string>

namespace diatom {

namespace {

constexpr int real_time_min = 34;  // as glibc and musl have it: the first ones are theirs
constexpr int real_time_max = 64;

constexpr std::string_view names[] = {"",       "HUP",  "INT",    "QUIT", "ILL",   "TRAP", "ABRT", "BUS",
                                      "FPE",    "KILL", "USR1",   "SEGV", "USR2",  "PIPE", "ALRM", "TERM",
                                      "STKFLT", "CHLD", "CONT",   "STOP", "TSTP",  "TTIN", "TTOU", "URG",
                                      "XCPU",   "XFSZ", "VTALRM", "PROF", "WINCH", "IO",   "PWR",  "SYS"};
constexpr std::pair<std::string_view, int> aliases[] = {
    {"IOT", 6}, {"CLD", 17}, {"POLL", 29}, {"UNUSED", 31}, {"RTMIN", real_time_min}, {"RTMAX", real_time_max}};

bool number(std::string_view text, int& out) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

// 0: there is none of that name.
int by_name(std::string_view name) {
  for (int i = 1; i < static_cast<int>(std::size(names)); ++i)
    if (names[static_cast<size_t>(i)] == name) return i;
  for (auto [alias, value] : aliases)
    if (alias == name) return value;
  int offset = 0;
  if (name.starts_with("RTMIN+") && number(name.substr(6), offset)) return real_time_min + offset;
  if (name.starts_with("RTMAX-") && number(name.substr(6), offset)) return real_time_max - offset;
  return 0;
}

}  // namespace

Result<int> parse_signal(std::string_view text) {
  int value = 0;
  if (!number(text, value)) {
    std::string name(text.substr(0, 32));
    std::ranges::transform(name, name.begin(),
                           [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
    value = by_name(name.starts_with("SIG") ? std::string_view(name).substr(3) : name);
  }
  if (value >= 1 && value <= real_time_max) return value;
  return fail(Errc::invalid_argument,
              "parse signal \"" + std::string(text.substr(0, 200)) + "\": there is none of that name",
              "write KILL, SIGTERM or a number from 1 to 64");
}

}  // namespace diatom
