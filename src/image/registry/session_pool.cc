#include "image/registry/session_pool.h"

#include "base/clock.h"

namespace diatom::image {

namespace {

constexpr size_t most_idle = 16;

HttpResult<HttpReply> fetch_once(HttpSession& session, HttpRequest request, const std::string& body, size_t limit) {
  StringSource source(body);
  if (!body.empty()) {
    request.body = &source;
    request.body_bytes = body.size();
  }
  auto head = session.send(request);
  if (!head) return std::unexpected(head.error());
  auto text = session.read_all(limit);
  session.finish();
  if (!text) return std::unexpected(text.error());
  return HttpReply{std::move(*head), std::move(*text)};
}

}  // namespace

SessionPool::Lease SessionPool::lease() {
  std::lock_guard guard(lock_);
  if (idle_.empty()) return Lease(new HttpSession(cancel_), GiveBack{this});
  HttpSession* session = idle_.back().release();
  idle_.pop_back();
  return Lease(session, GiveBack{this});
}

void SessionPool::give_back(HttpSession* session) {
  std::unique_ptr<HttpSession> owned(session);
  owned->finish();
  std::lock_guard guard(lock_);
  if (idle_.size() < most_idle) idle_.push_back(std::move(owned));
}

std::optional<std::chrono::seconds> retry_after(const HttpHead& head) {
  auto value = head.headers.get("retry-after");
  if (!value) return std::nullopt;
  return parse_retry_after(*value, wall_clock_ns() / 1'000'000'000);
}

bool is_transient(HttpFault fault) {
  return fault == HttpFault::unreachable || fault == HttpFault::handshake || fault == HttpFault::broken ||
         fault == HttpFault::stalled;
}

HttpResult<HttpReply> fetch(SessionPool& sessions, const HttpRequest& request, const std::string& body,
                            size_t limit_bytes) {
  RetryBudget budget(sessions.cancel());
  SessionPool::Lease session = sessions.lease();
  for (;;) {
    auto reply = fetch_once(*session, request, body, limit_bytes);
    bool again = reply ? is_transient_status(reply->head.status) : is_transient(reply.error().fault);
    if (!again) return reply;
    auto more = budget.wait(reply ? retry_after(reply->head) : std::nullopt,
                            !reply && reply.error().fault == HttpFault::unreachable);
    if (!more) return std::unexpected(HttpFailure{HttpFault::cancelled, "interrupted"});
    if (!*more) return reply;
  }
}

}  // namespace diatom::image
