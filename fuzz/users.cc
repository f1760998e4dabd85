// `--user` and the image's own passwd and group: whom a program becomes is somebody that the kernel can make it.
#include "users.h"

#include "fuzz.h"

using diatom::agent::resolve_user;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Three texts, apart by a NUL: seeds can be read.
  std::string_view rest = diatom::fuzz::as_text(data, size);
  std::string_view texts[3];
  for (std::string_view& text : texts) {
    size_t end = std::min(rest.find('\0'), rest.size());
    text = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  auto user = resolve_user(texts[0], texts[1], texts[2]);
  if (!user) {
    diatom::fuzz::require_refusal(user.error(), diatom::Errc::not_found);
    return 0;
  }
  constexpr uint32_t leave_it = UINT32_MAX;  // what -1 means to setuid(2): the program would stay root
  REQUIRE(user->uid != leave_it && user->gid != leave_it);
  REQUIRE(std::ranges::find(user->groups, leave_it) == user->groups.end());
  REQUIRE(!user->home.empty());
  for (const auto& [uid, name] : diatom::agent::user_names(texts[1])) REQUIRE(uid != leave_it && !name.empty());
  auto by_number = resolve_user(std::to_string(user->uid) + ":" + std::to_string(user->gid), "", "");
  REQUIRE(by_number && by_number->uid == user->uid && by_number->gid == user->gid);
  return 0;
}
