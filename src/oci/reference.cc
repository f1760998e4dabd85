#include "oci/reference.h"

#include <algorithm>

namespace diatom::oci {

namespace {

constexpr std::string_view default_registry = "docker.io";
constexpr std::string_view default_namespace = "library/";

bool is_lower_alphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_alphanumeric(char c) { return is_lower_alphanumeric(c) || (c >= 'A' && c <= 'Z'); }

// Lower-case letters and digits, joined by ".", "_", "__" or any number of "-".
bool is_path_component(std::string_view text) {
  if (text.empty() || !is_lower_alphanumeric(text.front()) || !is_lower_alphanumeric(text.back())) return false;
  for (size_t i = 0; i < text.size();) {
    if (is_lower_alphanumeric(text[i])) {
      ++i;
      continue;
    }
    size_t end = i;
    while (!is_lower_alphanumeric(text[end])) ++end;
    std::string_view joint = text.substr(i, end - i);
    if (joint != "." && joint != "_" && joint != "__" && joint.find_first_not_of('-') != std::string_view::npos)
      return false;
    i = end;
  }
  return true;
}

bool is_repository(std::string_view text) {
  for (size_t begin = 0; begin <= text.size();) {
    size_t end = std::min(text.find('/', begin), text.size());
    if (!is_path_component(text.substr(begin, end - begin))) return false;
    begin = end + 1;
  }
  return true;
}

bool is_port(std::string_view text) {
  return !text.empty() && text.size() <= 5 && text.find_first_not_of("0123456789") == std::string_view::npos;
}

bool is_registry(std::string_view text) {
  if (text.starts_with('[')) {  // an IPv6 address
    size_t close = text.find(']');
    if (close == std::string_view::npos) return false;
    std::string_view address = text.substr(1, close - 1);
    if (address.empty() || address.find_first_not_of("0123456789abcdefABCDEF:.") != std::string_view::npos)
      return false;
    text = text.substr(close + 1);
    return text.empty() || (text.front() == ':' && is_port(text.substr(1)));
  }
  size_t colon = text.find(':');
  if (colon != std::string_view::npos) {
    if (!is_port(text.substr(colon + 1))) return false;
    text = text.substr(0, colon);
  }
  return !text.empty() && is_alphanumeric(text.front()) && is_alphanumeric(text.back()) &&
         std::ranges::all_of(text, [](char c) { return is_alphanumeric(c) || c == '.' || c == '-'; });
}

bool is_tag(std::string_view text) {
  return !text.empty() && text.size() <= 128 && (is_alphanumeric(text.front()) || text.front() == '_') &&
         std::ranges::all_of(text, [](char c) { return is_alphanumeric(c) || c == '_' || c == '.' || c == '-'; });
}

// What is before the first slash is a registry only when it looks like one: otherwise "user/image" would be.
bool looks_like_registry(std::string_view text) {
  return text == "localhost" || text.find_first_of(".:[") != std::string_view::npos ||
         std::ranges::any_of(text, [](char c) { return c >= 'A' && c <= 'Z'; });
}

}  // namespace

Result<Reference> Reference::parse(std::string_view text) {
  auto refuse = [text](std::string_view why) {
    return fail(Errc::invalid_argument,
                "parse image name \"" + std::string(text.substr(0, 200)) + "\": " + std::string(why),
                "write [registry/]repository[:tag][@sha256:…]");
  };
  Reference reference;
  std::string_view rest = text;
  if (size_t at = rest.find('@'); at != std::string_view::npos) {
    reference.digest = TRY(Digest::parse(rest.substr(at + 1)));
    rest = rest.substr(0, at);
  }
  size_t slash = rest.rfind('/');
  size_t colon = rest.rfind(':');
  if (colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash)) {
    reference.tag = rest.substr(colon + 1);
    if (!is_tag(reference.tag)) return refuse("the tag is not allowed");
    rest = rest.substr(0, colon);
  }
  reference.registry = default_registry;
  if (size_t first = rest.find('/'); first != std::string_view::npos && looks_like_registry(rest.substr(0, first))) {
    reference.registry = rest.substr(0, first);
    if (!is_registry(reference.registry)) return refuse("the registry is no host name");
    rest = rest.substr(first + 1);
  }
  if (reference.registry == "index.docker.io") reference.registry = default_registry;
  if (!is_repository(rest))
    return refuse("a repository has lower-case letters, digits, and single separators between them");
  reference.repository = rest;
  if (reference.registry == default_registry && rest.find('/') == std::string_view::npos)
    reference.repository.insert(0, default_namespace);
  if (reference.repository.size() > 255) return refuse("longer than 255 bytes");
  if (reference.tag.empty() && reference.digest.empty()) reference.tag = "latest";
  return reference;
}

std::string Reference::name() const { return registry + "/" + repository; }

std::string Reference::canonical() const {
  std::string text = name();
  if (!tag.empty()) text += ":" + tag;
  if (!digest.empty()) text += "@" + digest.text();
  return text;
}

std::string Reference::familiar() const {
  std::string text = canonical();
  // "docker.io/localhost/x" needs its registry: without, "localhost" would be taken for one.
  if (registry != default_registry || looks_like_registry(repository.substr(0, repository.find('/')))) return text;
  text.erase(0, registry.size() + 1);
  if (text.starts_with(default_namespace) && text.find('/', default_namespace.size()) == std::string::npos)
    text.erase(0, default_namespace.size());
  return text;
}

}  // namespace diatom::oci
