#include "store/store.h"

#include <sys/stat.h>

namespace diatom::store {

namespace {
fs::path lock_path(const Paths& paths) { return paths.home / "store.lock"; }
}  // namespace

Result<std::unique_ptr<Store>> Store::open(Paths paths) {
  for (const auto& directory : {paths.blobs(), paths.layers(), paths.images(), paths.ingest(), paths.containers()})
    TRY(make_directories(directory));
  Database database = TRY(Database::open(paths.database()));
  return std::unique_ptr<Store>(new Store(std::move(paths), std::move(database)));
}

Result<FileLock> Store::lock_for_adding() {
  TRY(sweep());
  return FileLock::acquire(lock_path(paths_), FileLock::Mode::shared);
}

Result<uint64_t> Store::content_bytes() const {
  uint64_t bytes = 0;
  for (const auto& directory : {paths_.blobs(), paths_.layers(), paths_.images(), paths_.ingest()}) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(directory, error)) {
      struct stat status{};
      if (::lstat(entry.path().c_str(), &status) == 0) bytes += static_cast<uint64_t>(status.st_blocks) * 512;
    }
    if (error) return fail_errno("read " + directory.string(), error.value());
  }
  return bytes;
}

Result<> Store::sweep() {
  auto lock = TRY(FileLock::try_acquire(lock_path(paths_)));
  return lock ? images_.sweep() : Result<>();
}

}  // namespace diatom::store
