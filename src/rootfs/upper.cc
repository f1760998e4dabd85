#include "rootfs/upper.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/child.h"
#include "base/file.h"
#include "base/platform/platform.h"

namespace diatom::rootfs {

namespace {

// With a journal: a VM may be killed at any moment, and the next one goes on with what it finds. (Without one, ext4
// that was written in part is mounted all the same, and refuses one file after the other.) Journal, group descriptors
// and inode tables are left uninitialised, so that the file is a few hundred KiB whatever its size. The root belongs to
// the guest's root, not to whoever runs this.
Result<> format(const fs::path& path, uint64_t bytes) {
  {
    UniqueFd fd = TRY(open_file(path, O_RDWR | O_CREAT | O_TRUNC));
    if (::ftruncate(fd.get(), static_cast<off_t>(bytes)) < 0) return fail_errno("set size of " + path.string());
  }
  auto program = find_program("mke2fs");
  if (!program)
    return fail(Errc::not_found, "format writable layer: mke2fs is not installed",
                "on Debian, apt-get install e2fsprogs");
  // -G: the bitmaps of many groups lie side by side, in few pieces that are copied for each container. Of too many, and
  // the first groups hold nothing but their inode tables: the kernel looks through each of these before it can make the
  // first directory (4.7 ms with 512 groups, 0.3 with 32).
  CommandOutput out =
      TRY(run_command({*program,
                       "-q",
                       "-F",
                       "-t",
                       "ext4",
                       "-O",
                       "^resize_inode,sparse_super2,uninit_bg,^metadata_csum",
                       "-J",
                       "size=16",
                       "-E",
                       "lazy_itable_init=1,lazy_journal_init=1,nodiscard,num_backup_sb=0,root_owner=0:0",
                       "-i",
                       "16384",
                       "-m",
                       "0",
                       "-G",
                       "32",
                       "-L",
                       "diatom-upper",
                       path.string()},
                      std::chrono::minutes(1)));
  if (out.status.code != 0)
    return fail(Errc::internal, "format writable layer " + path.string() + ": mke2fs: " + out.output);
  UniqueFd fd = TRY(open_file(path, O_RDWR));
  return sync_fd(fd.get());
}

constexpr std::string_view lock_name = "upper.lock";
constexpr std::string_view prefix = "upper-";  // of all that were ever made
// Changes with what format() makes.
constexpr const char* kind = "journal-32-";

fs::path ready_path(const fs::path& templates, uint64_t bytes) {
  return templates / (std::string(prefix) + kind + std::to_string(bytes) + ".ext4");
}

Result<> make_template(const fs::path& ready, uint64_t bytes) {
  TemporaryPath fresh(ready.string() + ".tmp");
  TRY(format(fresh.path(), bytes));
  if (::rename(fresh.path().c_str(), ready.c_str()) < 0) return fail_errno("rename to " + ready.string());
  fresh.keep();
  return {};
}

}  // namespace

Result<> prepare_upper(const fs::path& templates, uint64_t bytes) {
  fs::path ready = ready_path(templates, bytes);
  if (::access(ready.c_str(), R_OK) == 0) return {};
  TRY(make_directories(templates));
  FileLock lock = TRY(FileLock::acquire(templates / lock_name));
  if (::access(ready.c_str(), R_OK) == 0) return {};  // somebody else made it meanwhile
  return make_template(ready, bytes);
}

Result<> create_upper(const fs::path& templates, uint64_t bytes, const fs::path& to) {
  fs::path ready = ready_path(templates, bytes);
  TRY(prepare_upper(templates, bytes));
  auto cloned = platform::clone_file(ready, to);
  if (cloned || ::access(ready.c_str(), R_OK) == 0) return cloned;
  TRY(prepare_upper(templates, bytes));  // it was pruned between the two
  return platform::clone_file(ready, to);
}

Result<uint64_t> prune_uppers(const fs::path& templates) {
  if (::access(templates.c_str(), F_OK) != 0) return 0;
  FileLock lock = TRY(FileLock::acquire(templates / lock_name));
  uint64_t freed = 0;
  for (const auto& name : TRY(list_directory(templates))) {
    if (!name.starts_with(prefix)) continue;
    uint64_t bytes = disk_bytes(templates / name);
    if (::unlink((templates / name).c_str()) < 0) return fail_errno("remove " + (templates / name).string());
    freed += bytes;
  }
  return freed;
}

}  // namespace diatom::rootfs
