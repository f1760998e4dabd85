#include "diatom/events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <thread>

#include "base/clock.h"
#include "store/store.h"
#include "support/scratch.h"

namespace diatom {
namespace {

using testing::ElementsAre;

TEST(EventFilter, FitsAsDockersDo) {
  Event start{.type = "container",
              .action = "exec_start: sh -c x",
              .actor_id = "0123abcd",
              .attributes = {{"name", "web"}, {"image", "registry:5000/busybox:1"}, {"tier", "front"}}};
  Event pull{.type = "image", .action = "pull", .actor_id = "busybox:latest", .attributes = {{"name", "busybox"}}};
  using Filters = std::map<std::string, std::vector<std::string>>;
  const std::tuple<Filters, bool, bool> cases[] = {
      {{}, true, true},
      {{{"type", {"container"}}}, true, false},
      {{{"type", {"container", "image"}}}, true, true},
      {{{"event", {"exec_start"}}}, true, false},
      {{{"event", {"exec"}}}, false, false},
      {{{"event", {"pull", "exec_start: sh -c x"}}}, true, true},
      {{{"container", {"web"}}}, true, false},
      {{{"container", {"0123"}}}, true, false},
      {{{"container", {"busybox"}}}, false, false},
      {{{"image", {"registry:5000/busybox"}}}, true, false},
      {{{"image", {"registry:5000/busybox:1"}}}, true, false},
      {{{"image", {"busybox"}}}, false, true},
      {{{"image", {"busybox:latest"}}}, false, true},
      {{{"label", {"tier"}}}, true, false},
      {{{"label", {"tier=front"}}}, true, false},
      {{{"label", {"tier=front", "other"}}}, false, false},
      {{{"type", {"container"}}, {"event", {"pull"}}}, false, false},
      {{{"nothing", {"x"}}}, false, false},
  };
  for (const auto& [filters, first, second] : cases) {
    std::string shown;
    for (const auto& [key, values] : filters) shown += key + "=" + testing::PrintToString(values) + " ";
    EXPECT_EQ(event_fits(start, {.filters = filters}), first) << shown;
    EXPECT_EQ(event_fits(pull, {.filters = filters}), second) << shown;
  }
}

class EventsTest : public testing::Test {
 protected:
  EventsTest() {
    ::setenv("DIATOM_HOME", (scratch_ / "home").c_str(), 1);
    ::setenv("DIATOM_RUN", (scratch_ / "run").c_str(), 1);
    store_ = std::move(*store::Store::open(*store::find_paths()));
    events_ = std::make_unique<Events>(std::move(*Events::open()));
  }
  ~EventsTest() override {
    ::unsetenv("DIATOM_HOME");
    ::unsetenv("DIATOM_RUN");
  }

  static void record(store::Store& store, const std::string& action, int64_t time_ns = 0) {
    EXPECT_TRUE(store.events().record(
        {.time_ns = time_ns, .type = "container", .action = action, .actor_id = "id", .attributes = {}}));
  }
  // Until "end" comes.
  std::vector<std::string> read(const EventQuery& query) {
    std::vector<std::string> seen;
    auto result = events_->read(query, [&](const Event& event) {
      if (event.action != "end") seen.push_back(event.action);
      return event.action != "end";
    });
    EXPECT_TRUE(result) << test::error_of(result);
    return seen;
  }

  test::ScratchDirectory scratch_{test::memory_directory()};
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<Events> events_;
};

TEST_F(EventsTest, ReadsWhatHasHappened) {
  for (int i = 1; i <= 600; ++i) record(*store_, std::to_string(i), i);
  EXPECT_EQ(read({}).size(), 600u);
  EXPECT_THAT(read({.since_ns = 599}), ElementsAre("599", "600"));
  EXPECT_THAT(read({.until_ns = 3}), ElementsAre("1", "2"));
  EXPECT_THAT(read({.only_new = true}), ElementsAre());
  EXPECT_THAT(read({.filters = {{"event", {"7", "8"}}}}), ElementsAre("7", "8"));
}

TEST_F(EventsTest, RefusesFiltersThatItDoesNotKnow) {
  auto result = events_->read({.filters = {{"colour", {"red"}}}}, [](const Event&) { return true; });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::invalid_argument);
}

// What is stored and what comes, from two writers, meet without a loss and without a double.
TEST_F(EventsTest, FollowsWithoutLossAndInOrder) {
  constexpr int each = 300;
  auto write = [&](const std::string& name) {
    auto own = std::move(*store::Store::open(*store::find_paths()));
    for (int i = 0; i < each; ++i) record(*own, name + std::to_string(i));
  };
  record(*store_, "before");
  std::thread first([&] { write("a"); });
  std::thread second([&] { write("b"); });
  std::vector<std::string> seen[2];
  int left = 2 * each;
  auto result = events_->read({.follow = true}, [&](const Event& event) {
    if (event.action == "before") return true;
    seen[event.action[0] - 'a'].push_back(event.action);
    return --left > 0;
  });
  first.join();
  second.join();
  ASSERT_TRUE(result) << test::error_of(result);
  for (int which : {0, 1}) {
    ASSERT_EQ(seen[which].size(), static_cast<size_t>(each));
    for (int i = 0; i < each; ++i) EXPECT_EQ(seen[which][static_cast<size_t>(i)].substr(1), std::to_string(i));
  }
}

TEST_F(EventsTest, FollowsAlsoWhenTheRunFolderIsRemovedMeanwhile) {
  std::thread writing;
  std::vector<std::string> seen;
  record(*store_, "first");
  auto result = events_->read({.follow = true}, [&](const Event& event) {
    seen.push_back(event.action);
    if (event.action != "first") return false;
    writing = std::thread([&] {
      // The reader may make it again in the middle.
      std::error_code error;
      do fs::remove_all(scratch_ / "run", error);
      while (error == std::errc::directory_not_empty);
      auto own = std::move(*store::Store::open(*store::find_paths()));
      record(*own, "second");
    });
    return true;
  });
  writing.join();
  EXPECT_TRUE(result) << test::error_of(result);
  EXPECT_THAT(seen, ElementsAre("first", "second"));
}

TEST_F(EventsTest, EndsWhenTheTimeHasCome) {
  record(*store_, "before");
  EXPECT_THAT(read({.until_ns = wall_clock_ns() + 50'000'000, .follow = true}), ElementsAre("before"));
}

TEST_F(EventsTest, CanBeCancelledFromOutside) {
  record(*store_, "first");
  auto result = events_->read({.follow = true}, [&](const Event&) {
    events_->cancel();
    return true;
  });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::cancelled);
  std::thread later([&] { events_->cancel(); });
  EXPECT_FALSE(events_->read({.only_new = true, .follow = true}, [](const Event&) { return true; }));
  later.join();
}

}  // namespace
}  // namespace diatom
