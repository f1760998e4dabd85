// Descriptors are made first and marked close-on-exec then: nothing here does both at once, so that a program which
// another thread starts in between inherits one.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "base/platform/platform.h"

namespace diatom::platform {

namespace {

// SIGPIPE is the socket's own matter here: there was no MSG_NOSIGNAL for long.
UniqueFd prepare_socket(int fd) {
  if (fd < 0) return UniqueFd();
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  int yes = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &yes, sizeof yes);
  return UniqueFd(fd);
}

}  // namespace

Result<SocketPair> make_socket_pair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0) return fail_errno("socketpair");
  return SocketPair{prepare_socket(fds[0]), prepare_socket(fds[1])};
}

Result<UniqueFd> make_socket() { return make_socket(AF_UNIX, SOCK_STREAM); }

Result<UniqueFd> make_socket(int family, int type) {
  UniqueFd fd = prepare_socket(::socket(family, type, 0));
  if (!fd) return fail_errno("socket");
  return fd;
}

// It is non-blocking where its listener is.
UniqueFd accept_connection(const UniqueFd& listener) {
  UniqueFd fd = prepare_socket(::accept(listener.get(), nullptr, nullptr));
  if (fd) ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) & ~O_NONBLOCK);
  return fd;
}

ssize_t send_quietly(int fd, const void* data, size_t size, int flags) { return ::send(fd, data, size, flags); }

Result<Pipe> make_pipe() {
  int fds[2];
  if (::pipe(fds) < 0) return fail_errno("pipe");
  for (int fd : fds) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  return Pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

// They grow by themselves, to 64 KiB.
void widen_pipe(int, size_t) {}

ssize_t splice(int, int, size_t) {
  errno = EINVAL;
  return -1;
}

}  // namespace diatom::platform
