#include "cli/top_columns.h"

#include <fmt/core.h>

#include <algorithm>
#include <ctime>

#include "base/text.h"
#include "cli/table.h"

namespace diatom::cli {

namespace {

constexpr int64_t ns_per_second = 1'000'000'000;

std::string local_time(int64_t time_ns, const char* format) {
  time_t seconds = time_ns / ns_per_second;
  tm parts{};
  ::localtime_r(&seconds, &parts);
  char text[64];
  return {text, std::strftime(text, sizeof text, format, &parts)};
}

bool same_day(int64_t one_ns, int64_t other_ns) { return local_time(one_ns, "%F") == local_time(other_ns, "%F"); }

// "[DD-]HH:MM:SS"
std::string long_duration(uint64_t seconds) {
  std::string text = fmt::format("{:02}:{:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
  return seconds >= 86400 ? fmt::format("{}-{}", seconds / 86400, text) : text;
}

// "[[DD-]HH:]MM:SS"
std::string short_duration(uint64_t seconds) {
  return seconds >= 3600 ? long_duration(seconds) : fmt::format("{:02}:{:02}", seconds / 60, seconds % 60);
}

uint64_t seconds_since(int64_t then_ns, int64_t now_ns) {
  return then_ns < now_ns ? static_cast<uint64_t>((now_ns - then_ns) / ns_per_second) : 0;
}

using Process = const ProcessInfo&;
using Context = const TopContext&;

std::string arguments(Process process, Context) {
  std::string line;
  for (const auto& word : process.arguments) line += (line.empty() ? "" : " ") + word;
  return line.empty() ? "[" + process.command + "]" : line;  // the kernel's own, and those that have just ended
}
std::string command(Process process, Context) { return process.command; }
std::string elapsed(Process process, Context at) {
  return short_duration(seconds_since(process.started_ns, at.now_ns));
}
std::string elapsed_seconds(Process process, Context at) {
  return std::to_string(seconds_since(process.started_ns, at.now_ns));
}
std::string nice(Process process, Context) { return std::to_string(process.nice); }
std::string percent_cpu(Process process, Context) {
  return fmt::format("{}.{}", process.cpu_permille / 10, process.cpu_permille % 10);
}
std::string percent_cpu_whole(Process process, Context) { return std::to_string(process.cpu_permille / 10); }
std::string percent_memory(Process process, Context at) {
  double whole = static_cast<double>(std::max<uint64_t>(at.memory_bytes, 1));
  return fmt::format("{:.1f}", at.memory_bytes == 0 ? 0 : 100 * static_cast<double>(process.rss_bytes) / whole);
}
std::string pid(Process process, Context) { return std::to_string(process.pid); }
std::string ppid(Process process, Context) { return std::to_string(process.ppid); }
std::string rss(Process process, Context) { return std::to_string(process.rss_bytes >> 10); }
std::string started(Process process, Context at) {
  return local_time(process.started_ns, same_day(process.started_ns, at.now_ns) ? "%H:%M:%S" : "%b %d");
}
std::string started_short(Process process, Context at) {
  return local_time(process.started_ns, same_day(process.started_ns, at.now_ns) ? "%H:%M" : "%b%d");
}
std::string started_long(Process process, Context) { return local_time(process.started_ns, "%a %b %e %H:%M:%S %Y"); }
std::string state(Process process, Context) { return {process.state}; }
std::string state_and_more(Process process, Context) {
  std::string text(1, process.state);
  if (process.nice != 0) text += process.nice < 0 ? '<' : 'N';
  if (process.threads > 1) text += 'l';
  return text;
}
std::string threads(Process process, Context) { return std::to_string(process.threads); }
std::string time_used(Process process, Context) { return long_duration(process.cpu_ms / 1000); }
std::string time_used_short(Process process, Context) {
  return fmt::format("{}:{:02}", process.cpu_ms / 60000, process.cpu_ms / 1000 % 60);
}
std::string tty(Process process, Context) { return process.tty.empty() ? "?" : process.tty; }
std::string uid(Process process, Context) { return std::to_string(process.uid); }
std::string user(Process process, Context at) { return process.user.empty() ? uid(process, at) : process.user; }
std::string vsz(Process process, Context) { return std::to_string(process.vsz_bytes >> 10); }

struct Known {
  std::string_view name;
  std::string_view header;
  std::string (*show)(Process, Context);
};
constexpr Known known[] = {
    {"args", "COMMAND", arguments},
    {"c", "C", percent_cpu_whole},
    {"cmd", "CMD", arguments},
    {"comm", "COMMAND", command},
    {"command", "COMMAND", arguments},
    {"cputime", "TIME", time_used},
    {"etime", "ELAPSED", elapsed},
    {"etimes", "ELAPSED", elapsed_seconds},
    {"euser", "EUSER", user},
    {"lstart", "STARTED", started_long},
    {"ni", "NI", nice},
    {"nice", "NI", nice},
    {"nlwp", "NLWP", threads},
    {"pcpu", "%CPU", percent_cpu},
    {"%cpu", "%CPU", percent_cpu},
    {"pid", "PID", pid},
    {"pmem", "%MEM", percent_memory},
    {"%mem", "%MEM", percent_memory},
    {"ppid", "PPID", ppid},
    {"rss", "RSS", rss},
    {"s", "S", state},
    {"start", "STARTED", started},
    {"stat", "STAT", state_and_more},
    {"state", "S", state},
    {"stime", "STIME", started_short},
    {"thcount", "THCNT", threads},
    {"time", "TIME", time_used},
    {"tname", "TTY", tty},
    {"tt", "TT", tty},
    {"tty", "TT", tty},
    {"ucmd", "CMD", command},
    {"uid", "UID", uid},
    {"user", "USER", user},
    {"vsize", "VSZ", vsz},
    {"vsz", "VSZ", vsz},
};

// docker's, whose daemon calls `ps -ef`.
std::vector<TopColumn> full_columns() {
  return {{"UID", user}, {"PID", pid},        {"PPID", ppid},    {"C", percent_cpu_whole}, {"STIME", started_short},
          {"TTY", tty},  {"TIME", time_used}, {"CMD", arguments}};
}
std::vector<TopColumn> user_columns() {
  return {{"USER", user},
          {"PID", pid},
          {"%CPU", percent_cpu},
          {"%MEM", percent_memory},
          {"VSZ", vsz},
          {"RSS", rss},
          {"TTY", tty},
          {"STAT", state_and_more},
          {"START", started_short},
          {"TIME", time_used_short},
          {"COMMAND", arguments}};
}

std::unexpected<Error> not_supported(const std::string& word) {
  std::string names;
  for (const Known& one : known) names += (names.empty() ? "" : ",") + std::string(one.name);
  return fail(Errc::invalid_argument, fmt::format("top: ps option \"{}\" is not supported", printable(word)),
              "there are -ef, aux, and -o or -eo with a list of " + names);
}

Result<> add_columns(std::vector<TopColumn>& columns, const std::string& list) {
  for (size_t begin = 0; begin <= list.size();) {
    size_t end = std::min(list.find_first_of(", ", begin), list.size());
    std::string word = list.substr(begin, end - begin);
    begin = end + 1;
    if (word.empty()) continue;
    size_t equals = std::min(word.find('='), word.size());
    auto found = std::ranges::find(known, std::string_view(word).substr(0, equals), &Known::name);
    if (found == std::end(known)) return not_supported(word);
    columns.push_back({equals < word.size() ? word.substr(equals + 1) : std::string(found->header), found->show});
  }
  return {};
}

}  // namespace

Result<std::vector<TopColumn>> parse_ps_options(const std::vector<std::string>& words) {
  std::vector<TopColumn> columns;
  bool full = words.empty();
  bool of_user = false;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    bool dashed = word.starts_with('-');
    size_t begin = dashed ? 1 : 0;
    if (begin == word.size() || word.starts_with("--")) return not_supported(word);
    size_t list = word.find('o', begin);
    // Which processes: all there are, whatever is said.
    for (char letter : word.substr(begin, std::min(list, word.size()) - begin)) {
      if (letter == 'f' && dashed)
        full = true;
      else if (letter == 'u' && word.find('a') != std::string::npos)  // with a dash alone, it is a user's name
        of_user = true;
      else if (std::string_view(dashed ? "eAaxw" : "axw").find(letter) == std::string_view::npos)
        return not_supported(word);
    }
    if (list == std::string::npos) continue;
    std::string names = word.substr(list + 1);
    if (names.empty() && ++i < words.size()) names = words[i];
    TRY(add_columns(columns, names));
    if (columns.empty()) return not_supported(word);
  }
  if (!columns.empty()) return columns;
  if (of_user) return user_columns();
  if (full) return full_columns();
  return {{{"PID", pid}, {"TTY", tty}, {"TIME", time_used}, {"CMD", command}}};  // as `ps -e`
}

std::string top_table(const std::vector<TopColumn>& columns, const std::vector<ProcessInfo>& processes,
                      const TopContext& context) {
  Table table;
  std::vector<std::string> cells;
  for (const TopColumn& column : columns) cells.push_back(column.header);
  table.add_row(std::move(cells));
  for (const ProcessInfo& process : processes) {
    cells.clear();
    for (const TopColumn& column : columns) cells.push_back(column.show(process, context));
    table.add_row(cells);
  }
  return table.text();
}

}  // namespace diatom::cli
