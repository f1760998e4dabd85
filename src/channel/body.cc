#include "channel/body.h"

#include <memory>

namespace diatom::channel {

StreamHandlers with_body(Connection& connection, StreamId stream, size_t most_bytes,
                         std::function<void(std::string)> act) {
  auto body = std::make_shared<std::string>();
  return {.on_status = {},
          .on_data =
              [&connection, stream, body, most_bytes](std::span<const std::byte> data) {
                connection.consume(stream, data.size());
                if (body->size() + data.size() > most_bytes) return connection.reset(stream);
                body->append(reinterpret_cast<const char*>(data.data()), data.size());
              },
          .on_end = [body, act = std::move(act)] { act(std::move(*body)); },
          .on_writable = {},
          .on_close = {}};
}

void answer(Connection& connection, StreamId stream, int status, std::string_view body) {
  connection.cork();
  connection.respond(stream, status);
  connection.send_all(stream, body);
  connection.finish(stream);
  connection.uncork();
}

}  // namespace diatom::channel
