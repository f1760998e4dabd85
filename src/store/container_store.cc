#include "store/container_store.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <set>

#include "base/clock.h"
#include "base/platform/platform.h"
#include "oci/digest.h"
#include "store/event_store.h"

namespace diatom::store {

namespace {

constexpr std::string_view columns =
    "id, name, image, image_name, state, spec, wanted, engine, accelerator, kernel, auto_remove, created_ns, "
    "started_ns, finished_ns, exit_code, signal, oom_killed, error, pid, address, ports, health, restarts, stopped, "
    "start_kind, stages";

ContainerRecord read_row(const Statement& row) {
  int column = 0;
  auto text = [&] { return row.text(column++); };
  auto number = [&] { return row.number(column++); };
  ContainerRecord container;
  for (std::string* field :
       {&container.id, &container.name, &container.image, &container.image_name, &container.state, &container.spec,
        &container.wanted, &container.engine, &container.accelerator, &container.kernel})
    *field = text();
  container.auto_remove = number() != 0;
  container.created_ns = number();
  container.started_ns = number();
  container.finished_ns = number();
  container.exit_code = static_cast<int>(number());
  container.signal = static_cast<int>(number());
  container.oom_killed = number() != 0;
  container.error = text();
  container.pid = number();
  container.address = text();
  container.ports = text();
  container.health = text();
  container.restarts = number();
  container.stopped = number() != 0;
  container.start_kind = text();
  container.stages = text();
  return container;
}

constexpr std::string_view removed_suffix = ".removed";
// What the container's disk becomes when it is to go: whoever finds it finishes the removal.
constexpr std::string_view removing_name = "removing";

// In the lock of one whose files are being worked on: no number.
constexpr std::string_view files_mark = "files";

// For those who hold a lock without owning the container: they look at it, or remove it, or are a VM that dies.
constexpr auto longest_look = std::chrono::seconds(3);
constexpr auto longest_death = std::chrono::seconds(2);
constexpr int look_again_ms = 10;

// What cannot be looked at is not taken for gone.
bool is_there(const fs::path& path) {
  struct stat status{};
  return ::lstat(path.c_str(), &status) == 0 || errno != ENOENT;
}

// Its run has ended, and then it was to be removed: its owner died between the two.
bool was_to_go(const ContainerRecord& container) {
  return container.auto_remove && container.state != "created" && !has_owner(container);
}

// A name that another has is what can be wrong with a row of ours.
template <class T>
Result<T> name_is_free(Result<T> result, std::string_view verb, const std::string& name) {
  if (result || result.error().code != Errc::already_exists) return result;
  return fail(Errc::already_exists, std::string(verb) + " container \"" + name + "\": the name is in use",
              "choose another, or `diatom rm " + name + "`");
}

// What its monitor knows of it.
void bind_life(Statement& statement, const ContainerRecord& container) {
  statement.bind(container.state).bind(container.engine).bind(container.accelerator).bind(container.kernel);
  statement.bind(container.started_ns).bind(container.finished_ns).bind(container.exit_code).bind(container.signal);
  statement.bind(container.oom_killed ? 1 : 0).bind(container.error).bind(container.pid).bind(container.address);
  statement.bind(container.ports).bind(container.health).bind(container.restarts).bind(container.stopped ? 1 : 0);
  statement.bind(container.start_kind).bind(container.stages);
  statement.bind(container.id);
}

// Of a monitor that was killed; its own ones it removes itself.
void remove_sockets(const Paths& paths, const std::string& id) {
  ::unlink(paths.control_socket(id).c_str());
  ::unlink(paths.agent_socket(id).c_str());
}

}  // namespace

bool has_owner(const ContainerRecord& container) {
  return container.state != "exited" && container.state != "failed" && container.state != "created";
}

Result<> ContainerStore::insert(const ContainerRecord& container) {
  // One statement is one transaction: whoever removes the image comes before it, and is seen, or after it, and sees us.
  Statement statement =
      TRY(database_.prepare("INSERT INTO containers (state, engine, accelerator, kernel, started_ns, finished_ns, "
                            "exit_code, signal, oom_killed, error, pid, address, ports, health, restarts, stopped, "
                            "start_kind, stages, id, "
                            "name, image, image_name, spec, wanted, auto_remove, created_ns) SELECT ?, ?, ?, ?, ?, ?, "
                            "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?21, ?, ?, ?, ?, ? "
                            "WHERE EXISTS (SELECT 1 FROM images WHERE id = ?21) RETURNING 1"));
  bind_life(statement, container);
  statement.bind(container.name).bind(container.image).bind(container.image_name).bind(container.spec);
  statement.bind(container.wanted).bind(container.auto_remove ? 1 : 0).bind(container.created_ns);
  bool recorded = TRY(name_is_free(statement.step(), "create", container.name));
  if (!recorded)
    return fail(Errc::not_found,
                "create container \"" + container.name + "\": image " + container.image_name + " has just been removed",
                "pull or load it again");
  return statement.run();
}

// The end of a run must be written on a full disk, too: what the log holds goes to the database's own pages, which
// takes no room, and then the log has some.
Result<> ContainerStore::update(const ContainerRecord& container) {
  auto written = write(container);
  if (written || written.error().code == Errc::timeout) return written;
  [[maybe_unused]] auto ignored = database_.execute("PRAGMA wal_checkpoint(RESTART)");
  return write(container);
}

Result<> ContainerStore::write(const ContainerRecord& container) {
  Statement statement = TRY(database_.prepare(
      "UPDATE containers SET state = ?, engine = ?, accelerator = ?, kernel = ?, started_ns = ?, finished_ns = ?, "
      "exit_code = ?, signal = ?, oom_killed = ?, error = ?, pid = ?, address = ?, ports = ?, health = ?, restarts = "
      "?, "
      "stopped = ?, start_kind = ?, stages = ? WHERE id = ?"));
  bind_life(statement, container);
  return statement.run();
}

Result<> ContainerStore::rename(const std::string& id, const std::string& name) {
  Statement statement = TRY(database_.prepare("UPDATE containers SET name = ? WHERE id = ?"));
  return name_is_free(statement.bind(name).bind(id).run(), "rename", name);
}

Result<> ContainerStore::set_spec(const std::string& id, const std::string& spec, const std::string& wanted) {
  Statement statement = TRY(database_.prepare("UPDATE containers SET spec = ?, wanted = ? WHERE id = ?"));
  return statement.bind(spec).bind(wanted).bind(id).run();
}

Result<> ContainerStore::update_on_disk(const ContainerRecord& container) {
  TRY(database_.execute("PRAGMA synchronous = FULL"));
  auto updated = update(container);
  TRY(database_.execute("PRAGMA synchronous = NORMAL"));
  return updated;
}

Result<> ContainerStore::delete_record(const std::string& id) {
  Statement statement = TRY(database_.prepare("DELETE FROM containers WHERE id = ?"));
  return statement.bind(id).run();
}

Result<> ContainerStore::erase(const std::string& id) {
  // What takes room goes first: the database needs some to forget the record, and a full disk has none. From here on
  // there is no way back, and a kill leaves a mark for the next look.
  fs::path folder = paths_.container(id);
  if (::rename((folder / "upper.ext4").c_str(), (folder / removing_name).c_str()) == 0) [[maybe_unused]]
    int ignored = ::truncate((folder / removing_name).c_str(), 0);
  remove_sockets(paths_, id);
  auto deleted = delete_record(id);
  TRY(remove_folder(id));
  return deleted ? deleted : delete_record(id);
}

// In one step: whoever makes the folder or looks at it just now must not find half of it, nor add to it. What a kill
// leaves under the new name is nobody's, and the next one's to remove.
Result<> ContainerStore::remove_folder(const std::string& id) {
  fs::path folder = paths_.container(id);
  fs::path gone = folder.string() + std::string(removed_suffix);
  if (::rename(folder.c_str(), gone.c_str()) < 0) {
    if (errno == ENOENT) return {};
    return remove_tree(folder);  // there is no room for a name, or an earlier one is there
  }
  return remove_tree(gone);
}

Result<std::vector<ContainerRecord>> ContainerStore::list() {
  Statement query =
      TRY(database_.prepare("SELECT " + std::string(columns) + " FROM containers ORDER BY created_ns DESC, id"));
  std::vector<ContainerRecord> containers;
  while (TRY(query.step())) containers.push_back(read_row(query));
  return containers;
}

Result<ContainerRecord> ContainerStore::find(std::string_view reference) {
  std::string shown(reference.substr(0, 200));
  Statement by_name = TRY(database_.prepare(
      "SELECT " + std::string(columns) + " FROM containers WHERE name = ?1 OR id = ?1 ORDER BY id = ?1 DESC LIMIT 1"));
  if (TRY(by_name.bind(reference).step())) return read_row(by_name);
  if (!reference.empty() && reference.size() < 64 && oci::is_hex(reference)) {
    Statement by_prefix = TRY(database_.prepare("SELECT " + std::string(columns) +
                                                " FROM containers WHERE substr(id, 1, length(?1)) = ?1 LIMIT 2"));
    if (TRY(by_prefix.bind(reference).step())) {
      ContainerRecord found = read_row(by_prefix);
      if (!TRY(by_prefix.step())) return found;
      return fail(Errc::invalid_argument, "find container \"" + shown + "\": more than one id begins like this",
                  "write more of it");
    }
  }
  return fail(Errc::not_found, "find container \"" + shown + "\": there is none", "`diatom ps -a` lists them");
}

Result<int64_t> ContainerStore::count_of_image(const std::string& image) {
  Statement query = TRY(database_.prepare("SELECT count(*) FROM containers WHERE image = ?"));
  static_cast<void>(TRY(query.bind(image).step()));
  return query.number(0);
}

Result<FileLock> ContainerStore::create_directory(const std::string& id) {
  fs::path directory = paths_.container(id);
  for (;;) {
    TRY(make_directories(directory));
    auto lock = FileLock::acquire(directory / "lock");
    // A folder without a lock is a leftover to whoever puts things right just now, and gone.
    if (!lock && lock.error().code == Errc::not_found) continue;
    if (lock) TRY(write_all(lock->fd(), std::to_string(::getpid())));
    return lock;
  }
}

Result<std::optional<FileLock>> ContainerStore::lock_files(const std::string& id, std::chrono::milliseconds deadline) {
  auto lock = TRY(lock_unless_owned(id, deadline));
  if (lock) TRY(pwrite_all(lock->fd(), std::as_bytes(std::span(files_mark)), 0));
  return lock;
}

bool ContainerStore::files_are_in_use(const std::string& id) const {
  return read_file(paths_.container(id) / "lock", 64).value_or("") == files_mark;
}

Result<FileLock> ContainerStore::own(const std::string& id) {
  auto lock = TRY(lock_unless_owned(id, longest_look));
  if (!lock && files_are_in_use(id))
    return fail(Errc::already_exists, "start container " + id.substr(0, 12) + ": somebody is at its files",
                "a cp, diff, commit or export of it is under way: try again when that is done");
  if (!lock)
    return fail(Errc::already_exists, "start container " + id.substr(0, 12) + ": it is running",
                "or somebody starts or removes it just now: `diatom ps -a`");
  std::string pid = std::to_string(::getpid());
  TRY(pwrite_all(lock->fd(), std::as_bytes(std::span(pid)), 0));
  return std::move(*lock);
}

// A lock that becomes free is no event that could be awaited until a deadline: so it is tried again and again.
Result<std::optional<FileLock>> ContainerStore::lock_unless_owned(const std::string& id,
                                                                  std::chrono::milliseconds deadline) {
  fs::path path = paths_.container(id) / "lock";
  auto end = std::chrono::steady_clock::now() + deadline;
  for (;;) {
    auto lock = FileLock::try_acquire(path);
    if (!lock && lock.error().code != Errc::not_found) return lock;
    if (!lock) static_cast<void>(TRY(find(id)));  // its folder has gone, and so has its record, or will have
    // The pid in it is a dead owner's.
    if (lock && *lock && ::ftruncate((*lock)->fd(), 0) < 0) return fail_errno("truncate " + path.string());
    if ((lock && *lock) || std::chrono::steady_clock::now() >= end) return lock;
    pid_t pid = owner(id);
    if (pid > 0 && platform::holds_lock(pid, path)) return std::optional<FileLock>();
    ::poll(nullptr, 0, look_again_ms);
  }
}

pid_t ContainerStore::owner(const std::string& id) const {
  std::string text = read_file(paths_.container(id) / "lock", 64).value_or("");
  return static_cast<pid_t>(std::strtol(text.c_str(), nullptr, 10));
}

Result<FileLock> ContainerStore::take_from_owner(const std::string& id) {
  fs::path path = paths_.container(id) / "lock";
  auto end = std::chrono::steady_clock::now() + longest_look;
  for (;;) {
    // Before the look at who holds it: a pidfd never comes to name another process.
    pid_t pid = owner(id);
    auto process = platform::open_exit_event(pid);
    if (auto lock = TRY(FileLock::try_acquire(path))) return std::move(*lock);
    // A pid in a file proves nothing: it may be another's by now. Who holds the lock without being named removes the
    // container, too, or looks at it, or has not written its name yet, or is a VM that dies: none takes long.
    bool owns = pid > 0 && process && platform::holds_lock(pid, path);
    if (owns && platform::send_signal(*process, pid, SIGKILL) < 0 && errno != ESRCH)
      return fail_errno("kill the owner of container " + id.substr(0, 12));
    if (std::chrono::steady_clock::now() >= end && files_are_in_use(id))
      return fail(Errc::already_exists, "end container " + id.substr(0, 12) + ": somebody is at its files",
                  "a cp, diff, commit or export of it is under way: try again when that is done");
    if (std::chrono::steady_clock::now() >= end)
      return fail(
          Errc::internal,
          "end container " + id.substr(0, 12) + ": it is not process " + std::to_string(pid) + " that holds its lock",
          "another diatom may be at it, or one of another user: try again, or end that one");
    ::poll(nullptr, 0, look_again_ms);
  }
}

Result<std::optional<FileLock>> ContainerStore::try_lock(const std::string& id) {
  fs::path folder = paths_.container(id);
  for (;;) {
    TRY(make_directories(folder));
    auto lock = FileLock::try_acquire(folder / "lock");
    if (!lock && lock.error().code == Errc::not_found) continue;  // removed just now
    // The pid in it is a dead owner's: whoever has it by now must not be killed for that.
    if (lock && *lock && ::ftruncate((*lock)->fd(), 0) < 0) return fail_errno("truncate " + (folder / "lock").string());
    return lock;
  }
}

Result<> ContainerStore::recover() {
  std::set<std::string> known;
  for (const ContainerRecord& container : TRY(list())) {
    known.insert(container.id);
    if (!has_owner(container) && !was_to_go(container) && !is_half_removed(container.id)) continue;
    // What cannot be put right now (a full disk) is no reason to refuse work, such as making room: it has a next time.
    [[maybe_unused]] auto ignored = recover_record(container.id);
  }
  // A folder comes before its record, and goes after it.
  for (const std::string& name : TRY(list_directory(paths_.containers())))
    if (!known.contains(name)) TRY(recover_folder(name));
  return {};
}

// Or all but its record, which a power cut brought back.
bool ContainerStore::is_half_removed(const std::string& id) const {
  fs::path folder = paths_.container(id);
  return is_there(folder / removing_name) || !is_there(folder);
}

Result<> ContainerStore::recover_record(const std::string& id) {
  bool half_removed = is_half_removed(id);
  auto lock = TRY(try_lock(id));
  if (!lock) {
    // Its owner lives, or it does not and its VM is about to follow.
    lock = TRY(lock_unless_owned(id, longest_death));
    if (!lock) return {};
  }
  // Its owner may have finished between the list and the lock.
  auto now = find(id);
  if (!now && now.error().code != Errc::not_found) return std::unexpected(now.error());
  if (!now) return remove_folder(id);
  bool dead = has_owner(*now);
  if (half_removed || was_to_go(*now) || (dead && now->auto_remove)) return erase(id);
  if (!dead) return {};
  // Between two runs there is no VM to be killed: what the last one ended with stays.
  bool between = now->state == "restarting";
  now->state = now->started_ns != 0 ? "exited" : "failed";
  now->error = between ? "its monitor was killed before it ran again" : "its monitor was killed, and the VM with it";
  if (!between) {
    now->exit_code = 137;
    now->signal = 9;
    now->finished_ns = wall_clock_ns();
  }
  now->pid = 0;
  now->address.clear();
  now->ports = "{}";
  now->health = "{}";
  remove_sockets(paths_, id);
  TRY(update(*now));
  ::futimens(lock->fd(), nullptr);  // who waits for it to be put right watches the lock
  if (between) return {};           // that one's end has been told
  return EventStore(database_, paths_)
      .record({.time_ns = now->finished_ns,
               .type = "container",
               .action = "die",
               .actor_id = id,
               .attributes = {{"exitCode", "137"}, {"image", now->image_name}, {"name", now->name}}});
}

Result<> ContainerStore::recover_folder(const std::string& name) {
  std::string_view id = name;
  bool removed = id.ends_with(removed_suffix);
  if (removed) id.remove_suffix(removed_suffix.size());
  // Others' folders are not ours to remove: DIATOM_HOME may point to where podman keeps its "containers", too.
  if (!oci::is_sha256_hex(id)) return {};
  // What cannot be removed now (a full disk, somebody else at it) is no reason to refuse work: it has a next time.
  if (removed) {
    [[maybe_unused]] auto ignored = remove_tree(paths_.container(name));
    return {};
  }
  auto lock = FileLock::try_acquire(paths_.container(name) / "lock");
  if (!lock || !*lock) return {};
  if (auto container = find(id); container || container.error().code != Errc::not_found) return {};
  [[maybe_unused]] auto ignored = remove_folder(name);
  return {};
}

}  // namespace diatom::store
