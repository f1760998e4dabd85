#include "rootfs/read_ahead.h"

#include <gtest/gtest.h>

#include <future>

#include "support/memory_source.h"
#include "support/scratch.h"
#include "support/tar.h"

namespace diatom::rootfs {
namespace {

using test::MemorySource;
using test::noise;

std::string read_all(ReadAhead& ahead) {
  std::string all;
  for (;;) {
    auto block = ahead.next().value();
    if (block.empty()) return all;
    all.append(reinterpret_cast<const char*>(block.data()), block.size());
  }
}

TEST(ReadAhead, PassesEverythingOnInItsOrder) {
  const std::string bytes = noise(20 << 20);  // several times what is held
  for (size_t piece : {size_t{100'000}, SIZE_MAX}) {
    MemorySource source(bytes, piece);
    ReadAhead ahead(source);
    EXPECT_TRUE(read_all(ahead) == bytes) << piece;
    EXPECT_TRUE(ahead.next().value().empty()) << "the end stays the end";
  }
}

TEST(ReadAhead, PassesNothingOnWhereThereIsNothing) {
  MemorySource source("");
  ReadAhead ahead(source);
  EXPECT_EQ(read_all(ahead), "");
}

// Bytes without end, of which it tells how many were asked for.
class Endless final : public ByteSource {
 public:
  explicit Endless(size_t told) : told_(told) {}
  Result<size_t> read(std::span<std::byte> out) override {
    std::fill(out.begin(), out.end(), std::byte{1});
    given_ += out.size();
    if (given_ >= told_ && given_ - out.size() < told_) reached_.set_value();
    return out.size();
  }
  std::future<void> reached() { return reached_.get_future(); }

 private:
  size_t told_;
  size_t given_ = 0;
  std::promise<void> reached_;
};

// The thread waits for room then; a hang would run into the test's deadline.
TEST(ReadAhead, EndsWhileItIsFull) {
  Endless source(4 << 20);
  auto full = source.reached();
  ReadAhead ahead(source);
  EXPECT_FALSE(ahead.next().value().empty());
  full.wait();
}

class Failing final : public ByteSource {
 public:
  Result<size_t> read(std::span<std::byte> out) override {
    if (given_ == whole) return fail(Errc::image_pull, "the network went away");
    size_t size = std::min(out.size(), whole - given_);
    std::fill_n(out.begin(), size, std::byte{1});
    given_ += size;
    return size;
  }
  static constexpr size_t whole = 3'000'000;

 private:
  size_t given_ = 0;
};

TEST(ReadAhead, TellsOfAFailureBehindWhatCameBefore) {
  Failing source;
  ReadAhead ahead(source);
  size_t bytes = 0;
  Result<std::span<const std::byte>> block;
  while ((block = ahead.next()) && !block->empty()) bytes += block->size();
  EXPECT_EQ(bytes, Failing::whole);
  EXPECT_EQ(block.error().code, Errc::image_pull);
  EXPECT_EQ(ahead.next().error().code, Errc::image_pull) << "and tells it again";
}

}  // namespace
}  // namespace diatom::rootfs
