// A VM for the files of a container that does not run: its root is there, and the agent; nothing of the container's is
// started, its record and its logs stay as they are. Its lock is held meanwhile, by the VM's process, too.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/file.h"
#include "runtime/task.h"
#include "store/store.h"

namespace diatom {

class MaintenanceVm {
 public:
  struct Handlers {
    std::function<void(channel::AgentClient&)> on_ready;
    std::function<void(Result<>)> on_end;  // once, last; the VM is gone by then
  };
  // `lock`: the container's.
  static Result<std::unique_ptr<MaintenanceVm>> start(EventLoop& loop, store::Store& store,
                                                      const store::ContainerRecord& container, FileLock lock,
                                                      Handlers handlers);
  MaintenanceVm(const MaintenanceVm&) = delete;
  MaintenanceVm& operator=(const MaintenanceVm&) = delete;
  MaintenanceVm(MaintenanceVm&&) = delete;
  MaintenanceVm& operator=(MaintenanceVm&&) = delete;
  ~MaintenanceVm() = default;

  void finish();  // the disk is written out, then it ends
  void abort(Error error) { task_->abort(std::move(error)); }

 private:
  MaintenanceVm(fs::path directory, FileLock lock) : directory_(std::move(directory)), lock_(std::move(lock)) {}

  TemporaryPath directory_;  // of what the engine leaves
  FileLock lock_;
  std::vector<std::unique_ptr<vm::Engine>> engines_;
  std::unique_ptr<Task> task_;  // goes first
};

}  // namespace diatom
