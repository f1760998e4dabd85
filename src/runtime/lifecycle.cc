// What is asked of a container that is there: stop, kill, pause, wait, …
#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/file.h"
#include "base/platform/file_watch.h"
#include "channel/agent_client.h"
#include "diatom/runtime.h"
#include "runtime/container_events.h"
#include "runtime/names.h"
#include "runtime/plan.h"
#include "runtime/runtime_impl.h"
#include "runtime/signals.h"
#include "runtime/spec_json.h"
#include "runtime/spec_record.h"

namespace diatom {

namespace {

Result<StopRequest> stop_request(const StopOptions& options) {
  StopRequest request;
  if (!options.signal.empty()) request.signal = TRY(parse_signal(options.signal));
  request.timeout = options.timeout;
  return request;
}

ExitInfo exit_of(const store::ContainerRecord& container) {
  return {container.exit_code, container.signal, container.oom_killed, container.error};
}

}  // namespace

Result<> Runtime::stop(std::string_view reference, const StopOptions& options) {
  StopRequest request = TRY(stop_request(options));
  store::ContainerRecord container = TRY(impl_->find_true(reference));
  if (!store::has_owner(container)) return {};
  auto answer = impl_->ask(container, "stop", "POST", "/monitor/stop", encode_stop(request));
  if (answer || answer.error().code == Errc::cancelled) return answer ? Result<>() : std::unexpected(answer.error());
  // It may have ended just now, or its monitor been killed: both are what was wanted.
  auto now = impl_->find_true(container.id);
  bool over = now ? !store::has_owner(*now) : now.error().code == Errc::not_found;
  return over ? Result<>() : std::unexpected(answer.error());
}

Result<> Runtime::kill(std::string_view reference, std::string_view signal) {
  int number = TRY(parse_signal(signal));
  store::ContainerRecord container = TRY(impl_->find(reference));
  TRY(impl_->ask(container, "kill", "POST", "/monitor/kill/" + std::to_string(number)));
  return {};
}

Result<> Runtime::restart(std::string_view reference, const StopOptions& options) {
  StopRequest request = TRY(stop_request(options));
  store::ContainerRecord container = TRY(impl_->find_true(reference));
  if (!store::has_owner(container)) return impl_->start_detached(container.id, {});
  TRY(impl_->ask(container, "restart", "POST", "/monitor/restart", encode_stop(request)));
  return {};
}

Result<> Runtime::pause(std::string_view reference) {
  store::ContainerRecord container = TRY(impl_->find(reference));
  TRY(impl_->ask(container, "pause", "POST", "/monitor/pause"));
  return {};
}

Result<> Runtime::resume(std::string_view reference) {
  store::ContainerRecord container = TRY(impl_->find(reference));
  TRY(impl_->ask(container, "unpause", "POST", "/monitor/resume"));
  return {};
}

Result<> Runtime::resize(std::string_view reference, uint16_t rows, uint16_t columns) {
  store::ContainerRecord container = TRY(impl_->find(reference));
  if (!TRY(decode_spec(container.wanted)).tty)
    return fail(Errc::invalid_argument, "resize container \"" + container.name + "\": its program has no terminal",
                "create it with one: tty");
  TRY(impl_->ask(container, "resize", "POST", channel::resize_path("main", rows, columns)));
  return {};
}

Result<> Runtime::rename(std::string_view reference, const std::string& name) {
  TRY(check_container_name(name));
  store::ContainerRecord container = TRY(impl_->find(reference));
  if (container.name == name)
    return fail(Errc::invalid_argument, "rename container \"" + name + "\": that is its name already");
  auto transaction = TRY(impl_->store->begin());
  TRY(impl_->store->containers().rename(container.id, name));
  std::string old_name = "/" + std::exchange(container.name, name);
  TRY(impl_->store->events().append(container_event("rename", container, {{"oldName", old_name}})));
  TRY(transaction.commit());
  impl_->store->events().notify();
  return {};
}

Result<std::vector<std::string>> Runtime::update(std::string_view reference, const UpdateOptions& options) {
  TRY(check_update(options));
  store::ContainerRecord container = TRY(impl_->find_true(reference));
  ContainerSpec spec = TRY(decode_spec(container.wanted));
  if (options.restart && options.restart->kind != RestartPolicy::Kind::no && spec.auto_remove)
    return fail(Errc::invalid_argument,
                "update container \"" + container.name + "\": it is to be removed at its end, and cannot be restarted");
  ContainerSpec before = spec;
  apply_update(spec, options);
  auto transaction = TRY(impl_->store->begin());
  TRY(impl_->store->containers().set_spec(container.id, update_printed_spec(container.spec, spec), encode_spec(spec)));
  TRY(impl_->store->events().append(container_event("update", container)));
  TRY(transaction.commit());
  impl_->store->events().notify();
  std::vector<std::string> warnings;
  if (!store::has_owner(container)) return warnings;
  if (options.memory_bytes && *options.memory_bytes > before.memory_bytes)
    warnings.emplace_back("its VM has the memory that it was started with: more of it from the next start on");
  auto answer = impl_->ask(container, "update", "PUT", "/monitor/limits", encode_update(options));
  if (answer) return warnings;
  // One that has ended meanwhile has its new limits from its next start on, like any other that does not run.
  auto now = impl_->find_true(container.id);
  if (now && !store::has_owner(*now)) return warnings;
  return std::unexpected(answer.error());
}

// ---- Waiting. Whoever has a monitor hears from it, or from its socket when it dies; everything else is a change of
// the container's folder.

namespace {

// Until something happens to the folder, or to what is in it.
Result<> await_change(const Interrupt& interrupt, platform::FileWatch& watch) {
  auto waiter = TRY(Waiter<bool>::create(interrupt));
  waiter->loop().on_readable(watch.pollable(), [&] {
    watch.drain();
    waiter->done(true);
  });
  static_cast<void>(TRY(waiter->wait()));
  return {};
}

Result<platform::FileWatch> watch_container(const store::Paths& paths, const std::string& id) {
  return platform::FileWatch::open({paths.containers(), paths.container(id), paths.container(id) / "lock"});
}

}  // namespace

namespace {

constexpr int64_t events_to_look_at = 1000;

// Of one that has gone, record and all: the events still tell.
ExitInfo told_exit(store::Store& store, const std::string& id) {
  ExitInfo exit;
  auto newest = store.events().last_seq();
  auto events = store.events().read({.after_seq = std::max<int64_t>(newest ? *newest - events_to_look_at : 0, 0)});
  if (!events) return exit;
  for (const auto& [seq, event] : *events)
    if (event.actor_id == id && event.action == "die")
      if (auto code = event.attributes.find("exitCode"); code != event.attributes.end())
        exit.exit_code = static_cast<int>(std::strtol(code->second.c_str(), nullptr, 10));
  return exit;
}

}  // namespace

Result<ExitInfo> Runtime::wait(std::string_view reference, WaitCondition condition) {
  store::ContainerRecord container = TRY(impl_->find_true(reference));
  std::string id = container.id;
  ExitInfo last = exit_of(container);
  bool told = false;  // `last` is the end that we saw
  for (;;) {
    auto watch = watch_container(impl_->store->paths(), id);
    auto now = impl_->find_true(id);
    bool gone = !now && now.error().code == Errc::not_found;
    if (gone) return store::has_owner(container) && !told ? told_exit(*impl_->store, id) : last;
    if (!now) return std::unexpected(now.error());
    last = exit_of(*now);
    if (store::has_owner(*now)) {
      auto answer = impl_->ask(*now, "wait for", "GET", "/monitor/exit");
      if (answer) {
        last = TRY(decode_exit(*answer));
        told = true;
        if (condition != WaitCondition::removed) return last;
        continue;
      }
      // It died, or ended between the look and the question: what it left tells.
      now = impl_->find_true(id);
      bool over = now ? !store::has_owner(*now) : now.error().code == Errc::not_found;
      if (!over && (answer.error().code == Errc::cancelled || !watch)) return std::unexpected(answer.error());
      if (!over) {  // somebody else is just putting right what a dead monitor left
        TRY(await_change(*impl_->interrupt, *watch));
        continue;
      }
      last = now ? exit_of(*now) : told_exit(*impl_->store, id);
      told = true;
      if (condition != WaitCondition::removed) return last;
      continue;
    }
    if (condition == WaitCondition::not_running) return last;
    // A whole run may have passed between two looks.
    bool ran = now->finished_ns != container.finished_ns && now->finished_ns != 0;
    if (condition == WaitCondition::next_exit && ran) return last;
    if (!watch) {
      if (watch.error().code == Errc::not_found) continue;  // its folder went just now
      return std::unexpected(watch.error());
    }
    TRY(await_change(*impl_->interrupt, *watch));
  }
}

// ---- The end of it.

namespace {

// At a container that nobody owns: for its VM to follow a monitor that was killed, or somebody else to remove it.
constexpr auto longest_look = std::chrono::seconds(3);

}  // namespace

Result<std::string> Runtime::remove_container(std::string_view reference, bool force) {
  store::ContainerStore& containers = impl_->store->containers();
  store::ContainerRecord record = TRY(impl_->find_true(reference));
  auto lock = TRY(containers.lock_unless_owned(record.id, longest_look));
  if (!lock && !force)
    return fail(Errc::invalid_argument, "remove container \"" + record.name + "\": it is running",
                "`diatom stop` it first, or use --force");
  if (!lock) {
    lock = TRY(containers.take_from_owner(record.id));
    // Its monitor cannot say it any more.
    if (auto now = containers.find(record.id); now && store::has_owner(*now))
      record_container_event(*impl_->store, "die", *now, {{"exitCode", "137"}});
  }
  TRY(containers.erase(record.id));
  record_container_event(*impl_->store, "destroy", record);
  return record.id;
}

namespace {

bool has_label(const std::map<std::string, std::string>& labels,
               const std::pair<std::string, std::optional<std::string>>& wanted) {
  auto found = labels.find(wanted.first);
  return found != labels.end() && (!wanted.second || found->second == *wanted.second);
}

bool is_to_go(const store::ContainerRecord& container, const PruneContainers& options) {
  if (store::has_owner(container)) return false;
  if (options.until_ns && container.created_ns >= *options.until_ns) return false;
  auto spec = decode_spec(container.wanted);
  const std::map<std::string, std::string> labels = spec ? spec->labels : std::map<std::string, std::string>();
  auto there = [&](const auto& wanted) { return has_label(labels, wanted); };
  return std::ranges::all_of(options.labels, there) && std::ranges::none_of(options.not_labels, there);
}

}  // namespace

Result<Runtime::Pruned> Runtime::prune_containers(const PruneContainers& options) {
  Pruned pruned;
  for (const auto& container : TRY(impl_->store->containers().list())) {
    if (!is_to_go(container, options)) continue;
    uint64_t bytes = disk_bytes(impl_->store->paths().container(container.id));
    auto removed = remove_container(container.id, false);
    if (!removed) continue;  // somebody started or removed it just now
    pruned.ids.push_back(*removed);
    pruned.freed_bytes += bytes;
  }
  return pruned;
}

}  // namespace diatom
