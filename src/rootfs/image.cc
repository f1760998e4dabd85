#include "rootfs/image.h"

#include <string>

#include "rootfs/erofs.h"
#include "rootfs/index_files.h"
#include "rootfs/tree.h"

namespace diatom::rootfs {

Result<ImageInfo> write_image(std::span<const LayerFiles> layers, std::string_view identity, int out_fd,
                              const ImageLimits& limits, const CancelToken& cancel) {
  if (layers.size() > most_layers)
    return fail(Errc::invalid_argument, "it has more than " + std::to_string(most_layers) + " layers");
  IndexFiles indexes(layers);
  Tree tree([&](EntryPlace place) { return indexes.entry(place); }, limits);
  for (uint32_t layer = 0; layer < layers.size(); ++layer) {
    uint64_t done = 0;
    auto apply = [&](const Entry& entry, uint64_t offset) -> Result<> {
      if (++done % 4096 == 0) TRY(cancel.check());
      auto applied = tree.apply(entry, {layer, offset});
      if (applied) return {};
      return fail(applied.error().code,
                  "layer " + std::to_string(layer + 1) + " (sha256:" + indexes.header(layer).diff_id.substr(0, 12) +
                      "): " + applied.error().message,
                  applied.error().hint);
    };
    TRY(indexes.for_each(layer, apply));
    TRY(cancel.check());
  }
  return write_erofs(tree, indexes, identity, out_fd, cancel);
}

}  // namespace diatom::rootfs
