// What happened, in the order in which it was committed. Followers are told through a file below $DIATOM_RUN that is
// touched after the commit.
#pragma once

#include <optional>
#include <vector>

#include "diatom/events.h"
#include "store/database.h"
#include "store/paths.h"

namespace diatom::store {

struct StoredEvent {
  int64_t seq = 0;  // counts up, not without gaps
  Event event;
};

struct EventRange {
  int64_t after_seq = 0;
  std::optional<int64_t> since_ns = {};
  std::optional<int64_t> until_ns = {};  // not included
  size_t limit = 1000;
};

class EventStore {
 public:
  static constexpr int64_t kept = 100'000;  // the newest; now and then there are up to 1000 more

  EventStore(Database& database, const Paths& paths) : database_(database), paths_(paths) {}

  // Within the caller's transaction, where there is one: a change and its event are there together or not at all. The
  // caller calls notify() after the commit. The event's time is now, where it has none.
  Result<> append(const Event& event);
  // Tells followers to look. What fails is not worth failing for: the next one tells, too.
  void notify();

  Result<> record(const Event& event);  // append() and notify(), for what has no transaction

  Result<std::vector<StoredEvent>> read(const EventRange& range);  // in order
  Result<int64_t> last_seq();                                      // 0 when nothing has happened yet
  // The file to watch (platform::FileWatch); it is made where it is missing.
  Result<std::filesystem::path> watched_file();

 private:
  Database& database_;
  const Paths& paths_;
};

}  // namespace diatom::store
