#include "rootfs/names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

namespace diatom::rootfs {
namespace {

std::vector<std::string> list(const Names& names, Names::Id set) {
  std::vector<std::string> found;
  names.for_each(set, [&](Names::Id name) { found.emplace_back(names.text(name)); });
  return found;
}

TEST(Names, KeepSetsApartAndInBytewiseOrder) {
  Names names;
  Names::Id one = 0;
  Names::Id other = 0;
  std::string longest(255, 'n');
  for (std::string_view name : {"b", "\xff", "a!", "A", "a", longest.c_str()}) names.insert(one, name);
  names.insert(other, "b");
  EXPECT_THAT(list(names, one), testing::ElementsAre("A", "a", "a!", "b", longest, "\xff"));
  EXPECT_THAT(list(names, other), testing::ElementsAre("b"));
  EXPECT_NE(names.find(one, "b"), names.find(other, "b"));
  EXPECT_EQ(names.find(other, "a"), 0U);
}

TEST(Names, DoAsAMapDoes) {
  std::mt19937 random(1);
  Names names;
  Names::Id set = 0;
  std::map<std::string, uint32_t> model;
  for (uint32_t i = 1; i < 20'000; ++i) {
    std::string name = std::to_string(random() % 500);
    if (model.contains(name)) {
      EXPECT_EQ(names[names.find(set, name)].inode, model[name]);
      names.erase(set, name);
      model.erase(name);
    } else {
      EXPECT_EQ(names.find(set, name), 0U);
      names[names.insert(set, name)].inode = i;
      model[name] = i;
    }
    if (i % 5000 == 0) {
      names.filter(set, [](const Names::Name& some) { return some.inode % 3 != 0; });
      std::erase_if(model, [](const auto& some) { return some.second % 3 == 0; });
    }
  }
  std::vector<std::string> expected;
  for (const auto& [name, inode] : model) expected.push_back(name);
  EXPECT_EQ(list(names, set), expected);
}

TEST(Names, TakeOrderedOnesAsQuicklyAsOthers) {
  // A tree that became a list would take minutes, and its functions would run out of stack.
  constexpr int count = 300'000;
  for (bool rising : {true, false}) {
    Names names;
    Names::Id set = 0;
    for (int i = 0; i < count; ++i) names.insert(set, std::to_string(1'000'000 + (rising ? i : -i)));
    EXPECT_EQ(list(names, set).size(), size_t{count});
    names.filter(set, [](const Names::Name&) { return false; });
    EXPECT_EQ(set, 0U);
  }
}

}  // namespace
}  // namespace diatom::rootfs
