#include "image/registry/authorizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "base/text.h"
#include "image/registry/api_error.h"
#include "image/registry/redirect.h"
#include "image/registry/url.h"

namespace diatom::image {

namespace {

using nlohmann::json;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

constexpr size_t largest_answer = 1 << 20;
constexpr std::string_view client_id = "diatom";
constexpr int64_t longest_lifetime = 24 * 3600;

// A header is made of it.
bool is_token_text(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
}

std::string basic(const Credentials& credentials) {
  return "Basic " + base64_encode(credentials.username + ":" + credentials.password);
}

std::string form_field(std::string_view name, std::string_view value) {
  return std::string(name) + "=" + percent_encode(value);
}

std::string param(const Challenge& challenge, const std::string& name) {
  auto found = challenge.params.find(name);
  return found == challenge.params.end() ? "" : found->second;
}

std::vector<Challenge> challenges_of(const HttpHead& head) {
  std::vector<Challenge> all;
  for (std::string_view header : head.headers.all("www-authenticate"))
    std::ranges::move(parse_challenges(header), std::back_inserter(all));
  return all;
}

}  // namespace

bool refuses_token(const HttpHead& head) {
  auto chosen = choose_challenge(challenges_of(head));
  return chosen && chosen->scheme == "bearer" && param(*chosen, "error") == "invalid_token";
}

Result<TokenAnswer> parse_token_answer(std::string_view body) {
  json document = json::parse(body, nullptr, false);
  if (!document.is_object()) return fail(Errc::image_pull, "it is no JSON object");
  auto text = [&document](const char* field) {
    auto found = document.find(field);
    return found != document.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  TokenAnswer answer{text("token"), text("refresh_token")};
  if (answer.token.empty()) answer.token = text("access_token");
  if (!is_token_text(answer.token)) return fail(Errc::image_pull, "there is no token in it");
  if (auto expires = document.find("expires_in"); expires != document.end() && expires->is_number()) {
    double lifetime = expires->get<double>();
    if (lifetime > 0) answer.lifetime = seconds(static_cast<int64_t>(std::min<double>(lifetime, longest_lifetime)));
  }
  return answer;
}

Authorizer::Authorizer(const EndpointConfig& endpoint, SessionPool& sessions, FindCredentials find)
    : endpoint_(endpoint), sessions_(sessions), find_(std::move(find)) {}

std::string Authorizer::identity_token() {
  std::lock_guard guard(lock_);
  return identity_token_;
}

HttpResult<std::string> Authorizer::authorization(const Scopes& scopes) {
  std::lock_guard guard(lock_);
  if (!challenge_) return std::string();
  if (challenge_->scheme == "bearer") return bearer(scopes);
  return credentials_ && credentials_->identity_token.empty() ? basic(*credentials_) : std::string();
}

HttpResult<bool> Authorizer::challenged(const HttpHead& head, bool over_tls, const std::string& used,
                                        const Scopes& scopes) {
  auto chosen = choose_challenge(challenges_of(head));
  if (!chosen) return false;

  std::lock_guard guard(lock_);
  if (!credentials_known_) {
    auto found = find_();
    if (!found) return std::unexpected(final_failure(found.error()));
    credentials_ = std::move(*found);
    credentials_known_ = true;
  }
  challenge_ = std::move(chosen);
  over_tls_ = over_tls;
  if (challenge_->scheme == "basic") return used.empty() && credentials_ && credentials_->identity_token.empty();
  extra_scopes_.add(param(*challenge_, "scope"));
  // Another thread may have renewed it meanwhile: then its token is the one to try.
  Scopes wanted = scopes;
  for (const auto& scope : extra_scopes_.texts()) wanted.add(scope);
  auto token = tokens_.find(wanted.key());
  if (token != tokens_.end() && "Bearer " + token->second.value == used) tokens_.erase(token);
  return true;
}

HttpResult<std::string> Authorizer::bearer(const Scopes& asked) {
  Scopes scopes = asked;
  for (const auto& scope : extra_scopes_.texts()) scopes.add(scope);
  auto known = tokens_.find(scopes.key());
  if (known == tokens_.end() || known->second.renew_at <= Clock::now()) {
    auto fresh = fetch_token(scopes);
    if (!fresh) return std::unexpected(fresh.error());
    known = tokens_.insert_or_assign(scopes.key(), std::move(*fresh)).first;
  }
  return "Bearer " + known->second.value;
}

// A GET with Basic credentials, or with none; a refresh token is for OAuth2's POST.
HttpRequest Authorizer::token_request(const Scopes& scopes, std::string& body) const {
  HttpRequest request;
  request.url = param(*challenge_, "realm");
  request.tls = endpoint_.tls;
  if (origin_of(request.url) != origin_of("https://" + endpoint_.authority)) {
    request.tls.client_cert.clear();
    request.tls.client_key.clear();
  }
  std::string service = param(*challenge_, "service");
  if (credentials_ && !credentials_->identity_token.empty()) {
    std::string scope;
    for (const auto& text : scopes.texts()) scope += (scope.empty() ? "" : " ") + text;
    request.method = "POST";
    request.headers = {"Content-Type: application/x-www-form-urlencoded"};
    body = form_field("grant_type", "refresh_token") + "&" + form_field("service", service) + "&" +
           form_field("scope", scope) + "&" + form_field("client_id", client_id) + "&" +
           form_field("refresh_token", credentials_->identity_token);
    return request;
  }
  if (!service.empty()) request.url = with_query(std::move(request.url), "service", service);
  for (const auto& scope : scopes.texts()) request.url = with_query(std::move(request.url), "scope", scope);
  if (credentials_) {
    request.url = with_query(std::move(request.url), "account", credentials_->username);
    request.headers = {"Authorization: " + basic(*credentials_)};
  }
  request.url = with_query(std::move(request.url), "client_id", client_id);
  if (want_identity_token_) request.url = with_query(std::move(request.url), "offline_token", "true");
  return request;
}

HttpResult<Authorizer::Token> Authorizer::fetch_token(const Scopes& scopes) {
  std::string realm = param(*challenge_, "realm");
  auto origin = origin_of(realm);
  auto refuse = [&](std::string_view why) {
    return std::unexpected(final_failure(
        Errc::image_pull, fmt::format("get a token for {} from {}: {}", endpoint_.host, printable(realm), why)));
  };
  if (!origin || realm.find("://") == std::string::npos) return refuse("that is no URL");
  if (origin->scheme == "http" && over_tls_ && endpoint_.tls.verify)
    return refuse("a registry that is asked by TLS must not have its tokens from plain HTTP");

  std::string body;
  HttpRequest request = token_request(scopes, body);
  auto asked = Clock::now();
  auto reply = fetch_redirected(request, body);
  if (!reply) {
    if (reply.error().fault == HttpFault::cancelled) return std::unexpected(reply.error());
    return refuse(printable(reply.error().why));
  }
  if (reply->head.status != 200) return std::unexpected(refused(*reply));
  return read_token(*reply, asked);
}

HttpResult<HttpReply> Authorizer::fetch_redirected(HttpRequest request, const std::string& body) {
  for (int redirects = 0;; ++redirects) {
    auto reply = fetch(sessions_, request, body, largest_answer);
    if (!reply) return reply;
    std::string before = request.url;
    auto followed = follow_redirect(reply->head, request, redirects, origin_of(before)->host);
    if (!followed) return std::unexpected(followed.error());
    if (!*followed) return reply;
    // There is a refresh token in the body, which is as good as a password.
    if (!body.empty() && origin_of(request.url) != origin_of(before))
      return std::unexpected(final_failure(
          Errc::image_pull,
          "it redirects to " + printable(request.url) + ", and what was meant for the one is not told to the other"));
  }
}

HttpFailure Authorizer::refused(const HttpReply& reply) const {
  std::string said = describe_error_body(reply.body);
  Error error = fail(Errc::image_pull, fmt::format("get a token for {}: {} answered {}{}{}", endpoint_.host,
                                                   origin_of(param(*challenge_, "realm"))->host, reply.head.status,
                                                   said.empty() ? "" : ": ", said))
                    .error();
  if (reply.head.status == 401 || reply.head.status == 403 || reply.head.status == 400)
    error.hint = credentials_ ? fmt::format("the credentials do not hold: `diatom login {}`", endpoint_.host)
                              : fmt::format("`diatom login {}`", endpoint_.host);
  return final_failure(std::move(error));
}

HttpResult<Authorizer::Token> Authorizer::read_token(const HttpReply& reply, Clock::time_point asked) {
  auto answer = parse_token_answer(reply.body);
  if (!answer)
    return std::unexpected(final_failure(Errc::image_pull, fmt::format("get a token for {}: read the answer: {}",
                                                                       endpoint_.host, answer.error().message)));
  if (!answer->refresh_token.empty() && is_token_text(answer->refresh_token)) {
    identity_token_ = answer->refresh_token;
    if (credentials_ && !credentials_->identity_token.empty()) credentials_->identity_token = answer->refresh_token;
  }
  // A request that takes a while to reach the registry must not arrive with a token that has ended.
  seconds early = std::min(seconds(10), answer->lifetime / 4);
  return Token{std::move(answer->token), asked + answer->lifetime - early};
}

}  // namespace diatom::image
