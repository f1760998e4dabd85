#pragma once

#include <string>
#include <string_view>

#include "oci/reference.h"
#include "store/store.h"

namespace diatom::image {

// What happens to an image, in docker's words: `actor` is its id, or (pull, push) its name. With the labels of the
// config (a digest's hex digits), when it can be read.
Event image_event(const store::Paths& paths, std::string_view action, std::string actor, std::string name,
                  const std::string& config);

// "busybox", whatever the tag or the digest.
std::string familiar_name(oci::Reference reference);

}  // namespace diatom::image
