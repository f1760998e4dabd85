#include "cli/output_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>

namespace diatom::cli {

Result<OutputFile> OutputFile::create(const std::string& name) {
  std::error_code ignored;
  fs::file_status status = fs::status(name, ignored);
  if (fs::exists(status) && !fs::is_regular_file(status))
    return OutputFile(name, std::nullopt, TRY(open_file(name, O_WRONLY)));
  // Through links, so that the rename replaces the file and not the link to it.
  fs::path path = fs::weakly_canonical(name, ignored);
  if (path.empty()) path = name;
  fs::path beside = path.parent_path() / fmt::format(".{}.{}.part", path.filename().string(), ::getpid());
  auto fd = open_file(beside, O_WRONLY | O_CREAT | O_EXCL, 0600);  // as docker: images hold secrets
  if (!fd) return fail(fd.error().code, "write " + name + ": " + fd.error().message, fd.error().hint);
  return OutputFile(path, TemporaryPath(beside), std::move(*fd));
}

Result<> OutputFile::commit() {
  if (!temporary_) return {};
  TRY(sync_fd(fd_.get()));
  if (::rename(temporary_->path().c_str(), path_.c_str()) < 0) return fail_errno("rename to " + path_.string());
  temporary_->keep();
  return {};
}

}  // namespace diatom::cli
