#include "diatom/events.h"

#include <poll.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/clock.h"
#include "base/file.h"
#include "base/platform/file_watch.h"
#include "runtime/waiter.h"
#include "store/store.h"

namespace diatom {

namespace {

constexpr size_t at_once = 256;

std::string attribute(const Event& event, const char* name) {
  auto found = event.attributes.find(name);
  return found != event.attributes.end() ? found->second : "";
}

// docker's rules (daemon/events/filter.go).
bool fits_action(const Event& event, const std::string& value) {
  return event.action == value || event.action.starts_with(value + ":");
}
bool fits_container(const Event& event, const std::string& value) {
  return event.type == "container" && !value.empty() &&
         (event.actor_id.starts_with(value) || attribute(event, "name") == value);
}
// With its tag or without.
bool fits_image(const Event& event, const std::string& value) {
  std::string name = attribute(event, event.type == "image" ? "name" : "image");
  bool by_id = event.type == "image" && event.actor_id == value;
  size_t colon = name.find(':', name.rfind('/') + 1);
  return !value.empty() && (by_id || name == value || name.substr(0, colon) == value);
}
bool fits_label(const Event& event, const std::string& value) {
  size_t equals = value.find('=');
  auto found = event.attributes.find(value.substr(0, equals));
  return found != event.attributes.end() && (equals == std::string::npos || found->second == value.substr(equals + 1));
}
bool fits_type(const Event& event, const std::string& value) { return event.type == value; }

struct Filter {
  std::string_view key;
  bool (*fits)(const Event&, const std::string&);
  bool each;  // value must fit, rather than one of them
};
constexpr Filter filters[] = {{"container", fits_container, false},
                              {"event", fits_action, false},
                              {"image", fits_image, false},
                              {"label", fits_label, true},
                              {"type", fits_type, false}};

const Filter* find_filter(std::string_view key) {
  const auto* found = std::ranges::find(filters, key, &Filter::key);
  return found != std::end(filters) ? found : nullptr;
}

Result<> check_filters(const EventQuery& query) {
  for (const auto& [key, values] : query.filters)
    if (find_filter(key) == nullptr)
      return fail(Errc::invalid_argument, "read events: there is no filter \"" + key + "\"",
                  "the keys are container, event, image, label, type");
  return {};
}

bool is_same_file(const fs::path& path, const struct stat& known) {
  struct stat now{};
  return ::stat(path.c_str(), &now) == 0 && now.st_ino == known.st_ino && now.st_dev == known.st_dev;
}

}  // namespace

bool event_fits(const Event& event, const EventQuery& query) {
  return std::ranges::all_of(query.filters, [&](const auto& entry) {
    const auto& [key, values] = entry;
    const Filter* filter = find_filter(key);
    if (filter == nullptr) return false;
    auto fits = [&](const std::string& value) { return filter->fits(event, value); };
    return filter->each ? std::ranges::all_of(values, fits) : values.empty() || std::ranges::any_of(values, fits);
  });
}

struct Events::Impl {
  std::unique_ptr<store::Store> store;
  std::unique_ptr<Interrupt> interrupt;
  int64_t last_seq = 0;

  Result<> read(const EventQuery& query, const std::function<bool(const Event&)>& handler);
  Result<bool> hand_out(const EventQuery& query, const std::function<bool(const Event&)>& handler);
  Result<> follow(const EventQuery& query, const std::function<bool(const Event&)>& handler);
  Result<> wait(platform::FileWatch& watch, const EventQuery& query) const;
};

Result<> Events::Impl::read(const EventQuery& query, const std::function<bool(const Event&)>& handler) {
  TRY(check_filters(query));
  last_seq = query.only_new ? TRY(store->events().last_seq()) : 0;
  if (query.follow) return follow(query, handler);
  static_cast<void>(TRY(hand_out(query, handler)));
  return {};
}

// What there is now. False: the handler wants no more. The times of events are those of their writers' clocks, which
// may be set: an event that lies outside of the range says nothing of those behind it.
Result<bool> Events::Impl::hand_out(const EventQuery& query, const std::function<bool(const Event&)>& handler) {
  for (;;) {
    TRY(interrupt->check());
    auto batch = TRY(store->events().read(
        {.after_seq = last_seq, .since_ns = query.since_ns, .until_ns = query.until_ns, .limit = at_once}));
    for (const auto& [seq, event] : batch) {
      last_seq = seq;
      if (event_fits(event, query) && !handler(event)) return false;
    }
    if (batch.size() < at_once) return true;
  }
}

Result<> Events::Impl::follow(const EventQuery& query, const std::function<bool(const Event&)>& handler) {
  for (;;) {
    // The watch comes before the look: what is committed between the two is told.
    fs::path path = TRY(store->events().watched_file());
    struct stat watched{};
    if (::stat(path.c_str(), &watched) < 0) continue;  // somebody has removed it
    auto watch = platform::FileWatch::open({path});
    if (!watch && watch.error().code == Errc::not_found) continue;
    if (!watch) return std::unexpected(watch.error());
    do {
      bool past = query.until_ns && wall_clock_ns() >= *query.until_ns;
      if (!TRY(hand_out(query, handler)) || past) return {};
      if (!is_same_file(path, watched)) break;
      TRY(wait(*watch, query));
    } while (is_same_file(path, watched));
  }
}

Result<> Events::Impl::wait(platform::FileWatch& watch, const EventQuery& query) const {
  pollfd polled[] = {{watch.pollable(), POLLIN, 0}, {interrupt->pollable(), POLLIN, 0}};
  if (::poll(polled, std::size(polled), poll_timeout_ms(query.until_ns)) < 0 && errno != EINTR)
    return fail_errno("poll");
  watch.drain();
  return interrupt->check();
}

Events::Events(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Events::Events(Events&&) noexcept = default;
Events& Events::operator=(Events&&) noexcept = default;
Events::~Events() = default;

Result<Events> Events::open(const Locations& locations) {
  auto impl = std::make_unique<Impl>();
  store::Paths paths = TRY(store::find_paths(locations));
  impl->store = TRY(store::Store::open(std::move(paths)));
  impl->interrupt = TRY(Interrupt::create());
  return Events(std::move(impl));
}

Result<> Events::read(const EventQuery& query, const std::function<bool(const Event&)>& handler) {
  return impl_->read(query, handler);
}

void Events::cancel() { impl_->interrupt->raise(); }

}  // namespace diatom
