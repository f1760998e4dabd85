#include "runtime/monitor/health.h"

#include <signal.h>

#include "base/clock.h"
#include "channel/json_fields.h"
#include "runtime/names.h"

namespace diatom {

namespace {

constexpr size_t kept_probes = 5;
constexpr size_t kept_output = 4096;
constexpr int timed_out = -1;  // docker's exit code of a check that took too long

std::chrono::milliseconds at_least_one(std::chrono::nanoseconds duration) {
  return std::max(std::chrono::ceil<std::chrono::milliseconds>(duration), std::chrono::milliseconds(1));
}

}  // namespace

HealthChecker::HealthChecker(EventLoop& loop, channel::AgentClient& agent, HealthCheck check,
                             channel::ProcessConfig process, std::function<void(const HealthState&, bool)> on_probe)
    : loop_(loop),
      agent_(agent),
      check_(std::move(check)),
      process_(std::move(process)),
      on_probe_(std::move(on_probe)) {
  process_.argv = check_.command;
  process_.tty = false;
  process_.open_stdin = false;
}

HealthChecker::~HealthChecker() {
  *alive_ = false;
  if (next_) loop_.cancel(*next_);
  if (deadline_) loop_.cancel(*deadline_);
}

void HealthChecker::start() {
  begin_ns_ = wall_clock_ns();
  state_.status = "starting";
  on_probe_(state_, true);
  schedule();
}

void HealthChecker::schedule() {
  next_ = loop_.after(at_least_one(check_.interval), [this] { probe(); });
}

void HealthChecker::probe() {
  next_.reset();
  if (paused_) return schedule();
  id_ = make_container_id();
  current_ = {.started_ns = wall_clock_ns(), .ended_ns = 0, .exit_code = 0, .output = {}};
  auto mine = [this, alive = alive_, id = id_] { return *alive && id_ == id; };
  auto output = [this, mine, alive = alive_, id = id_](channel::Output stream, std::span<const std::byte> data) {
    if (!*alive) return;
    if (!mine()) return agent_.consumed(id, stream, data.size());
    size_t room = kept_output - std::min(kept_output, current_.output.size());
    current_.output.append(reinterpret_cast<const char*>(data.data()), std::min(room, data.size()));
    agent_.consumed(id, stream, data.size());
  };
  deadline_ = loop_.after(at_least_one(check_.timeout), [this] {
    deadline_.reset();
    agent_.kill(id_, SIGKILL, [](Result<>) {});
    // What it has started may live on, with the pipes.
    agent_.close_output(id_, channel::Output::stdout_stream);
    agent_.close_output(id_, channel::Output::stderr_stream);
    ended(timed_out, "health check exceeded its timeout");
  });
  agent_.start_process(id_, process_,
                       {.on_started =
                            [this, mine](std::expected<void, channel::StartFailure> started) {
                              if (mine() && !started) ended(started.error().exit_code, started.error().message);
                            },
                        .on_output = output,
                        .on_output_end = {},
                        .on_stdin_writable = {},
                        .on_exit =
                            [this, mine](Result<channel::ExitReport> report) {
                              if (!mine()) return;
                              report ? ended(report->code, "") : ended(timed_out, report.error().message);
                            }});
}

void HealthChecker::ended(int exit_code, const std::string& why) {
  id_.clear();
  if (deadline_) loop_.cancel(*deadline_);
  deadline_.reset();
  if (paused_) return schedule();  // it says nothing of a container that stands still
  current_.exit_code = exit_code;
  current_.ended_ns = wall_clock_ns();
  if (!why.empty()) current_.output = why;
  state_.log.push_back(std::move(current_));
  if (state_.log.size() > kept_probes) state_.log.erase(state_.log.begin());
  std::string before = state_.status;
  if (exit_code == 0) {
    state_.failing_streak = 0;
    state_.status = "healthy";
  } else if (state_.status != "starting" || wall_clock_ns() - begin_ns_ >= check_.start_period.count()) {
    if (++state_.failing_streak >= check_.retries) state_.status = "unhealthy";
  }
  on_probe_(state_, state_.status != before);
  schedule();
}

namespace {

constexpr auto probe_fields = [](auto& field, auto& probe) {
  field("start_ns", probe.started_ns);
  field("end_ns", probe.ended_ns);
  field("exit_code", probe.exit_code);
  field("output", probe.output);
};

constexpr auto state_fields = [](auto& field, auto& state) {
  field("status", state.status);
  field("failing_streak", state.failing_streak);
  field.list("log", state.log, probe_fields);
};

}  // namespace

std::string encode_health(const HealthState& state) { return channel::encode_fields(state, state_fields); }

HealthState decode_health(std::string_view text) {
  return channel::decode_fields<HealthState>("the health of a container", text, state_fields).value_or(HealthState());
}

}  // namespace diatom
