#include "settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

namespace diatom::agent {
namespace {

TEST(Settings, LimitsHaveDockersNames) {
  EXPECT_EQ(limit_number("nofile").value(), static_cast<int>(RLIMIT_NOFILE));
  EXPECT_EQ(limit_number("core").value(), static_cast<int>(RLIMIT_CORE));
  EXPECT_EQ(limit_number("stack").value(), static_cast<int>(RLIMIT_STACK));
  for (const char* name : {"", "NOFILE", "as", "nofiles", "RLIMIT_NOFILE"}) {
    auto number = limit_number(name);
    ASSERT_FALSE(number) << name;
    EXPECT_THAT(number.error().message, testing::HasSubstr("\"" + std::string(name) + "\""));
  }
}

TEST(Settings, SysctlsOfAContainerHaveAPath) {
  const std::pair<const char*, const char*> cases[] = {
      {"net.core.somaxconn", "/proc/sys/net/core/somaxconn"},
      {"net.ipv4.conf.eth0/1.forwarding", "/proc/sys/net/ipv4/conf/eth0.1/forwarding"},
      {"net.ipv4.ip_unprivileged_port_start", "/proc/sys/net/ipv4/ip_unprivileged_port_start"},
      {"kernel.shm_rmid_forced", "/proc/sys/kernel/shm_rmid_forced"},
      {"kernel.sem", "/proc/sys/kernel/sem"},
      {"fs.mqueue.msg_max", "/proc/sys/fs/mqueue/msg_max"},
  };
  for (auto [name, path] : cases) EXPECT_EQ(sysctl_path(name).value(), path);
}

TEST(Settings, SysctlsOfTheKernelOrOfNobodyAreRefusedByName) {
  for (const char* name : {"", "net", "net.", "kernel.core_pattern", "kernel.sem.x", "vm.swappiness", "fs.file-max",
                           "net..core", "net.core.", "net./core", "net.core/./x", "net.../x", "net.a b", "net.a\n",
                           "/net.core", "kernel/sem", "net.\xff"}) {
    auto path = sysctl_path(name);
    ASSERT_FALSE(path) << name;
    EXPECT_THAT(path.error().message, testing::HasSubstr("\"" + std::string(name) + "\""));
  }
}

}  // namespace
}  // namespace diatom::agent
