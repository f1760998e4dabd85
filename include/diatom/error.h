// One error type, and one way to return it.
//
// A function that can fail returns Result<T>; exceptions never cross a folder. `message` reads "verb object: cause",
// lower case, no full stop. `code` is what programs test; HTTP statuses and exit codes are derived from it.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

#include "diatom/export.h"

namespace diatom {

// The kinds of contract.md, "Defaults and limits".
enum class Errc {
  not_found,
  already_exists,
  invalid_argument,
  image_pull,
  engine_unavailable,
  start_failed,
  guest,
  timeout,
  unsupported,
  cancelled,
  internal,
};

// The stable name of a kind, as it appears in JSON ("not_found").
DIATOM_API std::string_view errc_name(Errc code);

struct Error {
  Errc code = Errc::internal;
  std::string message;  // what was being done to which object, and why it failed
  std::string hint;     // what the user can do next; empty when nothing is known
  int exit_code = 0;    // start_failed: what docker's `run` exits with, 125 to 127; 0 otherwise
};

// Not an alias of std::expected: the attribute makes a dropped error a warning, and warnings are errors.
template <class T = void>
struct [[nodiscard]] Result : std::expected<T, Error> {
  using std::expected<T, Error>::expected;
};

inline std::unexpected<Error> fail(Errc code, std::string message, std::string hint = {}) {
  return std::unexpected<Error>(Error{code, std::move(message), std::move(hint)});
}

}  // namespace diatom

// Unwraps a Result, or returns its error from the enclosing function. A GNU statement expression, which every
// compiler that diatom supports has.
#define TRY(expr)                                                                            \
  __extension__({                                                                            \
    auto try_result_ = (expr);                                                               \
    if (!try_result_) return std::unexpected<diatom::Error>(std::move(try_result_).error()); \
    *std::move(try_result_);                                                                 \
  })
