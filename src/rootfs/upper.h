#pragma once

#include <cstdint>
#include <filesystem>

#include "base/error.h"

namespace diatom::rootfs {

// Formats what create_upper() makes clones of, where it is not there yet. Errors: not_found when mke2fs is not
// installed; internal for a size of which mke2fs makes nothing.
Result<> prepare_upper(const std::filesystem::path& templates, uint64_t bytes);

// The writable layer of a container: an empty, sparse ext4 of `bytes`. It is formatted once for each size and kept in
// `templates`; `to` (which must not exist) is a clone of it. Errors: not_found when mke2fs is not installed.
Result<> create_upper(const std::filesystem::path& templates, uint64_t bytes, const std::filesystem::path& to);

// Removes what create_upper() keeps; it makes it again when it is needed. Returns the bytes that this freed.
Result<uint64_t> prune_uppers(const std::filesystem::path& templates);

}  // namespace diatom::rootfs
