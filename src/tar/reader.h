#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/error.h"
#include "tar/entry.h"
#include "tar/header.h"

namespace diatom::tar {

// Reads a tar front to back: ustar, pax with GNU's sparse files, GNU's own, and those from before. What it reads is
// foreign: every count has a bound, and what makes no sense is invalid_argument with the place. A name may be anything
// but empty, and have anything but a NUL in it: whoever makes files of entries has to look at names. Not for use by two
// threads.
class Reader {
 public:
  // The next bytes, which stay until the next call; empty is the end.
  using Source = std::function<Result<std::span<const std::byte>>()>;
  explicit Reader(int fd);  // borrowed
  explicit Reader(Source source);

  // The next entry, or none at the end. What was not read of the last one's data is passed over.
  Result<std::optional<Entry>> next();
  // The next bytes of a regular file, and where in it they lie; empty at its end. Valid until the next call.
  struct Piece {
    uint64_t offset = 0;
    std::span<const std::byte> data;
  };
  Result<Piece> read();
  // Reads what follows the end of the tar: whoever writes to us is not to find us gone.
  Result<> drain();

  uint64_t bytes() const { return position_; }  // of the tar so far

 private:
  using Records = std::map<std::string, std::string, std::less<>>;

  std::unexpected<Error> damaged(std::string_view why) const;
  Result<bool> fill();  // false: the end
  Result<std::span<const std::byte>> take(uint64_t most);
  Result<bool> read_block(Block& block);
  Result<std::string> read_text(uint64_t size, uint64_t most);
  Result<> read_records(uint64_t size, Records& records);
  Result<> pass(uint64_t bytes);
  Result<Entry> make_entry(const Block& block, char type, const Records& records);
  Result<> read_sparse_map(const Records& records, Entry& entry);
  Result<> read_gnu_sparse(const Block& block, Entry& entry);
  Result<> read_numbered_map(Entry& entry);
  Result<> check_sparse(Entry& entry) const;

  Source source_;
  std::span<const std::byte> rest_;  // of the source's last bytes
  uint64_t position_ = 0;
  Records global_;
  uint64_t left_ = 0;     // of the entry's data in the tar
  uint64_t padding_ = 0;  // behind them
  std::vector<Extent> extents_;
  size_t extent_ = 0;       // the next one
  uint64_t in_extent_ = 0;  // how much of it was read
  bool ended_ = false;
};

}  // namespace diatom::tar
