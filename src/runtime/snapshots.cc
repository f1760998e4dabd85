// Snapshots and forks: containers that go on from where another was (docs/warm-start.md).
#include <fcntl.h>

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/file.h"
#include "diatom/runtime.h"
#include "runtime/names.h"
#include "runtime/runtime_impl.h"
#include "runtime/saved_container.h"
#include "runtime/spec_record.h"
#include "vm/engine.h"

namespace diatom {

namespace {

constexpr std::string_view unfinished_prefix = ".new-";

// A folder that somebody fills: it goes again unless it gets its name. What a killed process has left goes with the
// next that is made.
class NewFolder {
 public:
  static Result<NewFolder> make(const fs::path& snapshots) {
    TRY(make_directories(snapshots));
    fs::path lock_path = snapshots / ".lock";
    if (auto alone = TRY(FileLock::try_acquire(lock_path)))
      for (const auto& name : TRY(list_directory(snapshots)))
        if (name.starts_with(unfinished_prefix)) TRY(remove_tree(snapshots / name));
    FileLock lock = TRY(FileLock::acquire(lock_path, FileLock::Mode::shared));
    fs::path path = snapshots / (std::string(unfinished_prefix) + make_container_id());
    TRY(make_directories(path));
    return NewFolder(std::move(path), std::move(lock));
  }
  const fs::path& path() const { return path_; }
  Result<> keep_as(const fs::path& name) {
    for (const auto& file : TRY(list_directory(path_))) {
      UniqueFd fd = TRY(open_file(path_ / file, O_RDONLY));
      TRY(sync_fd(fd.get()));
    }
    TRY(sync_directory(path_));
    if (::rename(path_.c_str(), name.c_str()) < 0) return fail_errno("rename to " + name.string());
    undo_.keep();
    return sync_directory(name.parent_path());
  }

 private:
  NewFolder(fs::path path, FileLock lock) : lock_(std::move(lock)), path_(path), undo_(std::move(path)) {}
  FileLock lock_;  // shared with the others who make one
  fs::path path_;
  TemporaryPath undo_;
};

Error no_snapshot(std::string_view name) {
  return {Errc::not_found, "find snapshot \"" + std::string(name) + "\": there is none of that name",
          "`diatom snapshot ls` shows them"};
}

Result<fs::path> find_snapshot(const store::Paths& paths, std::string_view name) {
  fs::path folder = paths.snapshots() / name;
  if (check_container_name(name) && is_saved_folder(folder)) return folder;
  return std::unexpected(no_snapshot(name));
}

std::vector<PortMapping> at_free_ports(std::vector<PortMapping> ports) {
  for (PortMapping& port : ports) port.host_port = 0;
  return ports;
}

}  // namespace

Result<SavedContainer> Runtime::Impl::save(const store::ContainerRecord& container, const vm::SaveTarget& target,
                                           const std::string& name) {
  TRY(ask(container, "save", "POST", "/monitor/save", encode_save(target)));
  vm::SavedMachine machine = TRY(vm::read_saved_machine(target.folder));
  SavedContainer saved{.info = {.name = name,
                                .container = container.id,
                                .container_name = container.name,
                                .image = container.image,
                                .image_name = container.image_name,
                                .created_ns = wall_clock_ns(),
                                .vcpus = machine.vcpus,
                                .memory_bytes = machine.memory_bytes},
                       .wanted = container.wanted};
  TRY(record_saved(target.folder, saved));
  return saved;
}

// The copy goes again when it cannot go on.
Result<std::string> Runtime::Impl::go_on(const SavedContainer& saved, const fs::path& folder, ContainerSpec spec) {
  CreatedContainer created = TRY(create_from_saved(*store, spec, saved, folder));
  auto started = start_detached(created.id, {});
  if (!started) remove_failed(created.id);
  TRY(std::move(started));
  return created.id;
}

Result<SnapshotInfo> Runtime::create_snapshot(std::string_view reference, const std::string& name) {
  store::ContainerRecord container = TRY(impl_->find(reference));
  std::string wanted = name.empty() ? make_container_name(make_container_id()) : name;
  TRY(check_container_name(wanted));
  const store::Paths& paths = impl_->store->paths();
  auto taken = fail(Errc::already_exists, "create snapshot \"" + wanted + "\": there is one of that name",
                    "`diatom snapshot rm " + wanted + "` removes it");
  if (is_saved_folder(paths.snapshots() / wanted)) return taken;
  NewFolder folder = TRY(NewFolder::make(paths.snapshots()));
  SavedContainer saved = TRY(impl_->save(container, {.folder = folder.path()}, wanted));
  if (auto kept = folder.keep_as(paths.snapshots() / wanted); !kept)
    return is_saved_folder(paths.snapshots() / wanted) ? Result<SnapshotInfo>(taken) : std::unexpected(kept.error());
  saved.info.disk_bytes = disk_bytes(paths.snapshots() / wanted);
  return saved.info;
}

Result<std::vector<SnapshotInfo>> Runtime::snapshots() {
  fs::path folder = impl_->store->paths().snapshots();
  std::vector<SnapshotInfo> infos;
  if (!is_saved_folder(folder)) return infos;
  for (const auto& name : TRY(list_directory(folder))) {
    if (name.starts_with('.')) continue;
    auto saved = read_saved(folder / name);
    SnapshotInfo& info = infos.emplace_back(saved ? std::move(saved->info) : SnapshotInfo());
    info.name = name;
    info.disk_bytes = disk_bytes(folder / name);
  }
  std::ranges::sort(infos, {}, &SnapshotInfo::name);
  return infos;
}

Result<uint64_t> Runtime::remove_snapshot(std::string_view name) {
  fs::path folder = TRY(find_snapshot(impl_->store->paths(), name));
  uint64_t freed = disk_bytes(folder);
  // Nobody finds it any more, however long that takes.
  fs::path doomed = folder.parent_path() / (std::string(unfinished_prefix) + make_container_id());
  if (::rename(folder.c_str(), doomed.c_str()) < 0)
    return errno == ENOENT ? Result<uint64_t>(std::unexpected(no_snapshot(name)))
                           : fail_errno("remove snapshot " + folder.string());
  TRY(remove_tree(doomed));
  return freed;
}

Result<std::string> Runtime::restore_snapshot(std::string_view name, const std::string& container_name) {
  fs::path folder = TRY(find_snapshot(impl_->store->paths(), name));
  SavedContainer saved = TRY(read_saved(folder));
  ContainerSpec spec = TRY(decode_spec(saved.wanted));
  spec.name = container_name;
  return impl_->go_on(saved, folder, std::move(spec));
}

Result<std::vector<std::string>> Runtime::fork(std::string_view reference, const ForkOptions& options) {
  store::ContainerRecord container = TRY(impl_->find(reference));
  auto name_of = [&](unsigned number) {
    bool numbered = !options.name.empty() && options.count > 1;
    return numbered ? options.name + "-" + std::to_string(number) : options.name;
  };
  if (options.count == 0) return fail(Errc::invalid_argument, "fork container: 0 copies are none", "1 or more");
  if (!options.name.empty()) TRY(check_container_name(name_of(1)));
  NewFolder folder = TRY(NewFolder::make(impl_->store->paths().snapshots()));
  SavedContainer saved = TRY(impl_->save(container, {.folder = folder.path(), .share_memory = true}, ""));
  ContainerSpec spec = TRY(decode_spec(saved.wanted));
  spec.ports = at_free_ports(std::move(spec.ports));
  std::vector<std::string> ids;
  for (unsigned number = 1; number <= options.count; ++number) {
    spec.name = name_of(number);
    ids.push_back(TRY(impl_->go_on(saved, folder.path(), spec)));
    if (options.on_started) options.on_started(ids.back());
  }
  return ids;
}

}  // namespace diatom
