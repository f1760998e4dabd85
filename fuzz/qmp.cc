// Whatever QEMU says, in whatever pieces: an event is found no more often than there are lines, nothing is waited for,
// and what is wrong is an error with words.
#include "vm/qemu/qmp.h"

#include <sys/socket.h>

#include <nlohmann/json.hpp>

#include "base/platform/platform.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace diatom;
  FuzzedDataProvider input(data, size);
  auto sockets = platform::make_socket_pair();
  REQUIRE(sockets);
  vm::QmpClient client(std::move(sockets->ours), {});
  auto matches = [](const Json& object) -> Result<bool> {
    REQUIRE(object.is_object());
    return !object.contains("no");
  };
  size_t lines = 0;
  size_t found = 0;
  bool failed = false;
  while (input.remaining_bytes() > 0 && !failed) {
    std::string piece = input.ConsumeRandomLengthString();
    lines += static_cast<size_t>(std::ranges::count(piece, '\n'));
    if (!write_all(sockets->theirs.get(), piece)) break;
    for (;;) {
      auto event = client.find_event("RESUME", matches);
      failed = !event;
      if (failed) fuzz::require_refusal(event.error(), Errc::start_failed);
      if (failed || !*event) break;
      ++found;
    }
  }
  REQUIRE(found <= lines);
  if (failed) return 0;
  sockets->theirs.reset();
  auto last = client.find_event("RESUME", matches);
  REQUIRE(!last);
  fuzz::require_refusal(last.error(), Errc::start_failed);
  return 0;
}
