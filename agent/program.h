#pragma once

#include <string>
#include <string_view>

#include "base/platform/platform.h"
#include "channel/messages.h"

namespace diatom::agent {

struct Pipes {
  platform::Pipe input;
  platform::Pipe output;
  platform::Pipe error;
};

// What a new process becomes, and where. Borrowed.
struct Birth {
  const channel::ContainerConfig& container;
  const channel::ProcessConfig& process;
  const Pipes& pipes;
  int control = -1;        // where it hands its terminal over, and says what fails; its end without a word is success
  int first_process = -1;  // a pidfd: its namespaces are entered; -1 for the first process itself
  int orders = -1;         // where await_program() reads what it is to become
  bool is_first() const { return first_process < 0; }
};

// In the new process, cloned into its pid namespace and cgroup: it makes or enters the container, gives up the agent's
// privileges and executes the program.
[[noreturn]] void become_program(const Birth& birth);

// The same for a first process of which only the container's root is known: it makes its namespaces, says by an empty
// word that it has, and waits for its orders to become a program, or for its end.
[[noreturn]] void await_program(const Birth& birth);

// What it reads there: encoded messages, as they came from the host.
std::string print_orders(std::string_view container, std::string_view process);

}  // namespace diatom::agent
