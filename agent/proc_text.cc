#include "proc_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>

namespace diatom::agent {

namespace {

constexpr std::string_view blanks = " \t";

// Takes the first line, or the first word, off the text.
std::string_view next_line(std::string_view& text) {
  size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

std::string_view next_word(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
  size_t end = std::min(text.find_first_of(" \t\n"), text.size());
  std::string_view word = text.substr(0, end);
  text.remove_prefix(end);
  return word;
}

template <class Number = uint64_t>
std::optional<Number> whole_number(std::string_view text) {
  Number value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

uint64_t next_number(std::string_view& text) { return whole_number(next_word(text)).value_or(0); }

// What follows the name on its line.
std::optional<std::string_view> rest_of(std::string_view text, std::string_view name) {
  while (!text.empty()) {
    std::string_view line = next_line(text);
    if (!line.starts_with(name)) continue;
    line.remove_prefix(name.size());
    if (name.ends_with(':') || line.empty() || blanks.find(line.front()) != std::string_view::npos) return line;
  }
  return std::nullopt;
}

// Linux's dev_t of terminals, as the kernel's Documentation/admin-guide/devices.txt numbers them.
std::string terminal_name(uint64_t device) {
  uint64_t major = device >> 8 & 0xfff;
  uint64_t minor = (device & 0xff) | (device >> 12 & 0xfff00);
  if (device == 0) return "";
  if (major >= 136 && major <= 143) return "pts/" + std::to_string((major - 136) * 256 + minor);
  if (major == 4 && minor < 64) return "tty" + std::to_string(minor);
  if (major == 4) return "ttyS" + std::to_string(minor - 64);
  if (major == 5 && minor == 1) return "console";
  if (major == 229) return "hvc" + std::to_string(minor);
  return "?";
}

}  // namespace

std::optional<uint64_t> number_of(std::string_view text, std::string_view name) {
  auto rest = rest_of(text, name);
  return rest ? whole_number(next_word(*rest)) : std::nullopt;
}

std::optional<uint64_t> single_number(std::string_view text) { return whole_number(next_word(text)); }

channel::CpuStats parse_cpu_stat(std::string_view text) {
  auto number = [text](std::string_view name) { return number_of(text, name).value_or(0); };
  return {number("usage_usec"), number("user_usec"),    number("system_usec"),
          number("nr_periods"), number("nr_throttled"), number("throttled_usec")};
}

// "254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0"
channel::IoStats parse_io_stat(std::string_view text) {
  channel::IoStats io;
  while (!text.empty()) {
    std::string_view line = next_line(text);
    std::string_view device = next_word(line);
    size_t colon = std::min(device.find(':'), device.size());
    auto major = whole_number<uint32_t>(device.substr(0, colon));
    auto minor = whole_number<uint32_t>(device.substr(std::min(colon + 1, device.size())));
    if (!major || !minor) continue;
    channel::DeviceStats& stats = io.devices.emplace_back();
    stats.major = *major;
    stats.minor = *minor;
    while (!line.empty()) {
      std::string_view word = next_word(line);
      size_t equals = std::min(word.find('='), word.size());
      uint64_t value = whole_number(word.substr(std::min(equals + 1, word.size()))).value_or(0);
      std::string_view key = word.substr(0, equals);
      if (key == "rbytes") stats.read_bytes = value;
      if (key == "wbytes") stats.written_bytes = value;
      if (key == "rios") stats.reads = value;
      if (key == "wios") stats.writes = value;
    }
    io.read_bytes += stats.read_bytes;
    io.written_bytes += stats.written_bytes;
    io.reads += stats.reads;
    io.writes += stats.writes;
  }
  return io;
}

// Two lines of headings, then "  eth0: " and 8 numbers received, 8 sent.
std::vector<channel::InterfaceStats> parse_net_dev(std::string_view text) {
  std::vector<channel::InterfaceStats> interfaces;
  while (!text.empty()) {
    std::string_view line = next_line(text);
    size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    std::string_view before = line.substr(0, colon);
    std::string_view name = next_word(before);
    if (name == "lo") continue;
    line.remove_prefix(colon + 1);
    std::array<uint64_t, 16> numbers{};
    for (uint64_t& number : numbers) number = next_number(line);
    interfaces.push_back({std::string(name), numbers[0], numbers[1], numbers[2], numbers[3], numbers[8], numbers[9],
                          numbers[10], numbers[11]});
  }
  return interfaces;
}

std::optional<ParsedProcess> parse_process(const ProcessTexts& texts, const KernelClock& clock) {
  ParsedProcess parsed;
  channel::ProcessEntry& entry = parsed.entry;
  auto pids = rest_of(texts.status, "NSpid:");
  if (!pids) return std::nullopt;
  parsed.guest_pid = next_number(*pids);
  entry.pid = next_number(*pids);  // that of the container's namespace, also when there are more below it
  // The name may have any byte but NUL: it ends with the last parenthesis.
  size_t open = texts.stat.find('(');
  size_t close = texts.stat.rfind(')');
  if (entry.pid == 0 || open == std::string_view::npos || close == std::string_view::npos || close < open)
    return std::nullopt;
  entry.comm = texts.stat.substr(open + 1, close - open - 1);

  // Fields as proc(5) numbers them, from the third.
  std::string_view rest = texts.stat.substr(close + 1);
  std::array<std::string_view, 25> field{};
  for (size_t number = 3; number < field.size(); ++number) field[number] = next_word(rest);
  auto value = [&field](size_t number) { return whole_number(field[number]).value_or(0); };
  entry.state = field[3];
  parsed.guest_parent = value(4);
  entry.tty = terminal_name(value(7));
  entry.cpu_ms = (value(14) + value(15)) * 1000 / clock.ticks_per_second;
  entry.nice = whole_number<int>(field[19]).value_or(0);
  entry.threads = value(20);
  uint64_t started_us = value(22) * 1'000'000 / clock.ticks_per_second;  // after the boot
  uint64_t age_us = clock.uptime_us > started_us ? clock.uptime_us - started_us : 0;
  entry.start_time = (clock.time_us > age_us ? clock.time_us - age_us : 0) / 1'000'000;
  entry.cpu_permille = age_us == 0 ? 0 : entry.cpu_ms * 1'000'000 / age_us;
  entry.vsz_kib = value(23) >> 10;
  entry.rss_kib = number_of(texts.status, "VmRSS:").value_or(0);
  if (auto uids = rest_of(texts.status, "Uid:")) {
    next_word(*uids);  // the real one
    entry.uid = static_cast<uint32_t>(next_number(*uids));
  }
  return parsed;
}

}  // namespace diatom::agent
