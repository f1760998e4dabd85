// The files of an image archive, by their path in it. Whatever is asked for is first brought into the content store,
// where it is read from: a tar can be read once only, and its parts come in any order.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/cancel.h"
#include "rootfs/byte_source.h"
#include "store/content_store.h"

namespace diatom::image {

// A file, or "-" for standard input, whose slow writer a cancel does not wait for.
Result<std::unique_ptr<rootfs::ByteSource>> open_stream(const std::string& path, const CancelToken& cancel);

class Archive {
 public:
  virtual ~Archive() = default;
  // Empty when there is no such file. The digest is of what was really read.
  virtual Result<std::optional<store::Blob>> get(const std::string& path) = 0;
};

// A folder, a tar file (plain, gzip, zstd), or "-" for standard input. Paths never lead out of a folder. Errors:
// invalid_argument names what was opened.
Result<std::unique_ptr<Archive>> open_archive(const std::string& path, const store::Paths& paths,
                                              const CancelToken& cancel);

}  // namespace diatom::image
