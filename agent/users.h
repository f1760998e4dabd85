#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace diatom::agent {

struct User {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  // supplementary
  std::string home = "/";
};

// "", "name", "uid", "name:group", "uid:gid" as docker understands them, by the image's own passwd(5) and group(5).
// Pure. Errors: not_found names the user or the group.
Result<User> resolve_user(std::string_view wanted, std::string_view passwd, std::string_view group);

}  // namespace diatom::agent
