// From a file system to a tar. Whoever owns the files may change them meanwhile, and be hostile: everything is opened
// by its name in a directory that is held open, no link is followed, and what is sent is what was opened.
#pragma once

#include <sys/stat.h>

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"
#include "tar/writer.h"

namespace diatom::tar {

struct PackOptions {
  // Whether a directory is looked into that is another file system's than the one that it lies in; all are when not
  // set.
  std::function<bool(int fd)> enters;
  std::function<void(const std::string& what)> on_warning;  // of what is not in the tar as it was
};

class Packer {
 public:
  Packer(Writer& writer, PackOptions options) : writer_(writer), options_(std::move(options)) {}

  // `base`, in an open directory, as `name`; with all that is in it when it is a directory. Sockets are passed over.
  // What goes away under our hands was not there. Errors: not_found where `base` itself is not.
  Result<> add_tree(int directory, const std::string& base, const std::string& name);
  // What is in an open directory, by its names there: docker's for a whole root file system.
  Result<> add_contents(int directory);
  // As add_tree(), but nothing of what is in it. `status` is what was seen of it.
  Result<> add(int directory, const std::string& base, const std::string& name, const struct stat& status);

 private:
  Result<bool> add_if_there(int directory, const std::string& base, const std::string& name, const struct stat& status);
  Result<> add_children(UniqueFd directory, const std::string& name, dev_t device);
  Result<bool> add_file(Entry& entry, int directory, const std::string& base, const struct stat& seen);
  bool is_known_link(Entry& entry, const struct stat& status);
  void warn(const std::string& what) const;

  Writer& writer_;
  PackOptions options_;
  std::map<std::pair<dev_t, ino_t>, std::string> linked_;  // files of several names: the first of them
};

// What a file's status says of it: all but a link's target, a file's size and what attributes it has.
Entry entry_of(const std::string& name, const struct stat& status);
Result<std::string> read_target(int directory, const std::string& link);
// What lies in an open directory, in the order of its bytes; without "." and "..".
Result<std::vector<std::string>> read_names(int directory);

}  // namespace diatom::tar
