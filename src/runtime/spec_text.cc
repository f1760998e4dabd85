#include "runtime/spec_text.h"

#include <fmt/core.h>

#include <algorithm>

namespace diatom {

namespace {

constexpr double least_cpus = 0.01;

constexpr std::pair<std::string_view, RestartPolicy::Kind> restart_words[] = {
    {"no", RestartPolicy::Kind::no},
    {"on-failure", RestartPolicy::Kind::on_failure},
    {"always", RestartPolicy::Kind::always},
    {"unless-stopped", RestartPolicy::Kind::unless_stopped}};

}  // namespace

Result<RestartPolicy> parse_restart_policy(const std::string& text) {
  size_t colon = std::min(text.find(':'), text.size());
  for (auto [word, kind] : restart_words) {
    if (word != std::string_view(text).substr(0, colon)) continue;
    RestartPolicy policy{kind, 0};
    if (colon == text.size()) return policy;
    if (kind == RestartPolicy::Kind::on_failure) {
      policy.max_retries = TRY(parse_count<unsigned>("retries", text.substr(colon + 1)));
      return policy;
    }
  }
  return fail(Errc::invalid_argument, fmt::format("parse restart policy \"{}\"", printable(text)),
              "one of no, on-failure[:RETRIES], always, unless-stopped");
}

std::string restart_policy_name(RestartPolicy::Kind kind) {
  auto found = std::ranges::find(restart_words, kind, &std::pair<std::string_view, RestartPolicy::Kind>::second);
  return found != std::end(restart_words) ? std::string(found->first) : "";
}

Result<double> parse_cpus(const std::string& text) {
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !(value >= least_cpus) || value > 4096)
    return fail(Errc::invalid_argument, fmt::format("parse cpus \"{}\": not a number of CPUs", text),
                "write 2 or 0.5; 0.01 is the least");
  return value;
}

TmpfsMount parse_tmpfs(const std::string& text) {
  size_t colon = text.find(':');
  if (colon == std::string::npos) return {text, ""};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

Result<Ulimit> parse_ulimit(const std::string& text) {
  size_t equals = std::min(text.find('='), text.size());
  Ulimit limit{.name = text.substr(0, equals), .soft = 0, .hard = 0};
  std::string values = equals < text.size() ? text.substr(equals + 1) : "";
  size_t colon = std::min(values.find(':'), values.size());
  auto value = [&](const std::string& word) -> Result<uint64_t> {
    if (word == "-1" || word == "unlimited") return Ulimit::unlimited;
    return parse_count<uint64_t>("ulimit", word);
  };
  limit.soft = TRY(value(values.substr(0, colon)));
  limit.hard = colon < values.size() ? TRY(value(values.substr(colon + 1))) : limit.soft;
  if (limit.name.empty() || limit.soft > limit.hard)
    return fail(Errc::invalid_argument, fmt::format("parse ulimit \"{}\"", printable(text)),
                "write NAME=SOFT[:HARD], SOFT at most HARD: nofile=1024:2048");
  return limit;
}

Result<std::pair<std::string, std::string>> parse_pair(std::string_view what, const std::string& text) {
  size_t equals = text.find('=');
  if (equals == 0 || equals == std::string::npos)
    return fail(Errc::invalid_argument, fmt::format("parse {} \"{}\"", what, printable(text)), "write KEY=VALUE");
  return std::pair(text.substr(0, equals), text.substr(equals + 1));
}

}  // namespace diatom
