#include "vm/disks.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "support/scratch.h"

namespace diatom::vm {
namespace {

struct Vm {
  test::ScratchDirectory scratch;
  MachineSpec spec;
  int formatted = 0;

  Vm() {
    Disk upper{.serial = "upper", .extents = {{scratch / "upper", 4}}, .read_only = false};
    upper.format = [this](const fs::path& to) {
      ++formatted;
      return replace_file(to, "new");
    };
    spec.disks = {{.serial = "root", .extents = {{scratch / "nowhere", 4096}}}, upper};
  }
};

TEST(Disks, AreMadeWhereTheyAreNew) {
  Vm vm;
  EXPECT_TRUE(is_new(vm.spec.disks[1]));
  EXPECT_FALSE(is_new(vm.spec.disks[0])) << "an image's is never";
  EXPECT_TRUE(make_new_disks(vm.spec));
  EXPECT_EQ(read_file(vm.scratch / "upper").value(), "new");
  EXPECT_FALSE(is_new(vm.spec.disks[1]));
  EXPECT_TRUE(make_new_disks(vm.spec));
  EXPECT_EQ(vm.formatted, 1);
  EXPECT_FALSE(fs::exists(vm.scratch / "nowhere"));
}

TEST(Disks, AreNotThereWhereTheyCouldNotBeMade) {
  Vm vm;
  auto cut_short = [](const Disk&, const fs::path& to) -> Result<> {
    EXPECT_TRUE(replace_file(to, "ne"));
    return fail(Errc::internal, "no space");
  };
  EXPECT_FALSE(make_new_disks(vm.spec, cut_short));
  EXPECT_TRUE(fs::is_empty(vm.scratch.path()));
  EXPECT_TRUE(replace_file(vm.scratch / "upper.new", "of one that was killed"));
  EXPECT_TRUE(make_new_disks(vm.spec));
  EXPECT_EQ(read_file(vm.scratch / "upper").value(), "new");
}

}  // namespace
}  // namespace diatom::vm
