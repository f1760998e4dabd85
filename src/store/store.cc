#include "store/store.h"

#include <poll.h>
#include <sys/stat.h>

#include <algorithm>

namespace diatom::store {

namespace {

constexpr int look_again_ms = 30;

fs::path lock_path(const Paths& paths) { return paths.home / "store.lock"; }

// What a store has in its folder before its database, and what a file system has in its root.
constexpr std::string_view own_names[] = {"blobs",     "layers",  "images",  "ingest", "containers",
                                          "templates", "kernels", "volumes", "run",    "lost+found"};

bool is_own(std::string_view name) {
  return name.starts_with("diatom.db") || std::ranges::find(own_names, name) != std::end(own_names);
}

// We remove what no record names: the folder of somebody else's things must not become a store by a slip of
// DIATOM_HOME.
Result<> check_home(const Paths& paths) {
  std::error_code error;
  if (fs::exists(paths.database(), error) || !fs::exists(paths.home, error)) return {};
  auto names = TRY(list_directory(paths.home));
  auto foreign = std::ranges::find_if_not(names, is_own);
  // Somebody who was a little faster may have made it a store meanwhile.
  if (foreign == names.end() || fs::exists(paths.database(), error)) return {};
  return fail(Errc::invalid_argument,
              "open store " + paths.home.string() + ": it is no store, and not empty (" + *foreign + " is there)",
              "set DIATOM_HOME to a folder that is empty or not there yet");
}

}  // namespace

Result<std::unique_ptr<Store>> Store::open(Paths paths) {
  TRY(check_home(paths));
  for (const auto& directory : {paths.blobs(), paths.layers(), paths.images(), paths.ingest(), paths.containers()})
    TRY(make_directories(directory));
  Database database = TRY(Database::open(paths.database()));
  return std::unique_ptr<Store>(new Store(std::move(paths), std::move(database)));
}

// Tried again and again, because somebody else's sweep may take long, and a Ctrl-C must not have to wait for it.
Result<FileLock> Store::lock_for_adding(const CancelToken& cancel) {
  TRY(sweep());
  for (;;) {
    if (auto lock = TRY(FileLock::try_acquire(lock_path(paths_), FileLock::Mode::shared))) return std::move(*lock);
    TRY(cancel.check());
    ::poll(nullptr, 0, look_again_ms);
  }
}

Result<uint64_t> Store::content_bytes() const {
  uint64_t bytes = 0;
  for (const auto& directory : {paths_.blobs(), paths_.layers(), paths_.images(), paths_.ingest()}) {
    for (const std::string& name : TRY(list_directory(directory))) {
      struct stat status{};
      if (::lstat((directory / name).c_str(), &status) == 0) bytes += static_cast<uint64_t>(status.st_blocks) * 512;
    }
  }
  return bytes;
}

Result<> Store::sweep() {
  auto lock = TRY(FileLock::try_acquire(lock_path(paths_)));
  return lock ? images_.sweep() : Result<>();
}

}  // namespace diatom::store
