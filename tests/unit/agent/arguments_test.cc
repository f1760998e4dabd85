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
  EXPECT_TRUE(parse({"quiet", "prepare"}).prepare);
  EXPECT_FALSE(parse({"quiet", "prepare="}).prepare);
  auto network = parse({"network=10.0.2.15/24,10.0.2.2,10.0.2.3"}).network;
  ASSERT_TRUE(network);
  EXPECT_EQ(network->address, "10.0.2.15");
  EXPECT_EQ(network->prefix, 24);
  EXPECT_EQ(network->gateway, "10.0.2.2");
  EXPECT_EQ(network->resolver, "10.0.2.3");
  for (const char* word :
       {"network=", "network", "network=10.0.2.15/x,10.0.2.2,10.0.2.3", "network=10.0.2.15/24,10.0.2.2"})
    EXPECT_FALSE(parse({word}).network) << word;
}

TEST(Arguments, PassOverWhatTheKernelAdds) {
  Arguments arguments = parse({"quiet", "tsi_hijack", "channel=vsock:x", "channel=vsock:", "disk=", "disk=root", ""});
  EXPECT_FALSE(arguments.vsock_port);
  EXPECT_TRUE(arguments.disks.empty());
}

}  // namespace
}  // namespace diatom::agent
