#include "answers.h"

#include <charconv>

namespace diatom::agent {

namespace {
constexpr size_t largest_body = 16 << 20;
}

void refuse(channel::Connection& connection, channel::StreamId stream, const channel::StartFailure& why) {
  answer(connection, stream, 500, encode(why));
}

channel::StreamHandlers with_body(channel::Connection& connection, channel::StreamId stream,
                                  std::function<void(std::string)> act) {
  return channel::with_body(connection, stream, largest_body, std::move(act));
}

std::optional<unsigned> parse_number(std::string_view text, unsigned most) {
  unsigned value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value > most) return std::nullopt;
  return value;
}

}  // namespace diatom::agent
