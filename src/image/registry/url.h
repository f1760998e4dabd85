// The little that we need to know of URLs; libcurl's parser reads them, so that nobody can read them differently.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace diatom::image {

// Who is talked to (RFC 6454). What was meant for one origin is not told to another.
struct Origin {
  std::string scheme;  // "https", "http"
  std::string host;    // lower case; an IPv6 address in brackets
  std::string port;    // always there
  bool operator==(const Origin&) const = default;
};

// Empty for what is no http or https URL, or has a user name in it.
std::optional<Origin> origin_of(const std::string& url);
// A Location header as an absolute URL. Empty as above.
std::optional<std::string> resolve_url(const std::string& base, const std::string& location);
std::string percent_encode(std::string_view text);  // all but RFC 3986's unreserved characters
// Adds name=value to the query.
std::string with_query(std::string url, std::string_view name, std::string_view value);
// localhost, 127.0.0.0/8 or ::1, with or without port.
bool is_loopback(std::string_view host);

}  // namespace diatom::image
