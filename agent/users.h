#pragma once

#include <sys/types.h>

#include <map>
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
// `more_groups`, names or numbers, come to the supplementary ones. Pure. Errors: not_found names the user or the group.
Result<User> resolve_user(std::string_view wanted, std::string_view passwd, std::string_view group,
                          const std::vector<std::string>& more_groups = {});

// The name of passwd(5) for each uid: the first one, as getpwuid(3) finds it.
std::map<uid_t, std::string> user_names(std::string_view passwd);

}  // namespace diatom::agent
