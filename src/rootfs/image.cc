#include "rootfs/image.h"

#include <deque>
#include <string>
#include <vector>

#include "base/file.h"
#include "rootfs/erofs.h"
#include "rootfs/layer_index.h"
#include "rootfs/tree.h"

namespace diatom::rootfs {

namespace {

constexpr uint64_t largest_index = 1ULL << 30;

Result<std::string> read_index(int fd) {
  uint64_t size = TRY(file_size(fd));
  if (size > largest_index) return fail(Errc::invalid_argument, "read layer index: larger than 1 GiB");
  std::string bytes(size, '\0');
  TRY(pread_all(fd, std::as_writable_bytes(std::span(bytes)), 0));
  return bytes;
}

}  // namespace

Result<ImageInfo> write_image(std::span<const LayerFiles> layers, std::string_view identity, int out_fd,
                              const CancelToken& cancel) {
  std::deque<std::string> indexes;  // the tree borrows from them
  std::vector<uint64_t> data_bytes;
  Tree tree;
  for (uint32_t number = 0; number < layers.size(); ++number) {
    indexes.push_back(TRY(read_index(layers[number].index_fd)));
    IndexHeader header = TRY(read_index_header(layers[number].index_fd));
    uint64_t done = 0;
    auto apply = [&](const Entry& entry) -> Result<> {
      if (++done % 4096 == 0) TRY(cancel.check());
      auto applied = tree.apply(entry, number);
      if (applied) return {};
      return fail(applied.error().code,
                  "layer " + std::to_string(number + 1) + " (sha256:" + header.diff_id.substr(0, 12) +
                      "): " + applied.error().message,
                  applied.error().hint);
    };
    TRY(for_each_entry(indexes.back(), apply));
    data_bytes.push_back(header.data_bytes);
    TRY(cancel.check());
  }
  return write_erofs(tree, data_bytes, identity, out_fd, cancel);
}

}  // namespace diatom::rootfs
