#include "base/unix_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/platform/platform.h"

namespace diatom {

namespace {

constexpr int backlog = 128;

Result<sockaddr_un> address_of(const fs::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string& text = path.native();
  if (text.size() >= sizeof address.sun_path)
    return fail(Errc::invalid_argument, "use socket " + text + ": the path is too long for a socket",
                "set DIATOM_RUN to a shorter folder");
  std::memcpy(address.sun_path, text.c_str(), text.size() + 1);
  return address;
}

}  // namespace

Result<UniqueFd> listen_on(const fs::path& path) {
  sockaddr_un address = TRY(address_of(path));
  UniqueFd fd = TRY(platform::make_socket());
  ::unlink(path.c_str());
  mode_t before = ::umask(0077);
  int bound = ::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
  ::umask(before);
  if (bound < 0 || ::listen(fd.get(), backlog) < 0) return fail_errno("listen on " + path.string());
  ::fcntl(fd.get(), F_SETFL, O_NONBLOCK);
  return fd;
}

Result<UniqueFd> accept_from(const UniqueFd& listener) {
  UniqueFd fd = platform::accept_connection(listener);
  if (!fd && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS))
    return fail_errno("accept a connection");
  return fd;
}

Result<UniqueFd> connect_to(const fs::path& path) {
  sockaddr_un address = TRY(address_of(path));
  UniqueFd fd = TRY(platform::make_socket());
  int connected;
  do {
    connected = ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
  } while (connected < 0 && errno == EINTR);
  if (connected == 0) return fd;
  if (errno == ENOENT || errno == ECONNREFUSED)
    return fail(Errc::not_found, "connect to " + path.string() + ": nobody listens there");
  return fail_errno("connect to " + path.string());
}

}  // namespace diatom
