// One container from its creation to its end, in the foreground of this process.
#pragma once

#include <memory>
#include <optional>
#include <span>

#include "base/event_loop.h"
#include "diatom/images.h"
#include "diatom/runtime.h"
#include "runtime/local_stdio.h"
#include "runtime/monitor.h"
#include "runtime/plan.h"
#include "store/store.h"

namespace diatom {

class ForegroundRun {
 public:
  // All borrowed.
  ForegroundRun(store::Store& store, Images& images, const ContainerSpec& spec, const RunOptions& options)
      : store_(store), images_(images), spec_(spec), options_(options), begin_(std::chrono::steady_clock::now()) {}

  Result<RunResult> run();

 private:
  // Everything that can be wrong without a trace being left: nothing has been made when it fails.
  Result<> decide();
  // The folder, its lock, the record, the writable layer.
  Result<> create();
  Result<channel::ExitReport> start_and_wait();
  Result<> pass_signals_on();
  void on_signal(int signal);
  // Records the end, or removes what was made.
  Result<> finish(const Result<channel::ExitReport>& report);
  void stage(std::string_view name);

  store::Store& store_;
  Images& images_;
  const ContainerSpec& spec_;
  const RunOptions& options_;
  std::chrono::steady_clock::time_point begin_;

  std::vector<std::unique_ptr<vm::Engine>> engines_;
  vm::Selected engine_;
  Plan plan_;
  store::ContainerRecord record_;
  fs::path upper_;
  std::optional<FileLock> lock_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<Monitor> monitor_;
  std::unique_ptr<LocalStdio> stdio_;
  int interrupts_ = 0;
  bool ended_ = false;  // only the output that nobody reads is still to be written
};

}  // namespace diatom
