#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "diatom/images.h"
#include "diatom/runtime.h"
#include "store/store.h"

namespace diatom {

// Where a container comes from, if it is not to begin with the image that its spec names, and an empty layer.
struct Origin {
  std::string image;                                                     // the very one
  std::function<Result<>(const std::filesystem::path& directory)> fill;  // makes "upper.ext4" and what else there is
};

// The container's folder and its record: nothing runs, and nothing of the image is copied. A failure leaves nothing
// behind.
Result<CreatedContainer> create_container(store::Store& store, const ContainerSpec& spec,
                                          const std::optional<Origin>& origin = std::nullopt);

// Makes the empty writable layer of a container, when its VM is started for the first time.
std::function<Result<>(const std::filesystem::path& to)> upper_formatter(const store::Store& store, uint64_t bytes);

}  // namespace diatom
