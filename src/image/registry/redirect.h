// Where a redirect leads to, and what may go along: what was meant for one origin is not told to another.
#pragma once

#include <string>

#include "image/registry/http.h"

namespace diatom::image {

constexpr int most_redirects = 5;

// Makes of `request` the one that `head`, the answer to it, sends on. False: the answer is none that leads on. A GET or
// HEAD follows every redirect; what has a body only 307 and 308, which keep the method, and it is for the caller to
// read the body again. Authorization and client certificate are left behind when the origin changes. Errors are final,
// and name `host`: too many redirects (`followed` so far), what is no URL, and plain HTTP where TLS was asked for.
HttpResult<bool> follow_redirect(const HttpHead& head, HttpRequest& request, int followed, const std::string& host);

// Removes what was meant for the registry alone.
void leave_origin(HttpRequest& request);

}  // namespace diatom::image
