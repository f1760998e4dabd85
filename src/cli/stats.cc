#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/cancel_on_signal.h"
#include "cli/container_verbs.h"
#include "cli/listing.h"
#include "cli/options.h"
#include "cli/stats_text.h"
#include "diatom/runtime.h"

namespace diatom::cli {

namespace {

using namespace std::chrono_literals;

struct Flags {
  bool all = false, no_stream = false, no_trunc = false;
  std::string format;
  std::vector<std::string> names;
};

constexpr auto period = 1s;
constexpr auto answer_deadline = 5s;  // of a guest that is busy with something else
constexpr std::string_view columns =
    R"({{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}\t{{.Host}})";

const Json& headings() {
  static const Json json = {{"Container", "CONTAINER"},
                            {"Name", "NAME"},
                            {"ID", "CONTAINER ID"},
                            {"CPUPerc", "CPU %"},
                            {"MemUsage", "MEM USAGE / LIMIT"},
                            {"MemPerc", "MEM %"},
                            {"NetIO", "NET I/O"},
                            {"BlockIO", "BLOCK I/O"},
                            {"PIDs", "PIDS"},
                            {"Host", "HOST PSS / RSS"}};
  return json;
}

// What is measured again and again.
class Sampler {
 public:
  Sampler(Runtime& runtime, const Flags& flags) : runtime_(runtime), flags_(flags) {}

  // Who was named and is not there is an error; who goes later just disappears.
  Result<> find_named() {
    for (const auto& name : flags_.names) ids_.push_back(TRY(runtime_.container(name)).id);
    return {};
  }

  Result<std::vector<Json>> sample() {
    std::vector<ContainerInfo> shown = TRY(those_to_show());
    std::vector<std::string> running;
    for (const ContainerInfo& info : shown)
      if (has_guest(info)) running.push_back(info.id);
    std::map<std::string, ContainerStats> now;
    for (auto& stats : TRY(runtime_.stats(running, answer_deadline)))
      if (stats) now.emplace(stats->id, std::move(*stats));
    std::vector<Json> rows;
    for (const ContainerInfo& info : shown) {
      auto measured = now.find(info.id);
      auto before = before_.find(info.id);
      if (measured != now.end())
        rows.push_back(stats_row(before != before_.end() ? std::optional(before->second) : std::nullopt,
                                 measured->second, flags_.no_trunc));
      else
        rows.push_back(stats_row_without(info.id, info.name, flags_.no_trunc));
    }
    before_ = std::move(now);
    return rows;
  }

 private:
  static bool has_guest(const ContainerInfo& info) {
    return info.state == "running" || info.state == "paused" || info.state == "stopping";
  }

  Result<std::vector<ContainerInfo>> those_to_show() {
    std::vector<ContainerInfo> all = TRY(runtime_.containers(true));
    std::erase_if(all, [&](const ContainerInfo& info) {
      if (!ids_.empty()) return std::ranges::find(ids_, info.id) == ids_.end();
      return !flags_.all && !has_guest(info);
    });
    return all;
  }

  Runtime& runtime_;
  const Flags& flags_;
  std::vector<std::string> ids_;
  std::map<std::string, ContainerStats> before_;
};

// Until then, or a signal.
void sleep_until(std::chrono::steady_clock::time_point then) {
  auto left = then - std::chrono::steady_clock::now();
  if (left <= 0ns) return;
  timespec time{.tv_sec = left / 1s, .tv_nsec = (left % 1s) / 1ns};
  ::nanosleep(&time, nullptr);
}

// Each line over the one that stood there: nothing flickers.
std::string over_the_last(const std::string& text, bool first) {
  std::string frame = first ? "\x1b[2J\x1b[H" : "\x1b[H";
  for (char c : text) {
    if (c == '\n') frame += "\x1b[K";
    frame += c;
  }
  return frame + "\x1b[J";
}

Result<> show(const std::string& text) {
  if (std::fputs(text.c_str(), stdout) < 0 || std::fflush(stdout) != 0) return fail_errno("print");
  return {};
}

// CPU% needs two samples: the first alone is shown to whoever watches, not to whoever wants one.
Result<> stream(Sampler& sampler, const Flags& flags) {
  Listing listing{columns, headings()};
  bool live = ::isatty(STDOUT_FILENO) != 0 && !flags.no_stream && is_table_format(flags.format);
  TRY(format_listing(flags.format, listing, {}));
  for (size_t turn = 0;; ++turn) {
    auto next = std::chrono::steady_clock::now() + period;
    std::vector<Json> rows = TRY(sampler.sample());
    if (!flags.no_stream || turn > 0) {
      std::string text = TRY(format_listing(flags.format, listing, rows));
      TRY(show(live ? over_the_last(text, turn == 0) : text));
      if (flags.no_stream) return {};
    }
    sleep_until(next);
  }
}

Result<int> stats(const Flags& flags) {
  Runtime runtime = TRY(Runtime::open());
  CancelOnSignal guard(runtime);
  Sampler sampler(runtime, flags);
  TRY(sampler.find_named());
  auto ended = stream(sampler, flags);
  // Ctrl-C is how watching ends.
  if (!ended && (ended.error().code != Errc::cancelled || flags.no_stream)) return std::unexpected(ended.error());
  return 0;
}

}  // namespace

void add_stats(CLI::App& parent, Invocation& invocation) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = parent.add_subcommand("stats", "show what containers use, again every second, until Ctrl-C");
  verb->add_flag("-a,--all", flags->all, "also those that do not run");
  verb->add_flag("--no-stream", flags->no_stream, "once");
  verb->add_flag("--no-trunc", flags->no_trunc, "whole ids");
  add_format_option(*verb, flags->format);
  verb->add_option("CONTAINER", flags->names, "names or ids (default: all that run)");
  verb->callback([&invocation, flags] { invocation.run = [flags] { return stats(*flags); }; });
}

}  // namespace diatom::cli
