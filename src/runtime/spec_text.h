// Parts of a ContainerSpec as people write them: on the command line and in a container document. Pure and total: an
// error (invalid_argument) names the text.
#pragma once

#include <charconv>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "diatom/spec.h"

namespace diatom {

// "no", "on-failure", "on-failure:3", "always", "unless-stopped"
Result<RestartPolicy> parse_restart_policy(const std::string& text);
// "on-failure": without the number.
std::string restart_policy_name(RestartPolicy::Kind kind);
// "2", "0.5"
Result<double> parse_cpus(const std::string& text);
// "/run:size=64m,mode=1777", or the path alone
TmpfsMount parse_tmpfs(const std::string& text);
// "nofile=1024:2048", "nproc=64", "core=unlimited"
Result<Ulimit> parse_ulimit(const std::string& text);
// "KEY=VALUE"
Result<std::pair<std::string, std::string>> parse_pair(std::string_view what, const std::string& text);

template <class Number>
Result<Number> parse_count(std::string_view what, std::string_view text) {
  Number value{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (!text.empty() && error == std::errc{} && end == text.data() + text.size()) return value;
  return fail(Errc::invalid_argument, "parse " + std::string(what) + " \"" + printable(text) + "\": it is no number");
}

}  // namespace diatom
