#include "rootfs/inflate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/memory_source.h"
#include "support/scratch.h"
#include "support/tar.h"

namespace diatom::rootfs {
namespace {

using test::MemorySource;
using test::noise;
using test::pack;
using test::Packing;
using namespace std::string_literals;

struct Sizes {
  size_t in = SIZE_MAX;  // of the pieces in which the blob comes
  size_t out = 64 << 10;
};

Result<std::string> inflated(const std::string& blob, Sizes sizes = {}) {
  MemorySource source(blob, sizes.in);
  Blocks blocks(source);
  auto stream = TRY(inflate(blocks));
  std::string all;
  std::vector<std::byte> block(sizes.out);
  for (;;) {
    size_t got = TRY(stream->read(block));
    if (got == 0) break;
    all.append(reinterpret_cast<const char*>(block.data()), got);
  }
  // The end stays the end.
  EXPECT_EQ(TRY(stream->read(block)), 0U);
  return all;
}

const std::string text = noise(20'000) + std::string(30'000, 'z') + noise(1'000, 7);

TEST(Inflate, ReadsEveryFormatHoweverItIsCut) {
  for (Packing packing : {Packing::plain, Packing::gzip, Packing::zstd}) {
    std::string blob = pack(text, packing);
    for (Sizes sizes :
         {Sizes{}, Sizes{.in = 5, .out = 4096}, Sizes{.in = 4096, .out = 13}, Sizes{.in = 1 << 20, .out = 1 << 20}})
      EXPECT_EQ(inflated(blob, sizes).value(), text)
          << static_cast<int>(packing) << " " << sizes.in << " " << sizes.out;
  }
}

TEST(Inflate, ReadsByteByByte) {
  std::string little = noise(500) + std::string(3'000, 'z');
  for (Packing packing : {Packing::plain, Packing::gzip, Packing::zstd})
    EXPECT_EQ(inflated(pack(little, packing), {.in = 1, .out = 1}).value(), little) << static_cast<int>(packing);
}

TEST(Inflate, ReadsMembersAndFramesOneAfterTheOther) {
  for (Packing packing : {Packing::gzip, Packing::zstd}) {
    std::string blob = pack("one", packing) + pack("", packing) + pack(text, packing) + pack("three", packing);
    for (size_t in : {size_t{19}, SIZE_MAX})
      EXPECT_EQ(inflated(blob, {.in = in, .out = 1000}).value(), "one" + text + "three") << in;
  }
}

TEST(Inflate, PassesOverZstdsSkippableFrames) {
  std::string skippable = "\x50\x2a\x4d\x18\x04\x00\x00\x00"s + "abcd";
  EXPECT_EQ(inflated(skippable + pack("text", Packing::zstd) + skippable).value(), "text");
}

TEST(Inflate, ReadsWhatIsTooShortToBePacked) {
  for (const std::string& blob : {""s, "a"s, "\x1f"s, "\x28\xb5\x2f"s}) EXPECT_EQ(inflated(blob).value(), blob);
}

TEST(Inflate, AllowsTheZerosThatTapeToolsPadAGzipWith) {
  EXPECT_EQ(inflated(pack(text, Packing::gzip) + std::string(300'000, '\0')).value(), text);
  EXPECT_FALSE(inflated(pack(text, Packing::gzip) + std::string(300'000, '\0') + "x"));
}

TEST(Inflate, NoticesEveryCutAndDamage) {
  for (Packing packing : {Packing::gzip, Packing::zstd}) {
    std::string blob = pack(noise(3'000), packing);
    for (size_t size : {size_t{5}, size_t{12}, blob.size() / 2, blob.size() - 5, blob.size() - 1})
      EXPECT_EQ(inflated(blob.substr(0, size)).error().code, Errc::invalid_argument) << size;
  }
  // A gzip has a checksum and a length at its end; zstd's checksum is optional and libarchive leaves it out.
  std::string blob = pack(noise(3'000), Packing::gzip);
  for (size_t at : {blob.size() - 8, blob.size() - 1, blob.size() / 2}) {
    std::string damaged = blob;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    EXPECT_THAT(test::error_of(inflated(damaged)), testing::StartsWith("inflate gzip: ")) << at;
  }
  EXPECT_THAT(test::error_of(inflated(pack("x", Packing::gzip) + "tail")),
              testing::HasSubstr("something else follows"));
}

TEST(Inflate, RefusesAWindowThatIsAMemoryBomb) {
  // A frame header that asks for 2 GiB: no single segment, window exponent 21 + 10.
  auto refused = inflated("\x28\xb5\x2f\xfd\x00\xa8"s + "\x01\x00\x00"s);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::invalid_argument);
}

TEST(Inflate, TakesLargeWindowsOneAtATime) {
  const std::string largest =
      "\x28\xb5\x2f\xfd\x00\x80"s + "\x01\x00\x00"s;  // exponent 16 + 10: 64 MiB, and nothing in it
  for (int again = 0; again < 3; ++again) EXPECT_EQ(inflated(largest + largest).value_or("refused"), "");
  EXPECT_FALSE(inflated("\x28\xb5\x2f\xfd\x00\x88"s + "\x01\x00\x00"s)) << "128 MiB";
  EXPECT_EQ(inflated(largest).value_or("refused"), "") << "what was refused took nothing along";
}

class BrokenSource final : public ByteSource {
 public:
  Result<size_t> read(std::span<std::byte>) override { return fail(Errc::image_pull, "the network went away"); }
};

TEST(Inflate, PassesTheBlobsOwnErrorOn) {
  BrokenSource source;
  Blocks blocks(source);
  EXPECT_EQ(inflate(blocks).error().code, Errc::image_pull);
}

}  // namespace
}  // namespace diatom::rootfs
