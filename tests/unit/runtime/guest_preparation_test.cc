#include "runtime/guest_preparation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace diatom {
namespace {

using testing::HasSubstr;

struct Guest {
  channel::ContainerConfig container;
  ResolvedImage image{.id = "sha256:1", .defaults = {}, .root_device = {}};

  Guest() {
    image.defaults.entrypoint = {"/start"};
    container.network.emplace().address = "10.0.2.15";
    container.network->mac = "02:00:00:00:00:07";
  }
  std::string text() const { return prepare_guest(container, image).text; }
};

TEST(GuestPreparation, IsTheSameForAnyContainerOfTheImage) {
  Guest guest;
  std::string text = guest.text();
  EXPECT_EQ(prepare_guest(guest.container, guest.image).name, "sha256:1");
  EXPECT_THAT(text, HasSubstr("/start"));
  guest.container.hostname = "other";
  guest.container.privileged = true;
  guest.container.entropy = "x";
  guest.container.network->mac = "02:00:00:00:00:08";
  guest.container.network->published_udp = {53};
  EXPECT_EQ(guest.text(), text);
}

TEST(GuestPreparation, IsAnotherWhereRootOrNetworkOrProgramAre) {
  std::string text = Guest().text();
  Guest guest;
  guest.container.network.reset();
  EXPECT_NE(guest.text(), text);
  guest = Guest();
  guest.container.has_upper = false;
  EXPECT_NE(guest.text(), text);
  guest = Guest();
  guest.image.defaults.entrypoint = {"/other"};
  EXPECT_NE(guest.text(), text);
}

}  // namespace
}  // namespace diatom
