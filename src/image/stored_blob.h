#pragma once

#include <memory>

#include "base/cancel.h"
#include "oci/manifest.h"
#include "rootfs/byte_source.h"
#include "store/paths.h"

namespace diatom::image {

// A blob of the content store on its way out. Its digest is checked while it is read: at the end an error instead of
// the end of the stream, so that no damaged disk is passed on to others unnoticed.
Result<std::unique_ptr<rootfs::ByteSource>> open_stored_blob(const store::Paths& paths, const oci::Descriptor& blob,
                                                             const CancelToken& cancel);

}  // namespace diatom::image
