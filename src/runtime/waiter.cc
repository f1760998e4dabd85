#include "runtime/waiter.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>

#include "base/platform/platform.h"

namespace diatom {

Result<std::unique_ptr<Interrupt>> Interrupt::create() {
  platform::Pipe pipe = TRY(platform::make_pipe());
  ::fcntl(pipe.write_end.get(), F_SETFL, O_NONBLOCK);
  return std::unique_ptr<Interrupt>(new Interrupt(std::move(pipe.read_end), std::move(pipe.write_end)));
}

void Interrupt::raise() { [[maybe_unused]] ssize_t ignored = ::write(write_end_.get(), "", 1); }

Result<> Interrupt::check() const {
  pollfd event{read_end_.get(), POLLIN, 0};
  if (::poll(&event, 1, 0) > 0) return fail(Errc::cancelled, "interrupted");
  return {};
}

}  // namespace diatom
