#include "oci/platform.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace diatom::oci {

namespace {

constexpr std::pair<std::string_view, std::string_view> other_words[] = {
    {"x86_64", "amd64"}, {"x86-64", "amd64"}, {"aarch64", "arm64"}, {"armhf", "arm"}, {"armel", "arm"}, {"i386", "386"},
};

bool is_word(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
  });
}

// Every machine of these architectures has this variant, and images often do not say so.
std::string_view default_variant(std::string_view architecture) {
  if (architecture == "arm64") return "v8";
  if (architecture == "arm") return "v7";
  return architecture == "amd64" ? "v1" : "";
}

int variant_number(std::string_view variant, std::string_view architecture) {
  if (variant.empty()) variant = default_variant(architecture);
  int number = -1;
  if (variant.starts_with('v')) std::from_chars(variant.data() + 1, variant.data() + variant.size(), number);
  return number;
}

}  // namespace

Result<Platform> parse_platform(std::string_view text) {
  auto refuse = [text]() -> std::unexpected<Error> {
    return fail(Errc::invalid_argument, "parse platform \"" + std::string(text.substr(0, 200)) + "\"",
                "write os/architecture or os/architecture/variant, such as linux/arm64");
  };
  std::string_view parts[3];
  size_t count = 0;
  for (std::string_view rest = text;;) {
    size_t slash = std::min(rest.find('/'), rest.size());
    if (count == std::size(parts) || !is_word(rest.substr(0, slash))) return refuse();
    parts[count++] = rest.substr(0, slash);
    if (slash == rest.size()) break;
    rest.remove_prefix(slash + 1);
  }
  if (count == 1) return Platform{"linux", parse_platform("linux/" + std::string(text))->architecture, ""};
  Platform platform{std::string(parts[0]), std::string(parts[1]), std::string(parts[2])};
  for (auto [word, architecture] : other_words)
    if (platform.architecture == word) platform.architecture = architecture;
  return platform;
}

std::string print_platform(const Platform& platform) {
  std::string text = (platform.os.empty() ? "linux" : platform.os) + "/" + platform.architecture;
  return platform.variant.empty() ? text : text + "/" + platform.variant;
}

int platform_fit(const Platform& wanted, const Platform& offered) {
  if (!offered.os.empty() && offered.os != wanted.os) return 0;
  if (offered.architecture.empty()) return 1;
  if (offered.architecture != wanted.architecture) return 0;
  int have = variant_number(offered.variant, offered.architecture);
  int need = variant_number(wanted.variant, wanted.architecture);
  if (have == need) return 100;
  // A newer machine runs what was made for an older one; the newest of those is best. Between numbered and unnumbered
  // variants nobody can tell.
  return have >= 0 && need >= 0 && have < need && have < 90 ? 2 + have : 0;
}

std::optional<size_t> best_platform(const Platform& wanted, std::span<const Platform> offered) {
  std::optional<size_t> best;
  int best_fit = 0;
  for (size_t i = 0; i < offered.size(); ++i)
    if (int fit = platform_fit(wanted, offered[i]); fit > best_fit) {
      best_fit = fit;
      best = i;
    }
  return best;
}

}  // namespace diatom::oci
