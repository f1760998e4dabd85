// The public error type plus what only the implementation needs.
#pragma once

#include "diatom/error.h"

namespace diatom {

// An Error from errno, "what: strerror". Must be called before anything else can change errno.
// ENOSPC, EACCES and ENOENT get a kind and a hint of their own.
std::unexpected<Error> fail_errno(std::string_view what);
std::unexpected<Error> fail_errno(std::string_view what, int error_number);

}  // namespace diatom
