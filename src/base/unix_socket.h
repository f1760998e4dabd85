// Unix stream sockets by path. A path that is longer than an address holds (104 bytes on macOS, 108 on Linux) is
// invalid_argument.
#pragma once

#include "base/file.h"

namespace diatom {

// Non-blocking. Only this user may connect. What lies at the path is replaced.
Result<UniqueFd> listen_on(const fs::path& path);
// The next one to connect, close-on-exec and blocking; empty when it went away again. Errors: internal when this
// process has no room for another descriptor.
Result<UniqueFd> accept_from(const UniqueFd& listener);
// not_found when nobody listens there.
Result<UniqueFd> connect_to(const fs::path& path);

}  // namespace diatom
