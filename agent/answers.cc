#include "answers.h"

#include <charconv>
#include <memory>

namespace diatom::agent {

namespace {
constexpr size_t largest_body = 16 << 20;
}

void answer(channel::Connection& connection, channel::StreamId stream, int status, std::string_view body) {
  connection.cork();
  connection.respond(stream, status);
  connection.send_all(stream, body);
  connection.finish(stream);
  connection.uncork();
}

void refuse(channel::Connection& connection, channel::StreamId stream, const channel::StartFailure& why) {
  answer(connection, stream, 500, encode(why));
}

channel::StreamHandlers with_body(channel::Connection& connection, channel::StreamId stream,
                                  std::function<void(std::string)> act) {
  auto body = std::make_shared<std::string>();
  return {.on_status = {},
          .on_data =
              [&connection, stream, body](std::span<const std::byte> data) {
                connection.consume(stream, data.size());
                if (body->size() + data.size() > largest_body) return connection.reset(stream);
                body->append(reinterpret_cast<const char*>(data.data()), data.size());
              },
          .on_end = [body, act = std::move(act)] { act(std::move(*body)); },
          .on_writable = {},
          .on_close = {}};
}

std::optional<unsigned> parse_number(std::string_view text, unsigned most) {
  unsigned value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value > most) return std::nullopt;
  return value;
}

}  // namespace diatom::agent
