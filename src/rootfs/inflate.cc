#include "rootfs/inflate.h"

#include <isa-l/igzip_lib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <semaphore>
#include <vector>

namespace diatom::rootfs {

namespace {

// The compressed side.
class Input {
 public:
  explicit Input(BlockSource& blob) : blob_(blob) {}

  std::span<const std::byte> unread() const { return unread_; }
  void consume(size_t bytes) { unread_ = unread_.subspan(bytes); }
  // Adds at least one byte unless the blob has ended; what is unread stays.
  Result<> refill() {
    if (ended_) return {};
    std::vector<std::byte> joined(unread_.begin(), unread_.end());
    auto block = TRY(blob_.next());
    ended_ = block.empty();
    if (!joined.empty()) {
      joined.insert(joined.end(), block.begin(), block.end());
      joined_ = std::move(joined);
      block = joined_;
    }
    unread_ = block;
    return {};
  }
  Result<> need(size_t bytes) {
    while (unread().size() < bytes && !ended_) TRY(refill());
    return {};
  }
  bool ended() const { return ended_; }

 private:
  BlockSource& blob_;
  std::span<const std::byte> unread_;  // of the blob's block, or of `joined_`
  std::vector<std::byte> joined_;      // where what is looked at as a whole lies in two blocks
  bool ended_ = false;
};

bool starts_with(std::span<const std::byte> data, std::initializer_list<unsigned char> magic) {
  return data.size() >= magic.size() &&
         std::ranges::equal(data.first(magic.size()), magic, {}, [](std::byte b) { return std::to_integer<int>(b); });
}

bool is_gzip(std::span<const std::byte> data) { return starts_with(data, {0x1f, 0x8b}); }

bool is_zstd(std::span<const std::byte> data) {
  if (starts_with(data, {0x28, 0xb5, 0x2f, 0xfd})) return true;
  // A skippable frame (RFC 8878, 3.1.2), which pzstd and zstd:chunked begin with.
  return data.size() >= 4 && (std::to_integer<int>(data[0]) & 0xf0) == 0x50 &&
         starts_with(data.subspan(1), {0x2a, 0x4d, 0x18});
}

std::unexpected<Error> damaged(std::string_view format, std::string_view why) {
  return fail(Errc::invalid_argument, "inflate " + std::string(format) + ": " + std::string(why));
}

class Plain final : public ByteSource {
 public:
  explicit Plain(Input input) : input_(std::move(input)) {}
  Result<size_t> read(std::span<std::byte> out) override {
    if (input_.unread().empty()) TRY(input_.refill());
    size_t size = std::min(out.size(), input_.unread().size());
    if (size == 0) return size_t{0};
    std::memcpy(out.data(), input_.unread().data(), size);
    input_.consume(size);
    return size;
  }

 private:
  Input input_;
};

class Gzip final : public ByteSource {
 public:
  explicit Gzip(Input input) : input_(std::move(input)), state_(std::make_unique<inflate_state>()) { begin_member(); }

  Result<size_t> read(std::span<std::byte> out) override {
    while (!finished_) {
      size_t made = TRY(inflate_some(out));
      if (state_->block_state == ISAL_BLOCK_FINISH) TRY(end_member());
      if (made > 0) return made;
    }
    return 0;
  }

 private:
  void begin_member() {
    isal_inflate_init(state_.get());
    state_->crc_flag = ISAL_GZIP;
  }

  Result<size_t> inflate_some(std::span<std::byte> out) {
    if (input_.unread().empty()) TRY(input_.refill());
    auto in = input_.unread();
    state_->next_in = reinterpret_cast<uint8_t*>(const_cast<std::byte*>(in.data()));
    state_->avail_in = static_cast<uint32_t>(in.size());
    state_->next_out = reinterpret_cast<uint8_t*>(out.data());
    state_->avail_out = static_cast<uint32_t>(std::min<size_t>(out.size(), 1U << 30));
    uint32_t room = state_->avail_out;
    int result = isal_inflate(state_.get());
    if (result == ISAL_INCORRECT_CHECKSUM) return damaged("gzip", "the checksum is wrong");
    // Of damaged data it may take a byte more than there was: then avail_in is below zero.
    if (result < 0 || state_->avail_in > in.size()) return damaged("gzip", "the data is damaged");
    input_.consume(in.size() - state_->avail_in);
    size_t made = room - state_->avail_out;
    if (made == 0 && in.empty() && state_->block_state != ISAL_BLOCK_FINISH) return damaged("gzip", "it is cut short");
    return made;
  }

  // Another member may follow, or the zeros that tape tools pad with.
  Result<> end_member() {
    TRY(input_.need(2));
    if (is_gzip(input_.unread())) {
      begin_member();
      return {};
    }
    for (;;) {
      if (std::ranges::any_of(input_.unread(), [](std::byte b) { return b != std::byte{0}; }))
        return damaged("gzip", "something else follows its end");
      input_.consume(input_.unread().size());
      if (input_.ended()) break;
      TRY(input_.refill());
    }
    finished_ = true;
    return {};
  }

  Input input_;
  std::unique_ptr<inflate_state> state_;
  bool finished_ = false;
};

// What a frame refers back to is kept in memory. Up to 8 MiB (RFC 8878's recommendation, and all that levels up to 19
// ask for) is anybody's; up to 64 MiB is one layer's at a time; beyond that it is a memory bomb rather than a layer.
constexpr int common_window_log = 23;
constexpr int largest_window_log = 26;
std::binary_semaphore large_window{1};

class Zstd final : public ByteSource {
 public:
  explicit Zstd(Input input) : input_(std::move(input)), stream_(ZSTD_createDStream()) {
    ZSTD_DCtx_setParameter(stream_.get(), ZSTD_d_windowLogMax, common_window_log);
  }
  Zstd(const Zstd&) = delete;
  Zstd& operator=(const Zstd&) = delete;
  Zstd(Zstd&&) = delete;
  Zstd& operator=(Zstd&&) = delete;
  ~Zstd() override {
    stream_.reset();
    if (has_large_window_) large_window.release();
  }

  Result<size_t> read(std::span<std::byte> out) override {
    for (;;) {
      // A frame's header comes as a whole, so that it can be read again.
      TRY(input_.need(inside_ ? 1 : longest_header));
      auto unread = input_.unread();
      ZSTD_inBuffer in{unread.data(), unread.size(), 0};
      ZSTD_outBuffer to{out.data(), out.size(), 0};
      size_t result = ZSTD_decompressStream(stream_.get(), &to, &in);
      if (ZSTD_getErrorCode(result) == ZSTD_error_frameParameter_windowTooLarge && !has_large_window_) {
        take_large_window();
        continue;
      }
      if (ZSTD_isError(result) != 0) return damaged("zstd", ZSTD_getErrorName(result));
      input_.consume(in.pos);
      // Between frames, and without anything to go on, the result is only a wish for more. A frame may end without
      // either, too: when its last bytes just filled the caller's memory.
      bool was_inside = inside_;
      if (was_inside || in.pos > 0 || to.pos > 0) inside_ = result != 0;
      if (to.pos > 0) return to.pos;
      if (in.pos > 0 || was_inside != inside_ || !unread.empty()) continue;
      if (inside_) return damaged("zstd", "it is cut short");
      return 0;
    }
  }

 private:
  static constexpr size_t longest_header = 18;  // RFC 8878, 3.1.1: magic number and frame header
  struct Free {
    void operator()(ZSTD_DStream* stream) const { ZSTD_freeDStream(stream); }
  };

  void take_large_window() {
    large_window.acquire();  // a semaphore: it may be given back by another thread
    has_large_window_ = true;
    ZSTD_DCtx_reset(stream_.get(), ZSTD_reset_session_only);
    ZSTD_DCtx_setParameter(stream_.get(), ZSTD_d_windowLogMax, largest_window_log);
  }

  Input input_;
  std::unique_ptr<ZSTD_DStream, Free> stream_;
  bool inside_ = false;  // of a frame
  bool has_large_window_ = false;
};

}  // namespace

Result<std::unique_ptr<ByteSource>> inflate(BlockSource& blob) {
  Input input(blob);
  TRY(input.need(4));
  if (is_gzip(input.unread())) return std::make_unique<Gzip>(std::move(input));
  if (is_zstd(input.unread())) return std::make_unique<Zstd>(std::move(input));
  return std::make_unique<Plain>(std::move(input));
}

}  // namespace diatom::rootfs
