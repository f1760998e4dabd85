// A layer's tar, from a stranger: what was accepted gives an index that decodes to what was promised, and an image of
// it is a whole file system, also when the layer is merged with itself.
#include "rootfs/layer.h"

#include "byte_source.h"
#include "erofs_check.h"
#include "rootfs/layer_index.h"
#include "rootfs/path.h"

using namespace diatom;

namespace {

constexpr rootfs::LayerLimits limits{.max_bytes = 1 << 20, .max_entries = 4096};

void check_index(const rootfs::LayerInfo& info, int data_fd, int index_fd) {
  std::string bytes = fuzz::content_of(index_fd);
  auto index = rootfs::decode_index(bytes);
  REQUIRE(index);
  REQUIRE(index->entries.size() == info.entries && info.entries <= limits.max_entries);
  REQUIRE("sha256:" + index->header.diff_id == info.diff_id);
  REQUIRE(index->header.tar_bytes == info.tar_bytes && info.tar_bytes <= limits.max_bytes);
  REQUIRE(index->header.data_bytes == info.data_bytes && info.data_bytes % rootfs::block_size == 0);
  REQUIRE(file_size(data_fd).value() == info.data_bytes);
  for (const rootfs::Entry& entry : index->entries) REQUIRE(rootfs::normalise_path(entry.path).value() == entry.path);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::MemorySource blob(fuzz::as_text(data, size));
  UniqueFd data_fd = fuzz::memory_file();
  UniqueFd index_fd = fuzz::memory_file();
  auto info = rootfs::write_layer(blob, "fuzz", data_fd.get(), index_fd.get(), limits, CancelToken());
  if (!info) {
    fuzz::require_refusal(info.error());
    return 0;
  }
  check_index(*info, data_fd.get(), index_fd.get());
  for (size_t times : {1U, 2U}) fuzz::check_image(index_fd.get(), times, info->data_bytes);
  return 0;
}
