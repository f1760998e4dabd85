// Records of containers. A container that runs is owned by the process that holds its lock (containers/<id>/lock), for
// as long as it lives; a record that says "running" while nobody holds the lock is stale, and put right by whoever
// looks.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "store/database.h"
#include "store/paths.h"

namespace diatom::store {

struct ContainerRecord {
  std::string id;
  std::string name;
  std::string image;  // id
  std::string image_name;
  std::string state;        // contract.md, "Container states"
  std::string spec;         // what was decided, JSON, for inspect
  std::string wanted = {};  // the spec as it was asked for, JSON
  std::string engine;
  std::string accelerator;
  std::string kernel;
  std::string start_kind = {};  // of its last VM: "warm" (restored), "cold" (booted)
  std::string stages = "{}";    // of its last run, and when each was reached, JSON
  bool auto_remove = false;
  int64_t created_ns = 0;
  int64_t started_ns = 0;
  int64_t finished_ns = 0;
  int exit_code = 0;
  int signal = 0;
  bool oom_killed = false;
  std::string error;
  int64_t pid = 0;  // of the VMM
  std::string address = {};
  std::string ports = "{}";
  std::string health = "{}";
  int64_t restarts = 0;
  bool stopped = false;  // by somebody's word
};
// A container in one of these has a monitor, or had one that died.
bool has_owner(const ContainerRecord& container);

class ContainerStore {
 public:
  ContainerStore(Database& database, const Paths& paths) : database_(database), paths_(paths) {}

  // Fails with already_exists when the name is taken, and with not_found when its image has been removed since it was
  // looked up; nothing is changed then. Once it is recorded, the image is in use.
  Result<> insert(const ContainerRecord& container);
  // What changes in its life: everything but its names, its image, its specs and the time of its creation.
  Result<> update(const ContainerRecord& container);
  // The same, and it and all that was written before survives a power cut when this returns: where it changes
  // something, that is, for SQLite writes nothing otherwise.
  Result<> update_on_disk(const ContainerRecord& container);
  Result<> rename(const std::string& id, const std::string& name);  // already_exists when it is taken
  Result<> set_spec(const std::string& id, const std::string& spec, const std::string& wanted);
  // The record and the folder, for whoever holds the lock; also on a full disk.
  Result<> erase(const std::string& id);
  Result<std::vector<ContainerRecord>> list();  // newest first
  // By id, name or unique prefix of an id.
  Result<ContainerRecord> find(std::string_view reference);
  // How many containers were made from the image.
  Result<int64_t> count_of_image(const std::string& image);

  // Makes containers/<id>/ and takes its lock, which names this process. The folder goes when the record does.
  Result<FileLock> create_directory(const std::string& id);
  // Empty while its owner lives. Who takes it is no owner: nobody kills this process for it.
  Result<std::optional<FileLock>> try_lock(const std::string& id);
  // For a container's monitor: its lock, which names this process. already_exists while another has it.
  // Whoever only looks at the container, or removes it, is waited for.
  Result<FileLock> own(const std::string& id);
  // Empty while its owner lives; others who hold it, such as a VM whose owner was killed, are waited for.
  Result<std::optional<FileLock>> lock_unless_owned(const std::string& id, std::chrono::milliseconds deadline);
  // The same, to work on the files of one that does not run: whoever wants to start or remove it meanwhile is told so.
  Result<std::optional<FileLock>> lock_files(const std::string& id, std::chrono::milliseconds deadline);
  // The process that the lock names; 0 = none. Only for people and figures: a pid proves nothing.
  pid_t owner(const std::string& id) const;
  // Kills the process that holds the lock, and its VM with it, and takes the lock. Fails when it cannot be seen that
  // the process which the lock names does hold it.
  Result<FileLock> take_from_owner(const std::string& id);
  // Puts right what dead owners left: states that are not true any more, containers that were to go, folders without a
  // record.
  Result<> recover();
  Result<> recover_record(const std::string& id);  // the same, of one container

 private:
  Result<> write(const ContainerRecord& container);
  bool files_are_in_use(const std::string& id) const;
  bool is_half_removed(const std::string& id) const;
  Result<> delete_record(const std::string& id);
  Result<> recover_folder(const std::string& name);
  Result<> remove_folder(const std::string& id);

  Database& database_;
  const Paths& paths_;
};

}  // namespace diatom::store
