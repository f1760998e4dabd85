// Joins a program of a container to this process's descriptors until it has ended, or is left: what `run`, `attach` and
// `exec` are to whoever types them.
#pragma once

#include <signal.h>

#include <functional>
#include <memory>
#include <string>

#include "diatom/runtime.h"
#include "runtime/control_client.h"
#include "runtime/local_stdio.h"
#include "runtime/waiter.h"

namespace diatom {

// While it lives, what would end this process waits: SIGINT, SIGTERM and SIGHUP are delivered when it goes, to whoever
// handles them by then. So an interrupt finds either nothing made, or a session that can end what was.
class HeldSignals {
 public:
  explicit HeldSignals(bool hold);
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;
  HeldSignals(HeldSignals&&) = delete;
  HeldSignals& operator=(HeldSignals&&) = delete;
  ~HeldSignals() { release(); }
  void release();

 private:
  bool held_;
  sigset_t before_;
};

class Session {
 public:
  // Borrows the interrupt. `socket`: a connection to the container's monitor.
  static Result<std::unique_ptr<Session>> open(const Interrupt& interrupt, UniqueFd socket,
                                               const ProcessStreams& streams, bool tty);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  Session(Session&&) = delete;
  Session& operator=(Session&&) = delete;
  ~Session() = default;

  // Follows the container's first process through its start (its stages go to `on_stage`) to its end. `whole`: it waits
  // for us rather than have us miss anything.
  Result<AttachResult> start_main(std::function<void(std::string_view)> on_stage);
  Result<AttachResult> attach_main();
  Result<AttachResult> exec(const std::string& id, const channel::ProcessConfig& process);

 private:
  Session() = default;
  void join_main(bool whole);
  void started();
  Result<> pass_signals_on();
  void on_signal(int signal);
  void resize();
  void output_ended(channel::Output output, bool whole);
  void finish(Result<ExitInfo> exit);
  void leave();
  Result<AttachResult> wait();

  ProcessStreams streams_;
  bool tty_ = false;
  bool running_ = false;
  int interrupts_ = 0;
  bool given_up_ = false;  // ended by force: what the program's end was is nobody's matter
  std::string exec_id_;    // empty: it is the first process
  std::unique_ptr<Waiter<AttachResult>> waiter_;
  std::unique_ptr<ControlClient> client_;
  std::unique_ptr<ProcessPeer> exec_peer_;
  std::unique_ptr<LocalStdio> stdio_;
  int open_outputs_ = 0;
  bool ended_ = false;
  std::string output_lost_;  // what the caller is to be told of it; empty: nothing was
  std::optional<Result<ExitInfo>> exit_;
};

}  // namespace diatom
