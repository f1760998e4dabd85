// The indexes of an image's layers, which stay in their files: what is merged knows where its entry lies, and reads it
// again when it is written. A million entries take 100 MB.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "rootfs/image.h"
#include "rootfs/layer_index.h"

namespace diatom::rootfs {

struct EntryPlace {
  uint32_t layer = 0;
  uint64_t offset = 0;  // in the layer's index; 0: nowhere
};

// A part of one of the files, in memory.
class IndexWindow {
 public:
  explicit IndexWindow(size_t bytes) : bytes_(bytes) {}
  // At least that many bytes from `offset` on; they stay until the next call.
  Result<std::string_view> from(int fd, uint64_t file_bytes, uint64_t offset, size_t at_least);

 private:
  size_t bytes_;
  int fd_ = -1;
  uint64_t begin_ = 0;
  std::string held_;
};

// Not for use by two threads.
class IndexFiles {
 public:
  explicit IndexFiles(std::span<const LayerFiles> layers);
  // Each entry of a layer, as for_each_entry() does. They may be read with entry() only once they have been gone
  // through.
  Result<> for_each(uint32_t layer, const std::function<Result<>(const Entry&, uint64_t offset)>& each);
  // Borrows until the next call.
  Result<Entry> entry(EntryPlace place);
  size_t size() const { return files_.size(); }
  const IndexHeader& header(uint32_t layer) const { return files_[layer].header; }

 private:
  struct File {
    int fd = -1;
    uint64_t bytes = 0;
    IndexHeader header;
  };
  std::vector<File> files_;
  std::vector<IndexWindow> windows_;  // layers share them: there may be thousands
};

}  // namespace diatom::rootfs
