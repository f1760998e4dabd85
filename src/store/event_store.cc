#include "store/event_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/file.h"

namespace diatom::store {

namespace {

constexpr int64_t trim_every = 1000;
constexpr uint64_t longest_notice = 4096;

using nlohmann::json;

std::string print_attributes(const Event& event) {
  return json(event.attributes).dump(-1, ' ', false, json::error_handler_t::replace);
}

std::map<std::string, std::string> parse_attributes(const std::string& text) {
  std::map<std::string, std::string> attributes;
  json object = json::parse(text, nullptr, false);
  if (object.is_object())
    for (const auto& [key, value] : object.items())
      if (value.is_string()) attributes[key] = value.get<std::string>();
  return attributes;
}

}  // namespace

Result<> EventStore::append(const Event& event) {
  Statement insert =
      TRY(database_.prepare("INSERT INTO events (time_ns, type, action, actor, attributes) VALUES (?, ?, ?, ?, ?) "
                            "RETURNING seq"));
  insert.bind(event.time_ns != 0 ? event.time_ns : wall_clock_ns()).bind(event.type).bind(event.action);
  insert.bind(event.actor_id).bind(print_attributes(event));
  static_cast<void>(TRY(insert.step()));
  int64_t seq = insert.number(0);
  TRY(insert.run());
  if (seq % trim_every != 0) return {};
  Statement trim = TRY(database_.prepare("DELETE FROM events WHERE seq <= ?"));
  return trim.bind(seq - kept).run();
}

Result<> EventStore::record(const Event& event) {
  TRY(append(event));
  notify();
  return {};
}

Result<std::filesystem::path> EventStore::watched_file() {
  std::filesystem::path path = paths_.run / "events";
  TRY(make_directories(paths_.run));
  TRY(open_file(path, O_WRONLY | O_CREAT));
  return path;
}

void EventStore::notify() {
  auto path = watched_file();
  if (!path) return;
  auto file = open_file(*path, O_WRONLY | O_APPEND);
  if (!file) return;
  // One byte more, or all of them fewer: either is seen.
  bool told = file_size(file->get()).value_or(0) < longest_notice && write_all(file->get(), std::string_view("."));
  if (!told) [[maybe_unused]]
    int ignored = ::ftruncate(file->get(), 0);
}

Result<std::vector<StoredEvent>> EventStore::read(const EventRange& range) {
  Statement query =
      TRY(database_.prepare("SELECT seq, time_ns, type, action, actor, attributes FROM events "
                            "WHERE seq > ? AND time_ns >= ? AND time_ns < ? ORDER BY seq LIMIT ?"));
  query.bind(range.after_seq).bind(range.since_ns.value_or(INT64_MIN)).bind(range.until_ns.value_or(INT64_MAX));
  query.bind(static_cast<int64_t>(range.limit));
  std::vector<StoredEvent> events;
  while (TRY(query.step()))
    events.push_back({query.number(0),
                      {.time_ns = query.number(1),
                       .type = query.text(2),
                       .action = query.text(3),
                       .actor_id = query.text(4),
                       .attributes = parse_attributes(query.text(5))}});
  return events;
}

// Of the counter, not of the rows: they may all have been trimmed.
Result<int64_t> EventStore::last_seq() {
  Statement query = TRY(database_.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'events'"));
  return TRY(query.step()) ? query.number(0) : 0;
}

}  // namespace diatom::store
