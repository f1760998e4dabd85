#include "image/registry/url.h"

#include <arpa/inet.h>

#include <memory>

#include "image/registry/libcurl.h"

namespace diatom::image {

namespace {

struct FreeUrl {
  void operator()(CURLU* url) const { libcurl().url_cleanup(url); }
};
using UrlHandle = std::unique_ptr<CURLU, FreeUrl>;

std::string part(CURLU* url, CURLUPart which, unsigned flags = 0) {
  char* text = nullptr;
  if (libcurl().url_get(url, which, &text, flags) != CURLUE_OK) return "";
  std::string out(text);
  libcurl().free(text);
  return out;
}

bool is_acceptable(CURLU* url) {
  std::string scheme = part(url, CURLUPART_SCHEME);
  return (scheme == "https" || scheme == "http") && !part(url, CURLUPART_HOST).empty() &&
         part(url, CURLUPART_USER).empty() && part(url, CURLUPART_PASSWORD).empty();
}

UrlHandle parse(const std::string& text) {
  UrlHandle url(libcurl().url());
  if (!url || libcurl().url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK || !is_acceptable(url.get()))
    return nullptr;
  return url;
}

}  // namespace

std::optional<Origin> origin_of(const std::string& text) {
  UrlHandle url = parse(text);
  if (!url) return std::nullopt;
  Origin origin{part(url.get(), CURLUPART_SCHEME), part(url.get(), CURLUPART_HOST),
                part(url.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT)};
  for (char& c : origin.host)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return origin;
}

std::optional<std::string> resolve_url(const std::string& base, const std::string& location) {
  UrlHandle url = parse(base);
  if (!url || location.empty() || libcurl().url_set(url.get(), CURLUPART_URL, location.c_str(), 0) != CURLUE_OK ||
      !is_acceptable(url.get()))
    return std::nullopt;
  libcurl().url_set(url.get(), CURLUPART_FRAGMENT, nullptr, 0);
  return part(url.get(), CURLUPART_URL);
}

std::string percent_encode(std::string_view text) {
  static constexpr char digits[] = "0123456789ABCDEF";
  std::string out;
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    bool unreserved = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
                      c == '.' || c == '_' || c == '~';
    if (unreserved) {
      out += c;
    } else {
      out += '%';
      out += digits[byte >> 4];
      out += digits[byte & 15];
    }
  }
  return out;
}

std::string with_query(std::string url, std::string_view name, std::string_view value) {
  url += url.find('?') == std::string::npos ? '?' : '&';
  url += name;
  url += '=';
  return url + percent_encode(value);
}

bool is_loopback(std::string_view host) {
  std::string name;
  if (host.starts_with('[')) {
    name = host.substr(1, host.find(']') == std::string_view::npos ? 0 : host.find(']') - 1);
  } else if (size_t colon = host.find(':'); colon == host.rfind(':')) {
    name = host.substr(0, colon);
  } else {
    name = host;
  }
  if (name == "localhost") return true;
  in_addr v4{};
  if (::inet_pton(AF_INET, name.c_str(), &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
  in6_addr v6{};
  return ::inet_pton(AF_INET6, name.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

}  // namespace diatom::image
