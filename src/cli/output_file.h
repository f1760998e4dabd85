#pragma once

#include <optional>
#include <string>

#include "base/file.h"

namespace diatom::cli {

// A file that is there when it is whole and not before: written beside its place and renamed by commit(). What is no
// plain file (a pipe, /dev/null) is written as it is.
class OutputFile {
 public:
  static Result<OutputFile> create(const std::string& path);
  int fd() const { return fd_.get(); }
  Result<> commit();

 private:
  OutputFile(fs::path path, std::optional<TemporaryPath> temporary, UniqueFd fd)
      : path_(std::move(path)), temporary_(std::move(temporary)), fd_(std::move(fd)) {}
  fs::path path_;
  std::optional<TemporaryPath> temporary_;
  UniqueFd fd_;
};

}  // namespace diatom::cli
