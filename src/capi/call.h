// What every function of the C API does around its work: it checks its arguments, lets no exception out, and hands out
// what the caller frees.
#pragma once

#include <signal.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "diatom/diatom.h"
#include "diatom/error.h"
#include "diatom/events.h"
#include "diatom/images.h"
#include "diatom/runtime.h"

struct diatom_error {
  diatom::Error error;
};

namespace diatom::capi {

// One of the C++ facades: opened when it is first needed, and from then on reached by cancel().
template <class Facade>
class Slot {
 public:
  Result<Facade*> open(const Locations& locations, const std::atomic<bool>& cancelled) {
    if (!facade_) {
      facade_.emplace(TRY(Facade::open(locations)));
      published_ = &*facade_;
      // Who cancelled before it was published did not see it.
      if (cancelled) facade_->cancel();
    }
    return &*facade_;
  }
  // From any thread, and from a signal handler.
  void cancel() {
    if (Facade* facade = published_) facade->cancel();
  }

 private:
  static_assert(std::atomic<Facade*>::is_always_lock_free, "read in signal handlers");
  std::optional<Facade> facade_;
  std::atomic<Facade*> published_ = nullptr;
};

}  // namespace diatom::capi

struct diatom_runtime {
  diatom::Locations locations;
  std::atomic<bool> busy = false;
  std::atomic<bool> cancelled = false;
  diatom::capi::Slot<diatom::Runtime> runtime_slot;
  diatom::capi::Slot<diatom::Images> images_slot;
  diatom::capi::Slot<diatom::Events> events_slot;

  diatom::Result<diatom::Runtime*> runtime() { return runtime_slot.open(locations, cancelled); }
  diatom::Result<diatom::Images*> images() { return images_slot.open(locations, cancelled); }
  diatom::Result<diatom::Events*> events() { return events_slot.open(locations, cancelled); }
};

namespace diatom::capi {

// A reader that went away is an error of write(2), not the end of somebody else's process.
class QuietPipes {
 public:
  QuietPipes();
  QuietPipes(const QuietPipes&) = delete;
  QuietPipes& operator=(const QuietPipes&) = delete;
  QuietPipes(QuietPipes&&) = delete;
  QuietPipes& operator=(QuietPipes&&) = delete;
  ~QuietPipes();

 private:
  sigset_t before_;
  bool was_pending_;
};

// The runtime is somebody's as long as this lives; empty where it is another's.
class Claim {
 public:
  explicit Claim(diatom_runtime& runtime) : runtime_(runtime), held_(!runtime.busy.exchange(true)) {}
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;
  Claim(Claim&&) = delete;
  Claim& operator=(Claim&&) = delete;
  ~Claim() {
    if (held_) runtime_.busy = false;
  }
  bool held() const { return held_; }

 private:
  diatom_runtime& runtime_;
  bool held_;
};

// Hands the error out, where it is wanted.
diatom_status report(diatom_error** out, Error error) noexcept;
diatom_status report_exception(diatom_error** out) noexcept;  // the one that is being handled
Error null_argument(std::string_view name);

template <class Act>
diatom_status guarded(diatom_error** error, Act act) noexcept {
  if (error != nullptr) *error = nullptr;
  try {
    QuietPipes quiet;
    Result<> result = act();
    return result ? DIATOM_OK : report(error, std::move(result.error()));
  } catch (...) {
    return report_exception(error);
  }
}

// `act`: diatom_runtime& → Result<>.
template <class Act>
diatom_status call(diatom_runtime* runtime, diatom_error** error, Act act) noexcept {
  return guarded(error, [&]() -> Result<> {
    if (runtime == nullptr) return std::unexpected(null_argument("runtime"));
    Claim claim(*runtime);
    if (!claim.held())
      return fail(Errc::invalid_argument, "use runtime: a call of it is under way",
                  "open a runtime for each thread; a callback needs one of its own, too");
    if (runtime->cancelled) return fail(Errc::cancelled, "use runtime: it was cancelled", "open another one");
    return act(*runtime);
  });
}

// ---- Arguments.

// NULL is an error that names the argument.
Result<std::string_view> text(std::string_view name, const char* value);
Result<std::vector<std::string>> list(std::string_view name, const char* const* values);
inline std::string_view options_or_none(const char* options) { return options != nullptr ? options : "{}"; }
// One that is not open is an error that names the argument.
Result<> check_descriptor(std::string_view name, int fd);
ProgressHandler progress_handler(diatom_progress_callback callback, void* user);

// A function that does one thing to one container. `act`: Runtime&, its name → Result<>.
template <class Act>
diatom_status on_container(diatom_runtime* runtime, const char* container, diatom_error** error, Act act) noexcept {
  return call(runtime, error, [&](diatom_runtime& self) -> Result<> {
    std::string_view name = TRY(text("container", container));
    Runtime* containers = TRY(self.runtime());
    return act(*containers, name);
  });
}

// What was read until somebody cancelled is not all of it.
Result<> check_cancelled(const diatom_runtime& runtime);

// ---- Results.

inline void clear(char** out) {
  if (out != nullptr) *out = nullptr;
}
inline void clear(char** out, int* exit_code) {
  clear(out);
  if (exit_code != nullptr) *exit_code = 0;
}
Result<> give(char** out, const Json& value);
// A list of what `document` makes of each.
Json list_of(const auto& values, auto document) {
  Json list = Json::array();
  for (const auto& value : values) list.push_back(document(value));
  return list;
}

}  // namespace diatom::capi
