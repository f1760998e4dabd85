#include "image/registry/blob_source.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "image/registry/range.h"

namespace diatom::image {

namespace {

// Less than this between two failures is no progress: a connection that breaks all the time has to come to an end.
constexpr uint64_t progress_bytes = 64 << 10;
// Answers of a wrong length or range may be an accident on the way, but hardly so often.
constexpr int most_unusable = 3;

class BlobSource : public rootfs::ByteSource {
 public:
  BlobSource(SessionPool& sessions, const std::vector<std::unique_ptr<Endpoint>>& endpoints,
             const oci::Reference& repository, const oci::Descriptor& blob, RetryHandler on_retry)
      : sessions_(sessions),
        endpoints_(endpoints),
        blob_(blob),
        on_retry_(std::move(on_retry)),
        budget_(sessions.cancel(), limits_for(endpoints.front()->config)) {
    call_.what = "fetch blob " + blob.digest.text() + " of " + repository.registry + "/" + repository.repository;
    call_.repository = repository.repository;
    call_.tail = "blobs/" + blob.digest.text();
    call_.on_retry = on_retry_;
  }

  Result<size_t> read(std::span<std::byte> out) override {
    if (out.empty()) return size_t{0};
    for (;;) {
      if (offset_ == blob_.size) return TRY(check_end());
      if (!answer_) TRY(connect());
      auto wanted = out.first(static_cast<size_t>(std::min<uint64_t>(out.size(), blob_.size - offset_)));
      auto got = answer_->session->read(wanted);
      if (got && *got > 0) {
        offset_ += *got;
        note_progress();
        return *got;
      }
      TRY(recover(got ? HttpFailure{HttpFault::broken, fmt::format("it ends at byte {} of {}", offset_, blob_.size)}
                      : got.error()));
    }
  }

 private:
  Endpoint& endpoint() { return *endpoints_[at_endpoint_]; }

  void note_progress() {
    if (offset_ < progress_at_ + progress_bytes) return;
    progress_at_ = offset_;
    budget_.progress();
  }

  // After the last byte: there must be none behind it. Also leaves the connection for the next exchange.
  Result<size_t> check_end() {
    if (ended_) return size_t{0};
    ended_ = true;
    if (!answer_) return size_t{0};
    std::byte extra[1];
    auto got = answer_->session->read(extra);
    answer_.reset();
    if (got && *got > 0)
      return fail(Errc::image_pull, fmt::format("{}: it is longer than its {} bytes", call_.what, blob_.size));
    return size_t{0};  // how a connection ends after the last byte does not matter: the digest is for the reader
  }

  // From here on, what is not to be had at this endpoint is asked of the next.
  bool next_endpoint() {
    if (at_endpoint_ + 1 == endpoints_.size()) return false;
    ++at_endpoint_;
    etag_.clear();
    no_range_ = false;
    unusable_ = 0;
    budget_ = RetryBudget(sessions_.cancel(), limits_for(endpoint().config));
    return true;
  }

  // Until an answer is there of which the next byte is blob_[offset_].
  Result<> connect() {
    for (;;) {
      set_headers();
      auto answer = send(sessions_, endpoint(), call_, budget_);
      if (!answer) {
        if (answer.error().code == Errc::cancelled || !next_endpoint()) return std::unexpected(answer.error());
        continue;
      }
      long status = answer->head.status;
      if (status != 200 && status != 206 && status != 416) {
        Error error = explain_answer(endpoint(), call_, *answer);
        if (!next_endpoint()) return std::unexpected(std::move(error));
        continue;
      }
      Resumption judged = judge_range_answer(offset_, blob_.size, status, answer->head.headers.get("content-range"),
                                             answer->head.headers.get("content-length"));
      if (!judged.usable) {
        no_range_ = true;
        if (++unusable_ == most_unusable && !next_endpoint())
          return std::unexpected(explain_failure(endpoint(), call_, {HttpFault::broken, judged.why}));
        TRY(recover({HttpFault::broken, judged.why}));
        continue;
      }
      if (auto etag = answer->head.headers.get("etag")) etag_ = *etag;
      answer_ = std::make_unique<ApiAnswer>(std::move(*answer));
      if (TRY(skip(judged.skip_bytes))) return {};
    }
  }

  void set_headers() {
    call_.headers.clear();
    if (offset_ == 0 || no_range_) return;
    call_.headers.push_back(fmt::format("Range: bytes={}-", offset_));
    // A weak validator must not be used with a range (RFC 9110, 13.1.5).
    if (etag_.starts_with('"')) call_.headers.push_back("If-Range: " + etag_);
  }

  // False: the connection broke meanwhile.
  Result<bool> skip(uint64_t bytes) {
    std::vector<std::byte> block(std::min<uint64_t>(bytes, 256 << 10));
    while (bytes > 0) {
      auto got = answer_->session->read(std::span(block).first(std::min<uint64_t>(bytes, block.size())));
      if (got && *got > 0) {
        bytes -= *got;
        continue;
      }
      TRY(recover(got ? HttpFailure{HttpFault::broken, "it ends too early"} : got.error()));
      return false;
    }
    return true;
  }

  // The connection is of no use any more: waits until another may be tried, or fails.
  Result<> recover(const HttpFailure& failure) {
    answer_.reset();
    Error error = explain_failure(endpoint(), call_, failure);
    if (!is_transient(failure.fault)) {
      if (error.code == Errc::cancelled || !next_endpoint()) return std::unexpected(std::move(error));
      return {};
    }
    if (!TRY(budget_.wait(std::nullopt)) && !next_endpoint()) return std::unexpected(std::move(error));
    if (on_retry_) on_retry_(printable(failure.why));
    return {};
  }

  SessionPool& sessions_;
  const std::vector<std::unique_ptr<Endpoint>>& endpoints_;
  oci::Descriptor blob_;
  RetryHandler on_retry_;
  RetryBudget budget_;
  ApiCall call_;
  std::unique_ptr<ApiAnswer> answer_;
  size_t at_endpoint_ = 0;
  uint64_t offset_ = 0;
  uint64_t progress_at_ = 0;
  std::string etag_;
  bool no_range_ = false;
  int unusable_ = 0;
  bool ended_ = false;
};

}  // namespace

RetryLimits limits_for(const EndpointConfig& endpoint) {
  if (endpoint.mirror) return {.attempts = 2, .unreachable_attempts = 1, .total = std::chrono::seconds(20)};
  return {};
}

std::unique_ptr<rootfs::ByteSource> open_blob_source(SessionPool& sessions,
                                                     const std::vector<std::unique_ptr<Endpoint>>& endpoints,
                                                     const oci::Reference& repository, const oci::Descriptor& blob,
                                                     RetryHandler on_retry) {
  return std::make_unique<BlobSource>(sessions, endpoints, repository, blob, std::move(on_retry));
}

}  // namespace diatom::image
