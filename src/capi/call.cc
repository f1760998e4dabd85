#include "capi/call.h"

#include <fcntl.h>

#include <cstdlib>
#include <cstring>
#include <new>

#include "runtime/json/documents.h"

namespace diatom::capi {

namespace {

static_assert(static_cast<int>(Errc::not_found) + 1 == DIATOM_NOT_FOUND);
static_assert(static_cast<int>(Errc::already_exists) + 1 == DIATOM_ALREADY_EXISTS);
static_assert(static_cast<int>(Errc::invalid_argument) + 1 == DIATOM_INVALID_ARGUMENT);
static_assert(static_cast<int>(Errc::image_pull) + 1 == DIATOM_IMAGE_PULL);
static_assert(static_cast<int>(Errc::engine_unavailable) + 1 == DIATOM_ENGINE_UNAVAILABLE);
static_assert(static_cast<int>(Errc::start_failed) + 1 == DIATOM_START_FAILED);
static_assert(static_cast<int>(Errc::guest) + 1 == DIATOM_GUEST);
static_assert(static_cast<int>(Errc::timeout) + 1 == DIATOM_TIMEOUT);
static_assert(static_cast<int>(Errc::unsupported) + 1 == DIATOM_UNSUPPORTED);
static_assert(static_cast<int>(Errc::cancelled) + 1 == DIATOM_CANCELLED);
static_assert(static_cast<int>(Errc::internal) + 1 == DIATOM_INTERNAL);

diatom_status status_of(const Error& error) { return static_cast<diatom_status>(static_cast<int>(error.code) + 1); }

sigset_t only_sigpipe() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  return set;
}

bool sigpipe_is_pending() {
  sigset_t pending;
  sigemptyset(&pending);
  ::sigpending(&pending);
  return sigismember(&pending, SIGPIPE) == 1;
}

}  // namespace

QuietPipes::QuietPipes() : before_(), was_pending_(sigpipe_is_pending()) {
  sigset_t pipe = only_sigpipe();
  ::pthread_sigmask(SIG_BLOCK, &pipe, &before_);
}

QuietPipes::~QuietPipes() {
  sigset_t pipe = only_sigpipe();
  int taken = 0;
  // One that was there before is the caller's.
  if (!was_pending_ && sigpipe_is_pending()) ::sigwait(&pipe, &taken);
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

diatom_status report(diatom_error** out, Error error) noexcept {
  diatom_status status = status_of(error);
  // Without memory for the words the kind must do.
  if (out != nullptr) *out = new (std::nothrow) diatom_error{std::move(error)};
  return status;
}

diatom_status report_exception(diatom_error** out) noexcept {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return DIATOM_INTERNAL;
  } catch (const std::exception& error) {
    try {
      return report(out, {Errc::internal, std::string("call diatom: ") + error.what(), "this is a bug of diatom's", 0});
    } catch (...) {
      return DIATOM_INTERNAL;
    }
  } catch (...) {
    return DIATOM_INTERNAL;
  }
}

Error null_argument(std::string_view name) {
  return {Errc::invalid_argument, "use " + std::string(name) + ": it is NULL", "", 0};
}

Result<std::string_view> text(std::string_view name, const char* value) {
  if (value == nullptr) return std::unexpected(null_argument(name));
  return std::string_view(value);
}

Result<std::vector<std::string>> list(std::string_view name, const char* const* values) {
  if (values == nullptr) return std::unexpected(null_argument(name));
  std::vector<std::string> all;
  for (; *values != nullptr; ++values) all.emplace_back(*values);
  return all;
}

Result<> check_descriptor(std::string_view name, int fd) {
  if (::fcntl(fd, F_GETFD) >= 0) return {};
  return fail(Errc::invalid_argument, "use " + std::string(name) + " " + std::to_string(fd) + ": it is not open");
}

Result<> check_cancelled(const diatom_runtime& runtime) {
  if (!runtime.cancelled) return {};
  return fail(Errc::cancelled, "interrupted");
}

ProgressHandler progress_handler(diatom_progress_callback callback, void* user) {
  if (callback == nullptr) return nullptr;
  return [=](const TransferProgress& progress) { callback(user, print_json(progress_json(progress)).c_str()); };
}

Result<> give(char** out, const Json& value) {
  if (out == nullptr) return {};
  *out = ::strdup(print_json(value).c_str());
  if (*out == nullptr) throw std::bad_alloc();
  return {};
}

}  // namespace diatom::capi

using diatom::errc_name;

extern "C" {

int diatom_api_version(void) { return DIATOM_API_VERSION; }
const char* diatom_version(void) { return DIATOM_VERSION; }

diatom_status diatom_error_status(const diatom_error* error) {
  return error != nullptr ? diatom::capi::status_of(error->error) : DIATOM_OK;
}
const char* diatom_error_kind(const diatom_error* error) {
  return error != nullptr ? errc_name(error->error.code).data() : "ok";  // of literals, so they end with a NUL
}
const char* diatom_error_message(const diatom_error* error) {
  return error != nullptr ? error->error.message.c_str() : "";
}
const char* diatom_error_hint(const diatom_error* error) { return error != nullptr ? error->error.hint.c_str() : ""; }
int diatom_error_exit_code(const diatom_error* error) { return error != nullptr ? error->error.exit_code : 0; }
void diatom_error_free(diatom_error* error) { delete error; }

void diatom_free(void* memory) { std::free(memory); }

}  // extern "C"
