// Carries a request that came over one connection on over another, both bodies with their flow control: what the far
// end does not take is not taken from the near end either.
#pragma once

#include "channel/connection.h"

namespace diatom::channel {

// Returns the handlers of `stream`, which came in on `from` (its server) as `request`. Both connections must be closed
// (Connection::close) before they are destroyed. When the client goes away in the middle, what it sent ends, and what
// would have come for it is dropped: a program does not notice that nobody looks. When `to` is lost, the stream is
// reset. `wide`: much is going to come, either way.
StreamHandlers relay(Connection& from, StreamId stream, const Request& request, Connection& to, bool wide = false);

}  // namespace diatom::channel
