#include "net/resolver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace diatom::net {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(ParseResolvConf, TakesSearchDomainsAndOptionsAndNoServers) {
  auto config = parse_resolv_conf(
      "# comment\nnameserver 192.0.2.1\nsearch old.test\ndomain d.test\nsearch\ta.test  b.test \r\n"
      "options ndots:2\noptions rotate edns0\nsearch\nsearchx y\noptions");
  EXPECT_THAT(config.search, ElementsAre("a.test", "b.test"));
  EXPECT_THAT(config.options, ElementsAre("ndots:2", "rotate", "edns0"));
  EXPECT_THAT(parse_resolv_conf("domain d.test").search, ElementsAre("d.test"));
  EXPECT_THAT(parse_resolv_conf("").search, IsEmpty());
  EXPECT_THAT(parse_resolv_conf(std::string("search a\0b\nsearch \x1b[0m\n", 22)).search, IsEmpty());
}

TEST(ResolvConfLines, PutsWishesOverTheHosts) {
  ResolverConfig host{.search = {"h.test"}, .options = {"edns0"}};
  EXPECT_THAT(resolv_conf_lines({}, host, "10.0.2.3").value(),
              ElementsAre("nameserver 10.0.2.3", "search h.test", "options edns0"));
  EXPECT_THAT(
      resolv_conf_lines({.servers = {"192.0.2.1", "::1"}, .search = {"."}, .options = {"a", "b"}}, host, "10.0.2.3")
          .value(),
      ElementsAre("nameserver 192.0.2.1", "nameserver ::1", "options a b"));
  EXPECT_THAT(resolv_conf_lines({}, {}, "").value(), IsEmpty());
}

TEST(ResolvConfLines, RefusesWhatWouldBeAnotherLine) {
  EXPECT_FALSE(resolv_conf_lines({.servers = {"dns.test"}, .search = {}, .options = {}}, {}, ""));
  EXPECT_FALSE(resolv_conf_lines({.servers = {std::string("1.1.1.1\0x", 9)}, .search = {}, .options = {}}, {}, ""));
  EXPECT_FALSE(resolv_conf_lines({.servers = {}, .search = {"a\nnameserver 6.6.6.6"}, .options = {}}, {}, ""));
  EXPECT_FALSE(resolv_conf_lines({.servers = {}, .search = {}, .options = {""}}, {}, ""));
}

TEST(HostsLine, IsAnAddressAndAName) {
  EXPECT_EQ(hosts_line("db:192.0.2.7").value(), "192.0.2.7\tdb");
  EXPECT_EQ(hosts_line("db=192.0.2.7").value(), "192.0.2.7\tdb");
  EXPECT_EQ(hosts_line("six:2001:db8::1").value(), "2001:db8::1\tsix");
  EXPECT_EQ(hosts_line("six:[::1]").value(), "::1\tsix");
  for (const char* text : {"", "db", "db:", ":192.0.2.7", "db:x", "a b:192.0.2.7", "a\nb:192.0.2.7", "db:192.0.2.7 "})
    EXPECT_FALSE(hosts_line(text)) << text;
  EXPECT_EQ(hosts_line("h:host-gateway").error().code, Errc::unsupported);
}

}  // namespace
}  // namespace diatom::net
