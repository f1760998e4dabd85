#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/plan.h"

namespace diatom {
namespace {

using testing::Contains;
using testing::Not;
using testing::StartsWith;

TEST(PlanEnvironment, TakesOutWhatIsNamedWithoutAValue) {
  ContainerSpec spec;
  spec.env = {"IMAGE_SAYS", "PATH", "NOBODY_SAYS", "TWICE=1", "TWICE", "AGAIN", "AGAIN=2"};
  ResolvedImage image;
  image.defaults.env = {"IMAGE_SAYS=so", "PATH=/image", "STAYS=yes"};
  auto plan = plan_container(
      {.id = std::string(64, 'a'), .spec = spec, .image = image, .kernel = {}, .directory = {}, .upper = {}});
  ASSERT_TRUE(plan) << plan.error().message;
  const auto& env = plan->task.process.env;
  for (const char* name : {"IMAGE_SAYS", "PATH", "NOBODY_SAYS", "TWICE"})
    EXPECT_THAT(env, Not(Contains(StartsWith(name)))) << name;
  EXPECT_THAT(env, Contains("STAYS=yes"));
  EXPECT_THAT(env, Contains("AGAIN=2"));
}

}  // namespace
}  // namespace diatom
