// Questions to the person at the terminal. Errors: invalid_argument where standard input is none, cancelled on Ctrl-C.
#pragma once

#include <string>

#include "base/error.h"

namespace diatom::cli {

Result<std::string> ask(const std::string& question);
// What is typed is not shown; the terminal is put right again whatever happens.
Result<std::string> ask_secret(const std::string& question);
// True for y and yes.
Result<bool> confirm(const std::string& question);

// All of standard input, without the line end: `--password-stdin`.
Result<std::string> read_secret_from_stdin();

}  // namespace diatom::cli
