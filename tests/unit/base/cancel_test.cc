#include "base/cancel.h"

#include <gtest/gtest.h>
#include <signal.h>

namespace diatom {
namespace {

TEST(CancelToken, StaysCancelledOnceItIs) {
  CancelToken token;
  EXPECT_TRUE(token.check());
  token.cancel();
  EXPECT_TRUE(token.cancelled());
  EXPECT_EQ(token.check().error().code, Errc::cancelled);
  token.cancel();
  EXPECT_FALSE(token.check());
}

CancelToken* interrupted = nullptr;

TEST(CancelToken, CanBeSetFromASignalHandler) {
  CancelToken token;
  interrupted = &token;
  auto* before = ::signal(SIGUSR1, [](int) { interrupted->cancel(); });
  ::raise(SIGUSR1);
  ::signal(SIGUSR1, before);
  EXPECT_TRUE(token.cancelled());
}

}  // namespace
}  // namespace diatom
