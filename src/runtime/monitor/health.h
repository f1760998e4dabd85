// Runs a container's health check again and again, and keeps what came of it (docker's HEALTHCHECK).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/event_loop.h"
#include "channel/agent_client.h"
#include "diatom/container.h"

namespace diatom {

class HealthChecker {
 public:
  // Borrows the loop and the agent. `process` is what a check is run as: the container's environment, directory and
  // user. `on_probe` is called after each run, and once at first; `changed`: the status is another than before.
  HealthChecker(EventLoop& loop, channel::AgentClient& agent, HealthCheck check, channel::ProcessConfig process,
                std::function<void(const HealthState&, bool changed)> on_probe);
  HealthChecker(const HealthChecker&) = delete;
  HealthChecker& operator=(const HealthChecker&) = delete;
  HealthChecker(HealthChecker&&) = delete;
  HealthChecker& operator=(HealthChecker&&) = delete;
  ~HealthChecker();

  void start();
  void pause(bool paused) { paused_ = paused; }  // probes of a frozen container would only fail

 private:
  void schedule();
  void probe();
  void ended(int exit_code, const std::string& why);

  EventLoop& loop_;
  channel::AgentClient& agent_;
  HealthCheck check_;
  channel::ProcessConfig process_;
  std::function<void(const HealthState&, bool)> on_probe_;
  HealthState state_;
  HealthProbe current_;
  std::string id_;  // of the process of the probe that runs
  int64_t begin_ns_ = 0;
  bool paused_ = false;
  // What the agent still has to say of a probe must not reach a checker that is gone.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::optional<EventLoop::TimerId> next_;
  std::optional<EventLoop::TimerId> deadline_;
};

std::string encode_health(const HealthState& state);
HealthState decode_health(std::string_view text);  // what is damaged is no check

}  // namespace diatom
