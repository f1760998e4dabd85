#include "rootfs/tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "support/scratch.h"

namespace diatom::rootfs {
namespace {

using testing::HasSubstr;

// What an entry says, as short as it can be written: "d a" a directory, "f a" a file, "l a -> b" a symbolic link,
// "h a -> b" a hard link, "- a" a whiteout, "o a" an opaque directory.
class Layers {
 public:
  Result<> apply(const std::vector<std::string>& lines) {
    for (const std::string& text : lines) {
      const std::string& line = lines_.emplace_back(text);  // the entry borrows from it
      size_t arrow = line.find(" -> ");
      Entry& entry = entries_.emplace_back();
      entry.kind = kinds.at(line[0]);
      entry.path = std::string_view(line).substr(2, arrow == std::string::npos ? arrow : arrow - 2);
      if (arrow != std::string::npos) entry.target = std::string_view(line).substr(arrow + 4);
      entry.uid = static_cast<uint32_t>(layer_);
      entry.mode = 0700;
      TRY(tree_.apply(entry, {layer_, entries_.size()}));
    }
    ++layer_;
    return {};
  }
  // Each path with the kind and the layer that it comes from, in order.
  std::vector<std::string> list() {
    std::vector<std::string> found;
    list(Tree::root, "", found);
    return found;
  }
  Tree& tree() { return tree_; }
  Tree::Id inode(Tree::Id directory, std::string_view name) const {
    const Names& names = tree_.names();
    return names[names.find(tree_.directory(tree_.inode(directory)).names, name)].inode;
  }

 private:
  static inline const std::map<char, EntryKind> kinds = {{'d', EntryKind::directory}, {'f', EntryKind::regular},
                                                         {'l', EntryKind::symlink},   {'h', EntryKind::hard_link},
                                                         {'-', EntryKind::whiteout},  {'o', EntryKind::opaque}};

  void list(Tree::Id directory, const std::string& path, std::vector<std::string>& found) const {
    uint32_t count = 0;
    tree_.names().for_each(tree_.directory(tree_.inode(directory)).names, [&](Names::Id name) {
      ++count;
      Tree::Id id = tree_.names()[name].inode;
      const Inode& inode = tree_.inode(id);
      char kind = 0;
      for (const auto& [letter, known] : kinds)
        if (known == inode.entry_kind()) kind = letter;
      std::string full = path + std::string(tree_.names().text(name));
      uint32_t uid = inode.offset == 0 ? 0 : entries_[inode.offset - 1].uid;
      found.push_back(std::string(1, kind) + " " + full + " " + std::to_string(uid));
      if (!inode.is_directory()) return;
      EXPECT_EQ(tree_.directory(inode).parent, directory) << full;
      list(id, full + "/", found);
    });
    EXPECT_EQ(tree_.directory(tree_.inode(directory)).count, count) << path;
  }

  std::deque<std::string> lines_;
  std::deque<Entry> entries_;  // an entry's offset is one more than its place here
  Tree tree_{[this](EntryPlace place) -> Result<Entry> { return entries_[place.offset - 1]; }};
  uint32_t layer_ = 0;
};

using Lines = std::vector<std::string>;
struct Case {
  const char* what;
  std::vector<Lines> layers;
  Lines result;
};

TEST(Tree, MergesLayersAsTheImageSpecificationSays) {
  const Case cases[] = {
      {"a file replaces a file", {{"f a"}, {"f a"}}, {"f a 1"}},
      {"a directory is merged, its attributes are the upper's",
       {{"d a", "f a/x"}, {"d a", "f a/y"}},
       {"d a 1", "f a/x 0", "f a/y 1"}},
      {"a file replaces a directory", {{"d a", "f a/x"}, {"f a"}}, {"f a 1"}},
      {"a directory replaces a file", {{"f a"}, {"d a", "f a/x"}}, {"d a 1", "f a/x 1"}},
      {"a directory replaces a link to one", {{"d b", "l a -> b"}, {"d a", "f a/x"}}, {"d a 1", "f a/x 1", "d b 0"}},
      {"a whiteout removes a file", {{"f a", "f b"}, {"- a"}}, {"f b 0"}},
      {"a whiteout removes a directory with all in it", {{"d a", "d a/b", "f a/b/c"}, {"- a"}}, {}},
      {"a whiteout of nothing is nothing", {{"f a"}, {"- b", "- c/d", "- a/x"}}, {"f a 0"}},
      {"a whiteout leaves what its own layer says, before it", {{"f a"}, {"f a", "- a"}}, {"f a 1"}},
      {"… and after it", {{"f a"}, {"- a", "f a"}}, {"f a 1"}},
      {"a directory made anew has nothing of the old one, whiteout first",
       {{"d a", "f a/old"}, {"- a", "d a", "f a/new"}},
       {"d a 1", "f a/new 1"}},
      {"… and whiteout last", {{"d a", "f a/old"}, {"d a", "f a/new", "- a"}}, {"d a 1", "f a/new 1"}},
      {"an opaque directory hides what was below it, marker first",
       {{"d a", "f a/old", "d a/sub", "f a/sub/old"}, {"o a", "d a", "f a/new"}},
       {"d a 1", "f a/new 1"}},
      {"… and marker last",
       {{"d a", "f a/old", "d a/sub", "f a/sub/old"}, {"d a", "f a/new", "d a/sub", "f a/sub/new", "o a"}},
       {"d a 1", "f a/new 1", "d a/sub 1", "f a/sub/new 1"}},
      {"an opaque root hides everything below", {{"f a", "d b"}, {"o ", "f c"}}, {"f c 1"}},
      {"an opaque marker hides nothing of the layers above",
       {{"d a", "o a", "f a/x"}, {"f a/y"}},
       {"d a 0", "f a/x 0", "f a/y 1"}},
      {"directories that nobody named are made", {{"f a/b/c"}}, {"d a 0", "d a/b 0", "f a/b/c 0"}},
      {"a path through a link lands where it leads", {{"d b", "l a -> b"}, {"f a/x"}}, {"l a 0", "d b 0", "f b/x 1"}},
      {"an absolute link stays inside",
       {{"d b", "d c", "l c/a -> /b"}, {"f c/a/x"}},
       {"d b 0", "f b/x 1", "d c 0", "l c/a 0"}},
      {"a link cannot climb out of the root", {{"d b", "l a -> ../../../b"}, {"f a/x"}}, {"l a 0", "d b 0", "f b/x 1"}},
      {"a whiteout removes the link, not what it leads to",
       {{"d b", "f b/x", "l a -> b"}, {"- a"}},
       {"d b 0", "f b/x 0"}},
      {"a whiteout goes through links on its way", {{"d b", "f b/x", "l a -> b"}, {"- a/x"}}, {"l a 0", "d b 0"}},
  };
  for (const Case& one : cases) {
    Layers layers;
    for (const auto& layer : one.layers) {
      auto applied = layers.apply(layer);
      EXPECT_TRUE(applied) << one.what << ": " << test::error_of(applied);
    }
    Lines result = layers.list();
    // What was only implied has the defaults: root's, whatever the layer.
    EXPECT_EQ(result.size(), one.result.size()) << one.what;
    for (size_t i = 0; i < std::min(result.size(), one.result.size()); ++i)
      EXPECT_EQ(result[i], one.result[i]) << one.what;
  }
}

TEST(Tree, GivesHardLinksOneInode) {
  Layers layers;
  ASSERT_TRUE(layers.apply({"f a", "h b -> a", "d c", "h c/d -> b"}));
  ASSERT_TRUE(layers.apply({"h e -> a"}));
  Tree::Id file = layers.inode(Tree::root, "a");
  EXPECT_NE(file, Tree::root);
  EXPECT_EQ(file, layers.inode(Tree::root, "b"));
  EXPECT_EQ(file, layers.inode(Tree::root, "e"));
  EXPECT_EQ(file, layers.inode(layers.inode(Tree::root, "c"), "d"));
  // A file that replaces one of the names leaves the others.
  ASSERT_TRUE(layers.apply({"f a", "- b"}));
  EXPECT_THAT(layers.list(), testing::ElementsAre("f a 2", "d c 0", "f c/d 0", "f e 0"));
}

TEST(Tree, KeepsAHardLinkThatItsLayerSaysAgainWhenAMarkerFollows) {
  Layers layers;
  ASSERT_TRUE(layers.apply({"f keep", "d a", "h a/b -> keep"}));
  ASSERT_TRUE(layers.apply({"h a/b -> keep", "o a"}));
  EXPECT_THAT(layers.list(), testing::ElementsAre("d a 0", "f a/b 0", "f keep 0"));
}

TEST(Tree, LinksToSymbolicLinksThemselves) {
  Layers layers;
  ASSERT_TRUE(layers.apply({"l a -> nowhere", "h b -> a"}));
  EXPECT_THAT(layers.list(), testing::ElementsAre("l a 0", "l b 0"));
}

TEST(Tree, RefusesWhatCannotBeAndNamesThePath) {
  const std::pair<Lines, const char*> cases[] = {
      {{"f a", "f a/b"}, "\"a\" is not a directory"},
      {{"l a -> a", "f a/b"}, "too many symbolic links"},
      {{"l a -> b", "l b -> a", "f a/c"}, "too many symbolic links"},
      {{"h a -> b"}, "which is not there"},
      {{"d b", "h a -> b"}, "a hard link to the directory"},
      {{"h a -> b/c"}, "which is not there"},
      {{"f b", "h  -> b"}, "the root cannot be a hard link"},
      {{"f "}, "the root can only be a directory"},
      {{"l  -> b"}, "the root can only be a directory"},
  };
  for (const auto& [lines, why] : cases) {
    Layers layers;
    auto refused = layers.apply(lines);
    ASSERT_FALSE(refused) << why;
    EXPECT_EQ(refused.error().code, Errc::invalid_argument);
    EXPECT_THAT(refused.error().message, HasSubstr(why));
  }
}

TEST(Tree, RefusesToBecomeTooDeepThroughLinks) {
  // Each layer's path is short; the link leads deeper every time.
  Layers layers;
  std::string deep;
  for (int i = 0; i < 1000; ++i) deep += "d/";
  ASSERT_TRUE(layers.apply({"f " + deep + "x", "l a -> " + deep}));
  ASSERT_TRUE(layers.apply({"f a/" + deep + "x", "l b -> " + deep + deep}));
  auto refused = layers.apply({"f b/" + deep + "x"});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("too deep"));
}

TEST(Tree, TakesTheRootsAttributes) {
  Layers layers;
  EXPECT_EQ(layers.tree().inode(Tree::root).offset, 0U);
  ASSERT_TRUE(layers.apply({"d a", "d "}));
  EXPECT_EQ(layers.tree().inode(Tree::root).offset, 2U);
}

TEST(Tree, FollowsAWayAnewOnceSomethingOnItHasChanged) {
  // Each in one layer, between two entries of the same directory, and each change in the layer above, too.
  const Case cases[] = {
      {"a link that leads elsewhere now",
       {{"d b", "d c", "l a -> b", "f a/x", "l a -> c", "f a/y"}},
       {"l a 0", "d b 0", "f b/x 0", "d c 0", "f c/y 0"}},
      {"a link that became a directory",
       {{"d b", "l a -> b", "f a/x", "d a", "f a/y"}},
       {"d a 0", "f a/y 0", "d b 0", "f b/x 0"}},
      {"a directory that became a link", {{"d b", "d a", "f a/x", "l a -> b", "f a/y"}}, {"l a 0", "d b 0", "f b/y 0"}},
      {"a directory that became a hard link to a link",
       {{"d b", "l c -> b", "d a", "f a/x", "h a -> c", "f a/y"}},
       {"l a 0", "d b 0", "f b/y 0", "l c 0"}},
      {"a directory that was hidden",
       {{"d a", "d a/b", "f a/b/x"}, {"- a/b/x", "- a", "f a/b/y"}},
       {"d a 0", "d a/b 0", "f a/b/y 1"}},
      {"a link that was hidden",
       {{"d b", "l a -> b", "f a/x"}, {"f a/y", "- a", "f a/z"}},
       {"d a 0", "f a/z 1", "d b 0", "f b/x 0", "f b/y 1"}},
      {"a directory below one that is opaque",
       {{"d a/b", "f a/b/x"}, {"- a/b/x", "o a", "f a/b/y"}},
       {"d a 0", "d a/b 0", "f a/b/y 1"}},
  };
  for (const Case& one : cases) {
    Layers layers;
    for (const auto& layer : one.layers) {
      auto applied = layers.apply(layer);
      EXPECT_TRUE(applied) << one.what << ": " << test::error_of(applied);
    }
    EXPECT_EQ(layers.list(), one.result) << one.what;
  }
}

TEST(Tree, HoldsAsManyFilesAsItMayAndRefusesMore) {
  std::deque<Entry> entries;
  constexpr uint64_t limit = 1 << 20;
  Tree tree([&](EntryPlace place) -> Result<Entry> { return entries[place.offset]; }, {.max_tree_bytes = limit});
  Result<> applied;
  uint64_t files = 0;
  while (applied && files < limit) {
    std::string path = "file-" + std::to_string(++files);
    Entry entry;
    entry.path = path;
    applied = tree.apply(entry, {0, files});
  }
  ASSERT_FALSE(applied);
  EXPECT_EQ(applied.error().code, Errc::invalid_argument);
  EXPECT_THAT(applied.error().message, HasSubstr("more files than it may"));
  EXPECT_THAT(applied.error().hint, HasSubstr("DIATOM_MAX_TREE_SIZE"));
  EXPECT_GT(files, limit / 100) << "a file takes less than 100 bytes";
}

TEST(Tree, TakesNoMoreForFilesThatEveryLayerSaysAnew) {
  // A file that takes the place of one that has no other name takes its memory, too.
  std::deque<Entry> entries;
  Tree tree([&](EntryPlace place) -> Result<Entry> { return entries[place.offset]; }, {.max_tree_bytes = 1 << 20});
  for (uint32_t layer = 0; layer < 100; ++layer)
    for (int i = 0; i < 1000; ++i) {
      std::string path = "file-" + std::to_string(i);
      Entry entry;
      entry.path = path;
      ASSERT_TRUE(tree.apply(entry, {layer, 1}));
    }
  EXPECT_EQ(tree.inodes(), 1001U);
}

TEST(Tree, DoesNotRepeatWhatHasBeenHidden) {
  // Quadratic, this would take minutes: a directory of many files, and its removal said as often.
  for (const char* marker : {"- d", "o d"}) {
    Layers layers;
    std::vector<std::string> files = {"d d"};
    for (int i = 0; i < 50'000; ++i) files.push_back("f d/" + std::to_string(i));
    files.insert(files.end(), 50'000, marker);
    ASSERT_TRUE(layers.apply(files));
    EXPECT_EQ(layers.list().size(), 50'001U);
  }
}

}  // namespace
}  // namespace diatom::rootfs
