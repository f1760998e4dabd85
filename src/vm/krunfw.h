// libkrunfw: a guest kernel in a shared library, with every driver that a microVM needs built in. It is libkrun's own;
// with a small ELF header around it QEMU boots it too (by PVH), about as fast as Debian's and without modules.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "base/error.h"

namespace diatom::vm {

// Where libkrunfw lies: $DIATOM_LIBKRUNFW, else what the dynamic loader finds. Empty when it is not installed.
std::optional<std::string> find_libkrunfw();

// Writes the kernel of `library` as an ELF file below `cache`, once for each version of the library, and returns its
// path. Errors: unsupported when the library or its kernel is of a kind that cannot be wrapped.
Result<std::filesystem::path> extract_krunfw_kernel(const std::string& library, const std::filesystem::path& cache);

// An ELF image that loads `kernel` at `load_address` and carries its PVH note. Pure.
Result<std::string> wrap_pvh_kernel(std::span<const std::byte> kernel, uint64_t load_address);

}  // namespace diatom::vm
