#include "users.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace diatom::agent {

namespace {

std::optional<uint32_t> number(std::string_view text) {
  uint32_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  // -1 means "leave it" to the kernel.
  if (error != std::errc{} || end != text.data() + text.size() || value == UINT32_MAX) return std::nullopt;
  return value;
}

// Calls `each` with the colon-separated fields of every line that has enough of them, until it returns true.
template <size_t Fields, class Each>
void for_each_line(std::string_view text, Each each) {
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    std::array<std::string_view, Fields> fields;
    size_t count = 0;
    while (count < Fields) {
      size_t colon = line.find(':');
      fields[count++] = line.substr(0, colon);
      if (colon == std::string_view::npos) break;
      line.remove_prefix(colon + 1);
    }
    if (count == Fields && !fields[0].empty() && each(fields)) return;
  }
}

struct Passwd {
  std::string_view name;
  uint32_t uid;
  uint32_t gid;
  std::string_view home;
};

std::optional<Passwd> find_user(std::string_view passwd, std::string_view name, std::optional<uint32_t> uid) {
  std::optional<Passwd> found;
  for_each_line<6>(passwd, [&](const auto& field) {
    auto its_uid = number(field[2]);
    auto its_gid = number(field[3]);
    if (its_uid && its_gid && (field[0] == name || (uid && *its_uid == *uid)))
      found = Passwd{field[0], *its_uid, *its_gid, field[5]};
    return found.has_value();
  });
  return found;
}

std::optional<uint32_t> find_group(std::string_view group, std::string_view name) {
  std::optional<uint32_t> found;
  for_each_line<3>(group, [&](const auto& field) {
    if (field[0] == name) found = number(field[2]);
    return found.has_value();
  });
  return found;
}

bool lists(std::string_view members, std::string_view name) {
  while (!members.empty()) {
    size_t comma = std::min(members.find(','), members.size());
    if (members.substr(0, comma) == name) return true;
    members.remove_prefix(std::min(comma + 1, members.size()));
  }
  return false;
}

Result<gid_t> group_number(std::string_view group, std::string_view name) {
  auto gid = find_group(group, name);
  if (!gid) gid = number(name);
  if (gid) return *gid;
  return fail(Errc::not_found, "find group \"" + std::string(name) + "\": no matching entry in the image's /etc/group");
}

}  // namespace

Result<User> resolve_user(std::string_view wanted, std::string_view passwd, std::string_view group,
                          const std::vector<std::string>& more_groups) {
  size_t colon = wanted.find(':');
  std::string_view name = wanted.substr(0, colon);
  std::string_view group_name = colon == std::string_view::npos ? "" : wanted.substr(colon + 1);
  if (name.empty()) name = "0";
  auto uid = number(name);
  auto entry = find_user(passwd, name, uid);
  if (!entry && !uid)
    return fail(Errc::not_found,
                "find user \"" + std::string(name) + "\": no matching entry in the image's /etc/passwd");
  User user;
  user.uid = entry ? entry->uid : *uid;
  if (entry) {
    user.gid = entry->gid;
    if (!entry->home.empty()) user.home = entry->home;
  }
  if (!group_name.empty()) {
    user.gid = TRY(group_number(group, group_name));
  } else if (entry) {
    for_each_line<4>(group, [&](const auto& field) {
      auto gid = number(field[2]);
      if (gid && lists(field[3], entry->name)) user.groups.push_back(*gid);
      return false;
    });
  }
  for (const std::string& more : more_groups) user.groups.push_back(TRY(group_number(group, more)));
  return user;
}

std::map<uid_t, std::string> user_names(std::string_view passwd) {
  std::map<uid_t, std::string> names;
  for_each_line<3>(passwd, [&](const auto& field) {
    if (auto uid = number(field[2])) names.emplace(*uid, field[0]);
    return false;
  });
  return names;
}

}  // namespace diatom::agent
