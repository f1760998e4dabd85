#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "channel/messages.h"

namespace diatom::agent {

// The value of "KEY=value"; null when there is none.
const char* variable(const std::vector<std::string>& env, std::string_view key);

// execvpe(3) with the PATH of `env`, but telling the ways to fail apart as docker does. Returns only to say why not.
channel::StartFailure execute(const std::vector<std::string>& argv, const std::vector<std::string>& env);

}  // namespace diatom::agent
