#include "image/registry/requester.h"

#include <fmt/format.h>

#include "base/text.h"
#include "image/registry/api_error.h"
#include "image/registry/redirect.h"
#include "image/registry/url.h"

namespace diatom::image {

namespace {

using Scheme = Endpoint::Scheme;

constexpr size_t largest_error_body = 64 << 10;
// Where plain HTTP is an alternative, TLS has to show itself soon; it gets all the time it needs once that has failed.
constexpr std::chrono::seconds short_handshake{3};

Scopes scopes_of(const EndpointConfig& endpoint, const ApiCall& call) {
  Scopes scopes;
  if (!call.repository.empty()) scopes.add("repository:" + endpoint.prefix + call.repository + ":" + call.actions);
  scopes.add(call.extra_scope);
  return scopes;
}

std::unexpected<HttpFailure> refuse_redirect(const Endpoint& endpoint, std::string_view to, std::string_view why) {
  return std::unexpected(
      final_failure(Errc::image_pull, fmt::format("{} redirects to {}: {}", endpoint.config.host, printable(to), why)));
}

// For each attempt, and each redirect, from its beginning.
HttpResult<bool> open_body(const ApiCall& call, HttpRequest& request, ApiAnswer& answer) {
  if (!call.open_body) return true;
  auto body = call.open_body();
  if (!body) return std::unexpected(final_failure(body.error()));
  answer.sent_body = std::move(*body);
  request.body = answer.sent_body.get();
  request.body_bytes = call.body_bytes;
  request.on_sent = call.on_sent;
  return true;
}

// Sends once and follows redirects.
HttpResult<ApiAnswer> exchange(SessionPool& sessions, Endpoint& endpoint, const ApiCall& call, Scheme scheme,
                               const std::string& authorization) {
  ApiAnswer answer;
  HttpRequest request;
  request.method = call.method;
  request.url = api_url(endpoint.config, scheme, call);
  request.headers = call.headers;
  request.tls = endpoint.config.tls;
  auto home = origin_of(api_url(endpoint.config, scheme, {}));
  auto origin = origin_of(request.url);
  if (!home || !origin)
    return std::unexpected(final_failure(Errc::invalid_argument, "ask " + printable(request.url) + ": no URL"));
  if (!authorization.empty()) request.headers.push_back("Authorization: " + authorization);
  // An upload, or the next page of a list, may be elsewhere; what that host asks for is not for our credentials.
  if (*origin != *home) {
    if (home->scheme == "https" && origin->scheme == "http" && endpoint.config.tls.verify)
      return refuse_redirect(endpoint, request.url, "what was asked by TLS must not go on by plain HTTP");
    leave_origin(request);
    answer.redirected = true;
  }
  if (scheme == Scheme::https && endpoint.config.plain_allowed && endpoint.scheme == Scheme::unknown &&
      !endpoint.handshake_failed)
    request.connect_timeout = short_handshake;
  answer.session = sessions.lease();
  for (int redirects = 0;; ++redirects) {
    if (auto opened = open_body(call, request, answer); !opened) return std::unexpected(opened.error());
    auto head = answer.session->send(request);
    if (!head) return std::unexpected(head.error());
    answer.head = std::move(*head);
    answer.url = request.url;
    auto followed = follow_redirect(answer.head, request, redirects, endpoint.config.host);
    if (!followed) return std::unexpected(followed.error());
    if (!*followed) return answer;
    if (origin_of(request.url) != origin_of(answer.url)) answer.redirected = true;
    // The connection stays for the next exchange only when this answer is read to its end.
    [[maybe_unused]] auto rest = answer.session->read_all(largest_error_body);
    answer.session->finish();
  }
}

// TLS first; plain HTTP where it is allowed and TLS does not come about. What was found out stays.
HttpResult<ApiAnswer> exchange_by_scheme(SessionPool& sessions, Endpoint& endpoint, const ApiCall& call,
                                         const std::string& authorization) {
  Scheme known = endpoint.config.plain_only ? Scheme::http : endpoint.scheme.load();
  if (known != Scheme::unknown) return exchange(sessions, endpoint, call, known, authorization);
  // On a loopback address plain HTTP costs one round trip to try, and TLS a long look through the system's CAs. Nothing
  // that is secret, or large, goes with the attempt. A TLS server that is spoken to in plain answers 400, if anything.
  if (endpoint.config.loopback && authorization.empty() && !call.open_body) {
    auto plain = exchange(sessions, endpoint, call, Scheme::http, authorization);
    if (plain && plain->head.status != 400) {
      endpoint.scheme = Scheme::http;
      return plain;
    }
    if (!plain && !is_transient(plain.error().fault)) return plain;
  }
  auto secure = exchange(sessions, endpoint, call, Scheme::https, authorization);
  if (secure) {
    endpoint.scheme = Scheme::https;
    return secure;
  }
  HttpFault fault = secure.error().fault;
  bool no_tls = fault == HttpFault::no_tls || fault == HttpFault::handshake || fault == HttpFault::unreachable;
  if (!no_tls || !endpoint.config.plain_allowed) return secure;
  endpoint.handshake_failed = fault == HttpFault::handshake;
  auto plain = exchange(sessions, endpoint, call, Scheme::http, authorization);
  // A TLS server that is spoken to in plain answers 400, if anything.
  if (plain && plain->head.status == 400 && fault != HttpFault::no_tls) return secure;
  if (!plain) return fault == HttpFault::no_tls ? std::move(plain) : std::move(secure);
  endpoint.scheme = Scheme::http;
  return plain;
}

HttpResult<ApiAnswer> authorized(SessionPool& sessions, Endpoint& endpoint, const ApiCall& call) {
  Scopes scopes = scopes_of(endpoint.config, call);
  bool fresh = false;     // what we show was fetched for this call
  bool replaced = false;  // a token that we had was refused
  for (;;) {
    auto authorization = endpoint.authorizer.authorization(scopes);
    if (!authorization) return std::unexpected(authorization.error());
    auto answer = exchange_by_scheme(sessions, endpoint, call, *authorization);
    if (!answer || answer->head.status != 401 || answer->redirected) return answer;
    // A token may be revoked, or not have come to all of a registry's machines yet: it is replaced once. That it does
    // not suffice, when it is fresh, another would not change.
    bool again = authorization->empty() ? !fresh : !replaced && (!fresh || refuses_token(answer->head));
    if (!again) return answer;
    fresh = true;
    replaced = !authorization->empty();
    auto worth_trying =
        endpoint.authorizer.challenged(answer->head, answer->url.starts_with("https:"), *authorization, scopes);
    if (!worth_trying) return std::unexpected(worth_trying.error());
    if (!*worth_trying) return answer;
    if (auto rest = answer->session->read_all(largest_error_body); !rest) answer->session->finish();
  }
}

std::string why_again(const HttpResult<ApiAnswer>& answer) {
  return answer ? fmt::format("the registry answered {}", answer->head.status) : printable(answer.error().why);
}

std::string login_hint(const Endpoint& endpoint) { return fmt::format("`diatom login {}`", endpoint.config.host); }

std::string hint_for_status(const Endpoint& endpoint, const ApiCall& call, long status) {
  switch (status) {
    case 401:
    case 403:
      if (call.actions != "pull" || call.repository.empty()) return login_hint(endpoint);
      return login_hint(endpoint) + "; or the name is mistyped: many registries answer so when they do not know it";
    case 404:
      return call.tail.starts_with("manifests/") ? "the name or the tag may be mistyped" : "";
    case 429:
      return endpoint.config.host == "docker.io" ? "docker.io limits how much one address or user pulls: log in (" +
                                                       login_hint(endpoint) + "), wait, or use a mirror"
                                                 : "wait, or use a mirror";
    default:
      return "";
  }
}

}  // namespace

std::string api_url(const EndpointConfig& endpoint, Scheme scheme, const ApiCall& call) {
  if (!call.url.empty()) return call.url;
  std::string url = (scheme == Scheme::http ? "http://" : "https://") + endpoint.authority + "/v2/";
  if (!call.repository.empty()) url += endpoint.prefix + call.repository + "/" + call.tail;
  return url;
}

Result<ApiAnswer> send(SessionPool& sessions, Endpoint& endpoint, const ApiCall& call, RetryBudget& budget) {
  for (;;) {
    auto answer = authorized(sessions, endpoint, call);
    if (answer && !is_transient_status(answer->head.status)) return std::move(*answer);
    if (!answer && !is_transient(answer.error().fault))
      return std::unexpected(explain_failure(endpoint, call, answer.error()));
    bool again = TRY(budget.wait(answer ? retry_after(answer->head) : std::nullopt,
                                 !answer && answer.error().fault == HttpFault::unreachable));
    if (!again && answer) return std::move(*answer);
    if (!again) return std::unexpected(explain_failure(endpoint, call, answer.error()));
    if (call.on_retry) call.on_retry(why_again(answer));
  }
}

Error explain_answer(const Endpoint& endpoint, const ApiCall& call, ApiAnswer& answer) {
  auto body = answer.session->read_all(largest_error_body);
  std::string said = body ? describe_error_body(*body) : "";
  long status = answer.head.status;
  std::string cause;
  if (status == 404) {
    cause = "not found";
  } else if (status == 401 || status == 403) {
    cause = "access denied";
  } else if (status == 429) {
    cause = "too many requests";
  } else {
    cause = fmt::format("the registry answered {}", status);
  }
  std::string where = endpoint.config.mirror ? " (mirror " + endpoint.config.host + ")" : "";
  if (answer.redirected) where += " (redirected to " + origin_of(answer.url)->host + ")";
  return fail(status == 404 ? Errc::not_found : Errc::image_pull,
              call.what + where + ": " + cause + (said.empty() ? "" : ": " + said),
              hint_for_status(endpoint, call, status))
      .error();
}

Error explain_failure(const Endpoint& endpoint, const ApiCall& call, const HttpFailure& failure) {
  if (failure.fault == HttpFault::cancelled) return fail(Errc::cancelled, "interrupted").error();
  std::string where = endpoint.config.mirror ? " (mirror " + endpoint.config.host + ")" : "";
  if (failure.fault == HttpFault::final) {
    Error error = failure.error;
    error.message = call.what + where + ": " + error.message;
    return error;
  }
  Error error = fail(Errc::image_pull, fmt::format("{}{}: {}", call.what, where, printable(failure.why))).error();
  switch (failure.fault) {
    case HttpFault::no_tls:
    case HttpFault::handshake:
      error.hint = fmt::format("if {} speaks plain HTTP: --tls-verify=false", endpoint.config.host);
      break;
    case HttpFault::certificate:
      error.hint = fmt::format(
          "put its CA into /etc/containers/certs.d/{}/ca.crt or a --cert-dir; --tls-verify=false "
          "trusts anybody",
          endpoint.config.host);
      break;
    case HttpFault::unreachable:
      error.hint = "is the registry's name right, and is it up?";
      break;
    default:
      break;
  }
  return error;
}

}  // namespace diatom::image
