#include "capabilities.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>

namespace diatom::agent {
namespace {

constexpr uint64_t docker_default = 0xa80425fb;
constexpr uint64_t bit(unsigned capability) { return uint64_t{1} << capability; }

TEST(Capabilities, AreAddedToAndTakenFromDockersOwn) {
  struct Case {
    std::vector<std::string> add;
    std::vector<std::string> drop;
    uint64_t expected;
  };
  const Case cases[] = {
      {{}, {}, docker_default},
      {{"NET_ADMIN"}, {}, docker_default | bit(CAP_NET_ADMIN)},
      {{"CAP_NET_ADMIN"}, {}, docker_default | bit(CAP_NET_ADMIN)},
      {{"cap_sys_admin"}, {"chown"}, (docker_default | bit(CAP_SYS_ADMIN)) & ~bit(CAP_CHOWN)},
      {{}, {"ALL"}, 0},
      {{"CHOWN", "BPF"}, {"all"}, bit(CAP_CHOWN) | bit(CAP_BPF)},
      {{"ALL"}, {}, all_capabilities},
      {{"ALL"}, {"SYS_ADMIN", "MKNOD"}, all_capabilities & ~(bit(CAP_SYS_ADMIN) | bit(CAP_MKNOD))},
      {{"ALL"}, {"ALL"}, 0},
      {{"CHOWN"}, {"CHOWN"}, docker_default},
      {{"CHECKPOINT_RESTORE"}, {}, docker_default | bit(CAP_CHECKPOINT_RESTORE)},
      {{"WAKE_ALARM"}, {}, docker_default | bit(CAP_WAKE_ALARM)},
  };
  for (const Case& test : cases) {
    auto set = capability_set(test.add, test.drop);
    ASSERT_TRUE(set);
    EXPECT_EQ(*set, test.expected) << testing::PrintToString(test.add) << " " << testing::PrintToString(test.drop);
  }
}

TEST(Capabilities, OfAnUnknownNameAreRefusedByIt) {
  for (const char* name : {"", "CAP_", "NET", "CAP_CAP_CHOWN", "cap_nope", "ALL "}) {
    auto added = capability_set({name}, {});
    ASSERT_FALSE(added) << name;
    EXPECT_THAT(added.error().message, testing::HasSubstr("\"" + std::string(name) + "\""));
    EXPECT_FALSE(capability_set({}, {name})) << name;
  }
}

}  // namespace
}  // namespace diatom::agent
