// The facade: what happened to containers and images, kept and followed.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "diatom/error.h"
#include "diatom/export.h"
#include "diatom/locations.h"

namespace diatom {

// Docker's words for what happened: github.com/docker/docker api/types/events.
struct Event {
  int64_t time_ns = 0;                            // since 1970 UTC
  std::string type;                               // "container", "image"
  std::string action;                             // "start", "die", "pull"; may go on behind a colon: "exec_start: sh"
  std::string actor_id;                           // the container's id; an image's id or, for pull and push, its name
  std::map<std::string, std::string> attributes;  // "name", "image", "exitCode", the labels
};

struct EventQuery {
  std::optional<int64_t> since_ns = {};  // from then on
  std::optional<int64_t> until_ns = {};  // before then; who follows stops following then
  bool only_new = false;                 // nothing of what happened before the call
  bool follow = false;
  // Docker's: container, event, image, label, type. One of a key's values must fit, of labels each; so must each key.
  std::map<std::string, std::vector<std::string>> filters = {};
};

// Whether the filters let it pass. A key that is not known lets nothing pass.
DIATOM_API bool event_fits(const Event& event, const EventQuery& query);

// The events of the store; the newest 100,000 are kept. Not for use by two threads, but for cancel().
class DIATOM_API Events {
 public:
  static Result<Events> open(const Locations& locations = {});
  Events(Events&&) noexcept;
  Events& operator=(Events&&) noexcept;
  ~Events();

  // Hands out events in the order in which they happened, each once, until the handler returns false, or there are no
  // more and none is waited for. Event-driven: following costs nothing while nothing happens. Errors: invalid_argument
  // for a filter that there is not; cancelled.
  Result<> read(const EventQuery& query, const std::function<bool(const Event&)>& handler);

  // Ends read() with Errc::cancelled, now or when it is called. From any thread, and from a signal handler.
  void cancel();

 private:
  struct DIATOM_HIDDEN Impl;
  explicit Events(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace diatom
