// A blob as a stream that mends itself: what breaks is gone on with by Range, at the same endpoint or the next.
#pragma once

#include <memory>

#include "image/registry/registry_client.h"
#include "image/registry/requester.h"

namespace diatom::image {

// Borrows all that it is given but the blob's descriptor.
std::unique_ptr<rootfs::ByteSource> open_blob_source(SessionPool& sessions,
                                                     const std::vector<std::unique_ptr<Endpoint>>& endpoints,
                                                     const oci::Reference& repository, const oci::Descriptor& blob,
                                                     RetryHandler on_retry);

// How patient to be with an endpoint: there is another one behind a mirror.
RetryLimits limits_for(const EndpointConfig& endpoint);

}  // namespace diatom::image
