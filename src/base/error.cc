#include "base/error.h"

#include <cerrno>
#include <cstring>

namespace diatom {

std::string_view errc_name(Errc code) {
  switch (code) {
    case Errc::not_found:
      return "not_found";
    case Errc::already_exists:
      return "already_exists";
    case Errc::invalid_argument:
      return "invalid_argument";
    case Errc::image_pull:
      return "image_pull";
    case Errc::engine_unavailable:
      return "engine_unavailable";
    case Errc::start_failed:
      return "start_failed";
    case Errc::guest:
      return "guest";
    case Errc::timeout:
      return "timeout";
    case Errc::unsupported:
      return "unsupported";
    case Errc::cancelled:
      return "cancelled";
    case Errc::internal:
      return "internal";
  }
  return "internal";
}

std::unexpected<Error> fail_errno(std::string_view what) { return fail_errno(what, errno); }

std::unexpected<Error> fail_errno(std::string_view what, int error_number) {
  std::string message = std::string(what) + ": " + std::strerror(error_number);
  switch (error_number) {
    case ENOENT:
      return fail(Errc::not_found, std::move(message));
    case EEXIST:
      return fail(Errc::already_exists, std::move(message));
    case ENOSPC:
    case EDQUOT:
      return fail(Errc::internal, std::move(message), "free some disk space, or set DIATOM_HOME elsewhere");
    case EACCES:
    case EPERM:
      return fail(Errc::internal, std::move(message), "check the permissions and the owner");
    default:
      return fail(Errc::internal, std::move(message));
  }
}

}  // namespace diatom
