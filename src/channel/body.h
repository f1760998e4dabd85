// Requests and answers that are one message each, from a server's side.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "channel/connection.h"

namespace diatom::channel {

// Collects the request's body, then calls `act`. A body of more than `most_bytes` resets the stream.
StreamHandlers with_body(Connection& connection, StreamId stream, size_t most_bytes,
                         std::function<void(std::string)> act);

void answer(Connection& connection, StreamId stream, int status, std::string_view body = {});

}  // namespace diatom::channel
