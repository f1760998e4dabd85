// Sessions for as many exchanges as are in progress at once, kept with their connections for the next ones.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "image/registry/http.h"
#include "image/registry/retry.h"

namespace diatom::image {

class SessionPool {
 public:
  explicit SessionPool(const CancelToken& cancel) : cancel_(cancel) {}  // borrowed
  SessionPool(const SessionPool&) = delete;
  SessionPool& operator=(const SessionPool&) = delete;

  struct GiveBack {
    SessionPool* pool = nullptr;
    void operator()(HttpSession* session) const { pool->give_back(session); }
  };
  using Lease = std::unique_ptr<HttpSession, GiveBack>;  // must not outlive the pool

  Lease lease();
  const CancelToken& cancel() const { return cancel_; }

 private:
  void give_back(HttpSession* session);

  const CancelToken& cancel_;
  std::mutex lock_;
  std::vector<std::unique_ptr<HttpSession>> idle_;
};

// A whole small answer.
struct HttpReply {
  HttpHead head;
  std::string body;
};
// Sends a request without any authorisation of ours until it is answered by something that does not pass by itself.
// The last answer counts when patience runs out. The body is cut off, with an error, at `limit_bytes`.
HttpResult<HttpReply> fetch(SessionPool& sessions, const HttpRequest& request, const std::string& body,
                            size_t limit_bytes);

// How long the server wants to be left alone.
std::optional<std::chrono::seconds> retry_after(const HttpHead& head);
// Whether a failure may pass by itself.
bool is_transient(HttpFault fault);

}  // namespace diatom::image
