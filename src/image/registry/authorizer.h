// The Authorization of one endpoint: Basic, or docker's tokens (distribution's "Token Authentication Specification" and
// "OAuth2 Token Authentication"), kept until shortly before they end and shared by all who ask this endpoint. What one
// endpoint's challenges have led to is never shown to another.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "image/registry/challenge.h"
#include "image/registry/endpoint.h"
#include "image/registry/session_pool.h"

namespace diatom::image {

class Authorizer {
 public:
  // Asked once, when the first challenge comes.
  using FindCredentials = std::function<Result<std::optional<Credentials>>()>;

  // Borrows `endpoint` and `sessions`.
  Authorizer(const EndpointConfig& endpoint, SessionPool& sessions, FindCredentials find);

  // The header's value; empty when nobody has asked for any yet. Blocks while a token is fetched, by this thread or
  // another. Errors are for the user: final, or worth another try as HTTP's are.
  HttpResult<std::string> authorization(const Scopes& scopes);
  // The endpoint answered 401, with these challenges, to a request with the authorization `used` (perhaps empty).
  // False: there is nothing that we could show it instead.
  HttpResult<bool> challenged(const HttpHead& head, bool over_tls, const std::string& used, const Scopes& scopes);

  // For login: asks the token server for a refresh token, too, which is what is then stored.
  void want_identity_token() { want_identity_token_ = true; }
  std::string identity_token();

 private:
  struct Token {
    std::string value;
    std::chrono::steady_clock::time_point renew_at;
  };
  HttpResult<std::string> bearer(const Scopes& scopes);
  HttpResult<Token> fetch_token(const Scopes& scopes);
  HttpResult<HttpReply> fetch_redirected(HttpRequest request, const std::string& body);
  HttpRequest token_request(const Scopes& scopes, std::string& body) const;
  HttpResult<Token> read_token(const HttpReply& reply, std::chrono::steady_clock::time_point asked);
  HttpFailure refused(const HttpReply& reply) const;

  const EndpointConfig& endpoint_;
  SessionPool& sessions_;
  FindCredentials find_;
  bool want_identity_token_ = false;

  std::mutex lock_;  // guards what follows; held while a token is fetched, so that nobody fetches it twice
  std::optional<Challenge> challenge_;
  bool over_tls_ = true;
  std::optional<Credentials> credentials_;
  bool credentials_known_ = false;
  Scopes extra_scopes_;  // that the endpoint asked for besides
  std::map<std::string, Token> tokens_;
  std::string identity_token_;
};

// Whether the token itself is refused (RFC 6750, 3.1), rather than what it is good for.
bool refuses_token(const HttpHead& head);

// A token server's answer. Errors say what is wrong with it.
struct TokenAnswer {
  std::string token;
  std::string refresh_token;
  std::chrono::seconds lifetime{60};  // as the specification has it where nothing is said
};
Result<TokenAnswer> parse_token_answer(std::string_view body);

}  // namespace diatom::image
