#include "image/registry/redirect.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/text.h"
#include "image/registry/url.h"

namespace diatom::image {

namespace {

bool leads_on(const HttpHead& head, std::string_view method) {
  if (!head.headers.get("location")) return false;
  if (head.status == 307 || head.status == 308) return true;
  bool any_method = head.status == 301 || head.status == 302 || head.status == 303;
  return any_method && (method == "GET" || method == "HEAD");
}

}  // namespace

void leave_origin(HttpRequest& request) {
  std::erase_if(request.headers, [](const std::string& header) { return header.starts_with("Authorization:"); });
  request.tls.client_cert.clear();
  request.tls.client_key.clear();
}

HttpResult<bool> follow_redirect(const HttpHead& head, HttpRequest& request, int followed, const std::string& host) {
  if (!leads_on(head, request.method)) return false;
  std::string location(*head.headers.get("location"));
  auto refuse = [&](std::string_view why) {
    return std::unexpected(
        final_failure(Errc::image_pull, fmt::format("{} redirects to {}: {}", host, printable(location), why)));
  };
  if (followed == most_redirects) return refuse("that is one too many");
  auto next = resolve_url(request.url, location);
  auto from = origin_of(request.url);
  auto to = next ? origin_of(*next) : std::nullopt;
  if (!from || !to) return refuse("that is no URL");
  if (from->scheme == "https" && to->scheme == "http" && request.tls.verify)
    return refuse("what was asked by TLS must not go on by plain HTTP");
  if (*to != *from) leave_origin(request);
  request.url = *next;
  return true;
}

}  // namespace diatom::image
