#include <fcntl.h>
#include <unistd.h>

#include "cli/command.h"

namespace {

// Somebody may start us with these closed. The next file that is opened would get the number, and what is meant for
// people would be written into it.
bool open_standard_descriptors() {
  for (int fd = 0; fd <= 2; ++fd)
    if (::fcntl(fd, F_GETFD) < 0 && ::open("/dev/null", O_RDWR) != fd) return false;
  return true;
}

}  // namespace

int main(int argc, char** argv) { return open_standard_descriptors() ? diatom::cli::main(argc, argv) : 125; }
