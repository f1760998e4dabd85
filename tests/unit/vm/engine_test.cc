#include "vm/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace diatom::vm {
namespace {

using testing::HasSubstr;

class FakeEngine final : public Engine {
 public:
  FakeEngine(std::string name, Availability found) : name_(std::move(name)), found_(std::move(found)) {}
  std::string_view name() const override { return name_; }
  Availability probe() const override {
    ++probes;
    return found_;
  }
  Result<std::string> ask_version() const override { return "1"; }
  Result<GuestKernel> find_kernel(const std::filesystem::path&) const override { return GuestKernel(); }
  std::function<Result<>(const CancelToken&)> preparation(const MachineSpec&) const override { return nullptr; }
  Result<std::unique_ptr<Machine>> boot(const MachineSpec&) override { return fail(Errc::internal, "not here"); }
  mutable int probes = 0;

 private:
  std::string name_;
  Availability found_;
};

Availability found(bool usable, std::string_view reason) {
  Availability availability;
  availability.usable = usable;
  if (!usable) availability.reason = reason;
  return availability;
}

std::vector<std::unique_ptr<Engine>> engines(bool first, bool second) {
  std::vector<std::unique_ptr<Engine>> list;
  list.push_back(std::make_unique<FakeEngine>("one", found(first, "no library")));
  list.push_back(std::make_unique<FakeEngine>("two", found(second, "no program")));
  return list;
}

TEST(SelectEngine, TakesTheFirstThatIsUsable) {
  struct Case {
    bool first, second;
    std::string_view wanted, chosen;
  };
  for (auto [first, second, wanted, chosen] : {Case{true, true, "", "one"}, Case{false, true, "", "two"},
                                               Case{true, true, "two", "two"}, Case{true, false, "one", "one"}}) {
    auto list = engines(first, second);
    auto selected = select_engine(list, wanted);
    ASSERT_TRUE(selected) << selected.error().message;
    EXPECT_EQ(selected->engine->name(), chosen);
    EXPECT_TRUE(selected->availability.usable);
  }
}

TEST(SelectEngine, DoesNotProbeWhatItDoesNotNeed) {
  auto list = engines(true, true);
  ASSERT_TRUE(select_engine(list, ""));
  EXPECT_EQ(static_cast<FakeEngine&>(*list[1]).probes, 0);
}

TEST(SelectEngine, TellsEverythingThatWasTried) {
  auto list = engines(false, false);
  auto selected = select_engine(list, "");
  ASSERT_FALSE(selected);
  EXPECT_EQ(selected.error().code, Errc::engine_unavailable);
  EXPECT_THAT(selected.error().message, HasSubstr("one: no library; two: no program"));
  EXPECT_THAT(selected.error().hint, HasSubstr("doctor"));
}

TEST(SelectEngine, DoesNotFallBackFromTheOneThatWasAskedFor) {
  auto list = engines(false, true);
  auto selected = select_engine(list, "one");
  ASSERT_FALSE(selected);
  EXPECT_EQ(selected.error().code, Errc::engine_unavailable);
  EXPECT_THAT(selected.error().message, HasSubstr("one: no library"));
}

TEST(SelectEngine, NamesTheEnginesWhenThereIsNoSuchOne) {
  auto list = engines(true, true);
  auto selected = select_engine(list, "three");
  ASSERT_FALSE(selected);
  EXPECT_EQ(selected.error().code, Errc::invalid_argument);
  EXPECT_THAT(selected.error().message, HasSubstr("\"three\""));
  EXPECT_THAT(selected.error().hint, HasSubstr("one, two"));
}

TEST(AllEngines, HaveNamesOfTheirOwn) {
  std::vector<std::string> names;
  for (const auto& engine : all_engines()) names.emplace_back(engine->name());
  EXPECT_THAT(names, testing::Contains("qemu"));
  std::ranges::sort(names);
  EXPECT_EQ(std::ranges::adjacent_find(names), names.end());
}

}  // namespace
}  // namespace diatom::vm
