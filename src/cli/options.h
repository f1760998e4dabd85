#pragma once

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

namespace diatom::cli {

// An option that takes exactly the word behind it, where CLI11's would go on taking words. The last one counts.
inline CLI::Option* one(CLI::Option* option) { return option->allow_extra_args(false)->expected(1)->take_last(); }

// The same, and it may be given several times.
inline CLI::Option* many(CLI::Option* option) {
  return option->allow_extra_args(false)->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

}  // namespace diatom::cli
