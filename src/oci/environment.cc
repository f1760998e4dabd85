#include "oci/environment.h"

#include <algorithm>
#include <string_view>

namespace diatom::oci {

namespace {

std::string_view key_of(std::string_view entry) { return entry.substr(0, entry.find('=')); }

}  // namespace

void set_variable(std::vector<std::string>& env, const std::string& entry) {
  auto same = std::ranges::find(env, key_of(entry), [](const std::string& other) { return key_of(other); });
  bool takes_out = entry.find('=') == std::string::npos;
  if (same != env.end() && takes_out)
    env.erase(same);
  else if (same != env.end())
    *same = entry;
  else if (!takes_out)
    env.push_back(entry);
}

}  // namespace diatom::oci
