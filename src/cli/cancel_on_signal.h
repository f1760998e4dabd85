#pragma once

namespace diatom::cli {

// While it lives, the first Ctrl-C (SIGTERM, SIGHUP) ends what `target` (Images, Events) is doing in an orderly way, a
// second one ends the process. One at a time.
class CancelOnSignal {
 public:
  template <class Target>
  explicit CancelOnSignal(Target& target)
      : CancelOnSignal(&target, [](void* cancelled) { static_cast<Target*>(cancelled)->cancel(); }) {}
  CancelOnSignal(const CancelOnSignal&) = delete;
  CancelOnSignal& operator=(const CancelOnSignal&) = delete;
  CancelOnSignal(CancelOnSignal&&) = delete;
  CancelOnSignal& operator=(CancelOnSignal&&) = delete;
  ~CancelOnSignal();

 private:
  CancelOnSignal(void* target, void (*cancel)(void*));
};

}  // namespace diatom::cli
