#include "arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace diatom::agent {
namespace {

using testing::ElementsAre;
using testing::Pair;

Arguments parse(std::vector<std::string> words) {
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  return parse_arguments(pointers);
}

TEST(Arguments, AreNoneWithoutWords) {
  EXPECT_FALSE(parse({}).vsock_port);
  EXPECT_TRUE(parse({}).disks.empty());
}

TEST(Arguments, NameTheChannelAndTheDisks) {
  Arguments arguments = parse({"channel=vsock:1024", "disk=root:vda", "disk=upper:vdb"});
  EXPECT_EQ(arguments.vsock_port, 1024U);
  EXPECT_THAT(arguments.disks, ElementsAre(Pair("root", "vda"), Pair("upper", "vdb")));
}

TEST(Arguments, TakeTheNicsAway) {
  EXPECT_FALSE(parse({"nic=all"}).without_nics);
  EXPECT_TRUE(parse({"nic=none"}).without_nics);
}

TEST(Arguments, SayWhatATemplateDoesBeforeItIsSaved) {
  EXPECT_TRUE(parse({"quiet", "load-network"}).load_network);
  EXPECT_FALSE(parse({"load-network=", "network"}).load_network);
  EXPECT_TRUE(parse({"find-disks"}).find_disks);
  EXPECT_FALSE(parse({"load-network"}).find_disks);
}

TEST(Arguments, PassOverWhatTheKernelAdds) {
  Arguments arguments = parse({"quiet", "tsi_hijack", "channel=vsock:x", "channel=vsock:", "disk=", "disk=root", ""});
  EXPECT_FALSE(arguments.vsock_port);
  EXPECT_TRUE(arguments.disks.empty());
}

}  // namespace
}  // namespace diatom::agent
