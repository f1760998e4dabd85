#include "rootfs/index_files.h"

#include <algorithm>

#include "base/file.h"

namespace diatom::rootfs {

namespace {
constexpr uint64_t largest_index = 1ULL << 30;
constexpr size_t scan_bytes = 256 << 10;
constexpr size_t window_bytes = 8 << 10;
constexpr size_t most_windows = 32;
}  // namespace

Result<std::string_view> IndexWindow::from(int fd, uint64_t file_bytes, uint64_t offset, size_t at_least) {
  bool here = fd == fd_ && offset >= begin_ && offset + at_least <= begin_ + held_.size();
  if (!here) {
    if (offset > file_bytes || at_least > file_bytes - offset)
      return fail(Errc::internal, "read layer index: it is cut short", "load or pull the image again");
    // A little of what is before it, too: entries are not always asked for in their order.
    uint64_t begin = offset - std::min<uint64_t>(offset, bytes_ / 8);
    uint64_t end = std::min(file_bytes, std::max<uint64_t>(begin + bytes_, offset + at_least));
    fd_ = -1;
    held_.resize(end - begin);
    TRY(pread_all(fd, std::as_writable_bytes(std::span(held_)), begin));
    fd_ = fd;
    begin_ = begin;
  }
  return std::string_view(held_).substr(offset - begin_);
}

IndexFiles::IndexFiles(std::span<const LayerFiles> layers)
    : windows_(std::min(layers.size(), most_windows), IndexWindow(window_bytes)) {
  for (const LayerFiles& layer : layers) files_.push_back({layer.index_fd, 0, {}});
}

Result<> IndexFiles::for_each(uint32_t layer, const std::function<Result<>(const Entry&, uint64_t offset)>& each) {
  File& file = files_[layer];
  file.bytes = TRY(file_size(file.fd));
  if (file.bytes > largest_index) return fail(Errc::invalid_argument, "read layer index: larger than 1 GiB");
  file.header = TRY(read_index_header(file.fd));
  // One of its own: `each` may read other entries meanwhile.
  IndexWindow window(scan_bytes);
  auto bytes = [&](uint64_t offset, size_t at_least) { return window.from(file.fd, file.bytes, offset, at_least); };
  file.header = TRY(for_each_entry(bytes, file.bytes, each));
  return {};
}

Result<Entry> IndexFiles::entry(EntryPlace place) {
  const File& file = files_[place.layer];
  IndexWindow& window = windows_[place.layer % windows_.size()];
  auto bytes = [&](uint64_t offset, size_t at_least) { return window.from(file.fd, file.bytes, offset, at_least); };
  return read_entry(bytes, file.bytes, place.offset, file.header);
}

}  // namespace diatom::rootfs
