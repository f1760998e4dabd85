// The guest's first process: static, nothing of the image's. It sets the container's root up, starts its processes,
// carries their streams, reaps what is left, and says how they ended.
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <unistd.h>

#include <vector>

#include "boot.h"
#include "disks.h"
#include "server.h"

namespace {

using namespace diatom;

// The kernel opens none when it finds no console. What took their numbers would be overwritten in a new process.
void hold_standard_descriptors() {
  int fd = 0;
  while ((fd = ::eventfd(0, EFD_CLOEXEC)) >= 0 && fd <= 2) {
  }
  if (fd > 2) ::close(fd);
}

Result<> serve(const agent::Arguments& arguments) {
  agent::describe_disks(arguments);
  auto loop = TRY(EventLoop::create());
  auto server = TRY(agent::Server::create(*loop));
  TRY(loop->on_signal(SIGCHLD, [&](int) { server->reap(); }));
  // Once the channel is open, a VM may be saved at any moment.
  UniqueFd channel = TRY(agent::boot(arguments));
  TRY(agent::await_host(channel));
  TRY(server->attach(std::move(channel)));
  return loop->run();
}

}  // namespace

int main(int argc, char** argv) {
  if (::getpid() != 1) {
    constexpr std::string_view text = "the diatom agent is the first process of a guest; it does nothing elsewhere\n";
    [[maybe_unused]] ssize_t ignored = ::write(2, text.data(), text.size());
    return 1;
  }
  ::signal(SIGPIPE, SIG_IGN);
  hold_standard_descriptors();
  // Nor are its children, until they have become somebody's program: nobody in the container looks into them.
  ::prctl(PR_SET_DUMPABLE, 0);
  std::vector<char*> words(argv + (argc > 0 ? 1 : 0), argv + argc);
  for (char** entry = environ; *entry != nullptr; ++entry) words.push_back(*entry);  // a kernel's words with a "="
  if (auto served = serve(agent::parse_arguments(words)); !served) agent::log(served.error().message);
  // The host has gone, or nothing can be done: the VM ends.
  ::sync();
  ::reboot(RB_AUTOBOOT);
  return 1;
}
