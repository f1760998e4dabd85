// What the agent says to a request.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "channel/body.h"
#include "channel/messages.h"

namespace diatom::agent {

using channel::answer;
void refuse(channel::Connection& connection, channel::StreamId stream, const channel::StartFailure& why);
inline void answer_result(channel::Connection& connection, channel::StreamId stream, const Result<>& result) {
  result ? answer(connection, stream, 200) : refuse(connection, stream, {125, result.error().message});
}

// As channel::with_body(), with the agent's limit.
channel::StreamHandlers with_body(channel::Connection& connection, channel::StreamId stream,
                                  std::function<void(std::string)> act);

std::optional<unsigned> parse_number(std::string_view text, unsigned most);

}  // namespace diatom::agent
