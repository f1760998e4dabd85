#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "base/platform/platform.h"
#include "store/store.h"
#include "support/scratch.h"

namespace diatom::test {

// A process that does `work` and then waits, or that is killed in the middle of it. `work` is given a function that
// tells the test that it has come somewhere.
class Victim {
 public:
  template <class Work>
  explicit Victim(Work work) : pipe_(std::move(*platform::make_pipe())), pid_(::fork()) {
    if (pid_ == 0) {
      pipe_.read_end.reset();
      work([this] {
        char byte = 1;
        if (::write(pipe_.write_end.get(), &byte, 1) != 1) ::_exit(3);
      });
      for (;;) ::pause();
    }
    pipe_.write_end.reset();
  }
  Victim(const Victim&) = delete;
  Victim& operator=(const Victim&) = delete;
  ~Victim() { kill(); }

  pid_t pid() const { return pid_; }
  // Blocks until it has told so `times` times; false when it ended before.
  bool wait_for(size_t times) {
    std::string told(times, '\0');
    return read_full(pipe_.read_end.get(), std::as_writable_bytes(std::span(told))).value() == times;
  }
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  bool alive() const { return ::waitpid(pid_, nullptr, WNOHANG) == 0; }

 private:
  platform::Pipe pipe_;
  pid_t pid_;
};

// A store of its own in a scratch folder.
class StoreTest : public testing::Test {
 protected:
  StoreTest() : paths_{scratch_ / "home", scratch_ / "run"}, store_(open()) {}

  // As another process would have it open.
  std::unique_ptr<store::Store> open() const {
    auto store = store::Store::open(paths_);
    if (!store) ADD_FAILURE() << store.error().message;
    return store ? std::move(*store) : nullptr;
  }

  // SQLite must not be open across a fork: what it knows of its locks would be copied, the locks would not.
  template <class Work>
  std::unique_ptr<Victim> start(Work work) {
    store_.reset();
    auto victim = std::make_unique<Victim>(std::move(work));
    store_ = open();
    return victim;
  }

  static std::vector<std::string> names_in(const fs::path& directory) {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory)) names.push_back(entry.path().filename());
    std::ranges::sort(names);
    return names;
  }

  ScratchDirectory scratch_;
  store::Paths paths_;
  std::unique_ptr<store::Store> store_;
};

}  // namespace diatom::test
