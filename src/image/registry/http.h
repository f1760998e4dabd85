// One HTTP exchange at a time over libcurl, as a stream that is pulled: the reader's own thread drives the transfer
// while it waits, so that there is no other thread and nothing arrives that nobody has room for. A session keeps its
// connections for the next exchange. TLS speaks HTTP/2 where the server does.
#pragma once

#include <chrono>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.h"
#include "rootfs/byte_source.h"

namespace diatom::image {

struct TlsOptions {
  bool verify = true;
  std::string ca_pem;       // trusted besides the system's
  std::string client_cert;  // files; empty for none
  std::string client_key;
};

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  std::vector<std::string> headers;  // "Name: value"
  TlsOptions tls;
  rootfs::ByteSource* body = nullptr;  // borrowed until finish() or the next send()
  uint64_t body_bytes = 0;             // exactly
  std::function<void(uint64_t)> on_sent;
  std::chrono::milliseconds connect_timeout = std::chrono::seconds(30);
};

class HttpHeaders {
 public:
  void add(std::string_view name, std::string_view value);
  void clear() { values_.clear(); }
  std::optional<std::string_view> get(std::string_view lower_case_name) const;  // the first of that name
  std::vector<std::string_view> all(std::string_view lower_case_name) const;

 private:
  std::multimap<std::string, std::string, std::less<>> values_;
};

struct HttpHead {
  long status = 0;
  HttpHeaders headers;
};

enum class HttpFault {
  cancelled,
  unreachable,  // no such host, or nobody listens there
  handshake,    // TLS did not come about: perhaps the server speaks none
  no_tls,       // the server certainly speaks none
  certificate,  // is not to be trusted
  broken,       // the connection ended, or did not keep to the protocol
  stalled,      // nothing comes any more
  final,        // `error` says why; trying again is of no use
};
struct HttpFailure {
  HttpFault fault = HttpFault::broken;
  std::string why;
  Error error = {};  // final only
};
inline HttpFailure final_failure(const Error& error) { return {HttpFault::final, error.message, error}; }
inline HttpFailure final_failure(Errc code, std::string message) {
  return final_failure(fail(code, std::move(message)).error());
}

template <class T>
struct [[nodiscard]] HttpResult : std::expected<T, HttpFailure> {
  using std::expected<T, HttpFailure>::expected;
};

// Not for use by two threads.
class HttpSession {
 public:
  explicit HttpSession(const CancelToken& cancel);  // borrowed
  ~HttpSession();

  // Sends the request, and returns when the head of the answer is there. Whatever was left of the last exchange is
  // dropped. Redirects and errors are answers like any other.
  HttpResult<HttpHead> send(const HttpRequest& request);
  // A part of the answer's body, at least one byte; 0 = its end, which is where its length says.
  HttpResult<size_t> read(std::span<std::byte> out);
  // The rest of the body, if it is no longer than that.
  HttpResult<std::string> read_all(size_t limit_bytes);
  // Gives up what is in progress. A connection whose answer was read to its end stays for the next exchange.
  void finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

class StringSource : public rootfs::ByteSource {
 public:
  explicit StringSource(std::string text) : text_(std::move(text)) {}
  Result<size_t> read(std::span<std::byte> out) override;

 private:
  std::string text_;
  size_t at_ = 0;
};

}  // namespace diatom::image
