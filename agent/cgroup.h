// The container's cgroup: what it may use, what it has used, and whether it stands still.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/event_loop.h"
#include "channel/messages.h"

namespace diatom::agent {

inline constexpr char container_cgroup[] = "/sys/fs/cgroup/container";

// For a VM that others are restored from: the cgroup, with the rules for devices, and those for that network.
void prepare_cgroup(const std::optional<channel::NetworkConfig>& network);
void make_cgroup(const channel::ContainerConfig& config);
Result<> set_limits(const channel::Limits& limits);
// A file of the container's cgroup; empty when the kernel has none.
std::string read_cgroup(std::string_view name);
uint64_t count_oom_kills();
// SIGKILL to every process in it, frozen ones too.
void kill_cgroup();

class Freezer {
 public:
  using Done = std::function<void(Result<>)>;
  explicit Freezer(EventLoop& loop) : loop_(loop) {}
  Freezer(const Freezer&) = delete;
  Freezer& operator=(const Freezer&) = delete;
  Freezer(Freezer&&) = delete;
  Freezer& operator=(Freezer&&) = delete;
  ~Freezer();

  // Calls `done` when every process stands still, or goes on. What does not stop in time (it is inside a driver) is
  // thawed again. The opposite, asked for meanwhile, ends the wait of the first.
  void set(bool frozen, Done done);
  bool frozen() const { return wanted_; }  // or about to be
  bool busy() const { return wanted_ || !waiting_.empty(); }

 private:
  Result<> begin(bool frozen);
  void look();
  void give_up();
  void answer(const Result<>& result);

  EventLoop& loop_;
  UniqueFd changes_;  // inotify: the kernel tells of changes in cgroup.events as of writes
  bool wanted_ = false;
  std::vector<Done> waiting_;
  std::optional<EventLoop::TimerId> deadline_;
};

}  // namespace diatom::agent
