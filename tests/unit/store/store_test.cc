#include "store/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "support/store_fixture.h"

namespace diatom::store {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class HomeTest : public testing::Test {
 protected:
  test::ScratchDirectory scratch_;
  Paths paths_{scratch_ / "home", scratch_ / "run"};
};

TEST_F(HomeTest, OfSomebodyElseIsRefusedAndLeftAlone) {
  ASSERT_TRUE(make_directories(paths_.home / "containers" / "storage"));
  ASSERT_TRUE(replace_file(paths_.home / "letters.txt", "dear"));
  auto store = Store::open(paths_);
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Errc::invalid_argument);
  EXPECT_THAT(store.error().message, HasSubstr(paths_.home.string()));
  EXPECT_THAT(store.error().message, HasSubstr("letters.txt"));
  EXPECT_THAT(store.error().hint, HasSubstr("DIATOM_HOME"));
  EXPECT_FALSE(fs::exists(paths_.database()));
  EXPECT_FALSE(fs::exists(paths_.blobs()));
}

TEST_F(HomeTest, ThatAnotherIsMakingIsOpened) {
  // Killed, or not yet there: the folders without the database.
  for (const auto& directory : {paths_.blobs(), paths_.containers(), paths_.templates(), paths_.home / "lost+found"})
    ASSERT_TRUE(make_directories(directory));
  auto store = Store::open(paths_);
  EXPECT_TRUE(store) << test::error_of(store);
}

TEST_F(HomeTest, ThatIsAStoreMayHaveOtherThingsInIt) {
  ASSERT_TRUE(Store::open(paths_));
  ASSERT_TRUE(replace_file(paths_.home / "notes", "mine"));
  auto again = Store::open(paths_);
  EXPECT_TRUE(again) << test::error_of(again);
}

TEST_F(HomeTest, IsOpenedByManyAtOnce) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([this] {
      auto store = Store::open(paths_);
      EXPECT_TRUE(store) << test::error_of(store);
    });
  for (auto& thread : threads) thread.join();
}

// What `run --rm` asks of the store, by several processes, each of which puts things right first.
TEST_F(HomeTest, SurvivesManyShortContainersAtOnce) {
  constexpr int processes = 6;
  constexpr int rounds = 12;
  ASSERT_TRUE(Store::open(paths_));
  ASSERT_TRUE(Database::open(paths_.database())->execute("INSERT INTO images VALUES ('image', 'manifest', 1, 1)"));
  auto work = [this](int process, auto tell) {
    for (int round = 0; round < rounds; ++round) {
      auto store = Store::open(paths_);
      auto say = [](const Error& error) {
        std::fprintf(stderr, "%s\n", error.message.c_str());
        ::_exit(1);
      };
      if (!store) say(store.error());
      ContainerStore& containers = (*store)->containers();
      if (auto done = containers.recover(); !done) say(done.error());
      std::string id = std::to_string(100 * (process + 1) + round);
      id += std::string(64 - id.size(), '0');
      auto lock = containers.create_directory(id);
      if (!lock) say(lock.error());
      if (auto done = replace_file((*store)->paths().container(id) / "upper.ext4", "x"); !done) say(done.error());
      ContainerRecord record;
      record.id = id;
      record.name = id.substr(0, 8);
      record.image = "image";
      record.state = "starting";
      record.auto_remove = true;
      if (auto done = containers.insert(record); !done) say(done.error());
      record.state = "running";
      if (auto done = containers.update(record); !done) say(done.error());
      if (auto done = containers.erase(id); !done) say(done.error());
    }
    tell();
  };
  std::vector<std::unique_ptr<test::Victim>> running;
  for (int i = 0; i < processes; ++i)
    running.push_back(std::make_unique<test::Victim>([&, i](auto tell) { work(i, tell); }));
  for (auto& process : running) EXPECT_TRUE(process->wait_for(1));
  auto store = Store::open(paths_);
  ASSERT_TRUE(store);
  ASSERT_TRUE((*store)->containers().recover());
  EXPECT_THAT((*store)->containers().list().value(), IsEmpty());
  EXPECT_THAT(list_directory(paths_.containers()).value(), IsEmpty());
}

}  // namespace
}  // namespace diatom::store
