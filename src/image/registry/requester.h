// A request to a registry's API, from its words to the head of its answer: which scheme, who we are, where it is
// redirected to, and when to try again.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "image/registry/authorizer.h"
#include "image/registry/endpoint.h"
#include "image/registry/session_pool.h"

namespace diatom::image {

// An endpoint and what has been learned of it. Used by several threads.
struct Endpoint {
  // `sessions` is borrowed.
  Endpoint(EndpointConfig c, SessionPool& sessions, Authorizer::FindCredentials find)
      : config(std::move(c)), authorizer(config, sessions, std::move(find)) {}
  const EndpointConfig config;
  Authorizer authorizer;
  enum class Scheme { unknown, https, http };
  std::atomic<Scheme> scheme = Scheme::unknown;
  std::atomic<bool> handshake_failed = false;  // so that TLS gets more time when it is tried again
};

struct ApiCall {
  std::string what;  // how our messages begin: "fetch manifest latest of docker.io/library/busybox"
  std::string method = "GET";
  std::string repository;  // without the endpoint's prefix; empty for the API's root
  std::string tail;        // "manifests/latest"
  std::string url;         // instead of repository and tail, where the registry gave us one
  std::string actions = "pull";
  std::string extra_scope;
  std::vector<std::string> headers;
  std::function<Result<std::unique_ptr<rootfs::ByteSource>>()> open_body;  // for each attempt
  uint64_t body_bytes = 0;
  std::function<void(uint64_t)> on_sent;
  std::function<void(std::string_view)> on_retry;
};

struct ApiAnswer {
  std::unique_ptr<rootfs::ByteSource> sent_body;  // outlives the session's exchange
  SessionPool::Lease session;                     // where the answer's body is read
  HttpHead head;
  std::string url;          // that was answered, after redirects
  bool redirected = false;  // to another origin
};

// Tries until there is an answer that does not pass by itself, or `budget` is spent: then the last answer, or an error.
// Answers of every status are returned, but 401 only after all that we have to show was shown.
Result<ApiAnswer> send(SessionPool& sessions, Endpoint& endpoint, const ApiCall& call, RetryBudget& budget);

// An error from an answer that is not what was wanted; reads the rest of its body.
Error explain_answer(const Endpoint& endpoint, const ApiCall& call, ApiAnswer& answer);
Error explain_failure(const Endpoint& endpoint, const ApiCall& call, const HttpFailure& failure);

// https://registry/v2/… of a call.
std::string api_url(const EndpointConfig& endpoint, Endpoint::Scheme scheme, const ApiCall& call);

}  // namespace diatom::image
