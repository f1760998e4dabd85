// The guest's first process: static, nothing of the image's. It sets the container's root up, starts its processes,
// carries their streams, reaps what is left, and says how they ended.
#include <signal.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "boot.h"
#include "server.h"

namespace {

using namespace diatom;

Result<> serve() {
  UniqueFd channel = TRY(agent::boot());
  auto loop = TRY(EventLoop::create());
  auto server = TRY(agent::Server::open(*loop, std::move(channel)));
  TRY(loop->on_signal(SIGCHLD, [&](int) { server->reap(); }));
  return loop->run();
}

}  // namespace

int main() {
  if (::getpid() != 1) {
    constexpr std::string_view text = "the diatom agent is the first process of a guest; it does nothing elsewhere\n";
    [[maybe_unused]] ssize_t ignored = ::write(2, text.data(), text.size());
    return 1;
  }
  ::signal(SIGPIPE, SIG_IGN);
  if (auto served = serve(); !served) agent::log(served.error().message);
  // The host has gone, or nothing can be done: the VM ends.
  ::sync();
  ::reboot(RB_AUTOBOOT);
  return 1;
}
