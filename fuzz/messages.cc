// What host and agent say to each other: what was decoded is encoded to what decodes to the same.
#include "channel/messages.h"
#include "channel/reports.h"

#include "fuzz.h"

using namespace diatom::channel;

namespace {

template <class Message>
void check(std::string_view text, diatom::Result<Message> (*decode)(std::string_view)) {
  auto message = decode(text);
  if (!message) return diatom::fuzz::require_refusal(message.error());
  std::string encoded = encode(*message);
  auto again = decode(encoded);
  REQUIRE(again);
  REQUIRE(encode(*again) == encoded);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text = diatom::fuzz::as_text(data, size);
  check(text, decode_container_config);
  check(text, decode_preparation);
  check(text, decode_identity);
  check(text, decode_process_config);
  check(text, decode_exit_report);
  check(text, decode_start_failure);
  check(text, decode_limits);
  check(text, decode_stats);
  check(text, decode_process_list);
  check(text, decode_clock_reading);

  // Strings are bytes, whatever bytes.
  ProcessConfig config;
  config.argv = {"program", std::string(text)};
  config.user = text;
  auto decoded = decode_process_config(encode(config));
  REQUIRE(decoded);
  REQUIRE(decoded->argv == config.argv && decoded->user == config.user);
  return 0;
}
