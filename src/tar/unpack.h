// From a tar to a file system. The tar may be hostile, so nothing outside of the destination is touched, whatever it
// says: each name is looked up by itself, in a directory that is held open and that no link led to; a file is written
// where there was none, or beside the one that it then replaces; nothing is opened that was there before.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"
#include "tar/reader.h"

namespace diatom::tar {

struct UnpackOptions {
  std::optional<std::pair<uint32_t, uint32_t>> owner = {};  // of everything; the entries' own when not set
  bool set_owner = false;                                   // false: whoever unpacks owns it
  bool change_directories = false;                          // what is there already becomes as its entry says, too
  bool keep_privileges = false;                             // set-user-id bits, and attributes that only root may set
  bool make_devices = false;
  // A link in the path of an entry leads on, inside the root of this process; else it is an error. Only where what it
  // may lead to is nobody else's.
  bool follow_links = false;
  std::function<void(const std::string& what)> on_warning = {};
};

class Unpacker {
 public:
  Unpacker(UniqueFd destination, UnpackOptions options)
      : destination_(std::move(destination)), options_(std::move(options)) {}
  Unpacker(const Unpacker&) = delete;
  Unpacker& operator=(const Unpacker&) = delete;
  Unpacker(Unpacker&&) = delete;
  Unpacker& operator=(Unpacker&&) = delete;
  ~Unpacker();  // directories get what their entries say, also when something failed

  // Makes the entry that `reader` is at. A file that is not whole goes again. Errors: invalid_argument for a name that
  // leads out, or a file where a directory is, or the other way round.
  Result<> add(Reader& reader, const Entry& entry);
  Result<> finish();

 private:
  struct Level {  // a directory on the way to where we are
    std::string name;
    UniqueFd fd;
    std::optional<Entry> entry;  // what it is to become when we leave it
  };

  Result<int> enter(const std::vector<std::string>& names, size_t count);
  Result<UniqueFd> open_level(int parent, const std::string& name, const std::string& shown) const;
  Result<> leave();
  Result<> make(Reader& reader, const Entry& entry, int parent, const std::string& base);
  Result<> make_directory(const Entry& entry, int parent, const std::string& base);
  Result<> make_file(Reader& reader, const Entry& entry, int parent, const std::string& base);
  Result<> write_file(Reader& reader, const Entry& entry, int fd) const;
  Result<> make_special(const Entry& entry, int parent, const std::string& base);
  Result<> make_hard_link(const Entry& entry, int parent, const std::string& base);
  Result<> dress(const Entry& entry, int fd) const;
  Result<> set_owner_of(const Entry& entry, int parent, const std::string& base) const;
  void warn(const std::string& what) const;

  UniqueFd destination_;
  UnpackOptions options_;
  std::vector<Level> levels_;
};

}  // namespace diatom::tar
