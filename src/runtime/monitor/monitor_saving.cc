// The VM of a container, saved while it runs, and gone on from: snapshots and forks.
#include "runtime/monitor/monitor.h"
#include "runtime/saved_container.h"

namespace diatom {

void Monitor::save_vm(const Asker& asker, const std::string& body) {
  auto target = decode_save(body);
  if (!target) return refuse(asker, target.error());
  saves_.push_back({asker, *target});
  if (!saver_) save_next();
}

// One after the other. Who has gone meanwhile wants it no more.
void Monitor::save_next() {
  saver_.reset();
  std::erase_if(saves_, [](const auto& save) { return save.first->closed; });
  if (saves_.empty()) return;
  if (phase_ != Phase::running) return end_saving();
  saver_ = std::make_unique<Saver>(loop_, *task_, saves_.front().second, [this](Result<> saved) {
    Asker waiting = saves_.front().first;
    saves_.pop_front();
    saved ? answer(waiting, 200) : refuse(waiting, saved.error());
    loop_.post([this] { save_next(); });  // it is in the middle of telling
  });
}

// Its VM does not run any more, or is not to.
void Monitor::end_saving() {
  saver_.reset();
  Error why = phase_ == Phase::paused
                  ? Error{Errc::invalid_argument, "save " + shown() + ": it is paused", "`diatom unpause` it first", 0}
                  : not_running("save");
  for (const auto& [waiting, target] : std::exchange(saves_, {})) refuse(waiting, why);
}

Result<> Monitor::plan_going_on() {
  fs::path folder = saved_folder(store_->paths(), record_.id);
  if (!is_saved_folder(folder)) return {};
  vm::SavedMachine saved = TRY(vm::read_saved_machine(folder));
  plan_.task.machine.saved = folder;
  plan_.task.machine.vcpus = saved.vcpus;
  plan_.task.machine.memory_bytes = saved.memory_bytes;
  return {};
}

// From its next start on it boots, from its own disk.
void Monitor::forget_saved() {
  if (!plan_.task.machine.saved.empty()) [[maybe_unused]]
    auto ignored = remove_tree(plan_.task.machine.saved);
}

}  // namespace diatom
