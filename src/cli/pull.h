#pragma once

#include "cli/progress.h"

namespace diatom::cli {

// Pulls with docker's words on `fd`: from "latest: Pulling from library/busybox" to the status line. A signal cancels.
Result<PulledImage> pull_image(Images& images, const std::string& reference, PullOptions options, ProgressMode mode,
                               int fd);

}  // namespace diatom::cli
