#include "rootfs/xattrs.h"

#include <gtest/gtest.h>

namespace diatom::rootfs {
namespace {

using namespace std::string_literals;

const std::string header(12, '\0');

TEST(EncodeXattrs, LaysEntriesOutAsTheKernelReadsThem) {
  // Length of the name's rest, index of its prefix, length of the value in two bytes, name, value, padding to 4.
  EXPECT_EQ(encode_xattrs({{"user.a", "xy"}}), header + "\x01\x01\x02\x00"s + "axy\0"s);
  EXPECT_EQ(encode_xattrs({{"security.capability", "1234"}}), header + "\x0a\x06\x04\x00"s + "capability1234\0\0"s);
  EXPECT_EQ(encode_xattrs({{"system.posix_acl_access", "A"}}), header + "\x00\x02\x01\x00"s + "A\0\0\0"s);
  EXPECT_EQ(encode_xattrs({{"system.posix_acl_default", ""}}), header + "\x00\x03\x00\x00"s);
}

TEST(EncodeXattrs, GivesTheSameBytesWhateverTheOrder) {
  EXPECT_EQ(encode_xattrs({{"user.b", "2"}, {"trusted.t", "3"}, {"user.a", "1"}}),
            encode_xattrs({{"user.a", "1"}, {"user.b", "2"}, {"trusted.t", "3"}}));
}

TEST(EncodeXattrs, TakesTheLastWordOnAName) {
  EXPECT_EQ(encode_xattrs({{"user.a", "old"}, {"user.b", "x"}, {"user.a", "new"}}),
            encode_xattrs({{"user.a", "new"}, {"user.b", "x"}}));
}

TEST(EncodeXattrs, LeavesOutWhatALayerCannotHave) {
  EXPECT_EQ(encode_xattrs({}), "");
  for (const std::string& name :
       {"trusted.overlay.opaque"s, "trusted.overlay.redirect"s, "security.selinux"s, "system.other"s, "nonsense"s, ""s,
        "user."s, "security."s, "system.posix_acl_accessory"s, "user." + std::string(256, 'n')})
    EXPECT_EQ(encode_xattrs({{name, "value"}}), "") << name;
  EXPECT_EQ(encode_xattrs({{"user.large", std::string(65536, 'x')}}), "");
  EXPECT_NE(encode_xattrs({{"user.largest", std::string(65000, 'x')}}), "");
  EXPECT_NE(encode_xattrs({{"user." + std::string(255, 'n'), ""}}), "");
}

TEST(EncodeXattrs, NeverGrowsBeyondWhatLinuxHolds) {
  std::vector<std::pair<std::string, std::string>> many;
  for (int i = 0; i < 1000; ++i) many.emplace_back("user." + std::to_string(i), std::string(1000, 'x'));
  std::string encoded = encode_xattrs(many);
  EXPECT_GT(encoded.size(), 32U << 10);
  // What an inode can count: 16 bits of units of 4 bytes.
  EXPECT_LT((encoded.size() - 12) / 4 + 1, 65536U);
}

}  // namespace
}  // namespace diatom::rootfs
