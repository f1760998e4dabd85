#include "image/unpack.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/inotify.h>

#include <thread>

#include "base/platform/platform.h"
#include "support/store_fixture.h"

namespace diatom::image {
namespace {

using testing::HasSubstr;

class UnpackLayers : public test::StoreTest {
 protected:
  static oci::Digest digest(char digit) { return oci::Digest::from_hex(std::string(64, digit)); }
  static PackedLayer layer(char digit, uint64_t size, std::function<Result<std::unique_ptr<LayerSource>>()> open) {
    return {.diff_id = digest(digit),
            .blob = digest(digit),
            .size = size,
            .paired = false,
            .open = std::move(open),
            .on_exists = {}};
  }
};

// Tells how often a file has been opened.
class Opened {
 public:
  explicit Opened(const fs::path& path) : fd_(::inotify_init1(IN_CLOEXEC)) {
    ::inotify_add_watch(fd_.get(), path.c_str(), IN_OPEN);
  }
  bool once_more() {
    pollfd ready{fd_.get(), POLLIN, 0};
    inotify_event event{};  // of a file that is watched itself: without a name
    return ::poll(&ready, 1, 60'000) == 1 && ::read(fd_.get(), &event, sizeof event) == sizeof event;
  }

 private:
  UniqueFd fd_;
};

TEST_F(UnpackLayers, EndWhenOneFailsThoughAnotherProcessIsAtTheOther) {
  if (platform::host_info().cpus < 2) GTEST_SKIP() << "one worker waits for nothing while it has work";
  fs::path path = paths_.ingest() / (digest('a').hex() + ".lock");
  auto other_process = FileLock::acquire(path);
  ASSERT_TRUE(other_process);
  Opened opened(path);
  auto never = []() -> Result<std::unique_ptr<LayerSource>> { return fail(Errc::internal, "opened"); };
  auto fails_later = [&]() -> Result<std::unique_ptr<LayerSource>> {
    // A worker has found the other layer locked, and has put it off; then it has come again, to wait.
    EXPECT_TRUE(opened.once_more() && opened.once_more());
    return fail(Errc::image_pull, "gone");
  };
  PackedLayer layers[] = {layer('a', 2, never), layer('b', 1, fails_later)};
  auto failed = unpack_layers(paths_, layers, {});
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().message, "gone");
}

TEST_F(UnpackLayers, CanBeInterruptedWhileAnotherProcessIsAtALayer) {
  fs::path path = paths_.ingest() / (digest('a').hex() + ".lock");
  auto other_process = FileLock::acquire(path);
  ASSERT_TRUE(other_process);
  Opened opened(path);
  CancelToken cancel;
  std::jthread interrupts([&] {
    EXPECT_TRUE(opened.once_more() && opened.once_more());
    cancel.cancel();
  });
  PackedLayer layers[] = {layer('a', 1, {})};
  auto failed = unpack_layers(paths_, layers, cancel);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Errc::cancelled);
}

}  // namespace
}  // namespace diatom::image
