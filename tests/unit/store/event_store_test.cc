#include "store/event_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include "base/platform/file_watch.h"
#include "support/store_fixture.h"

namespace diatom::store {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class EventStoreTest : public test::StoreTest {
 protected:
  EventStoreTest() : database_(std::move(*Database::open(paths_.database()))), events_(database_, paths_) {}

  static Event event(std::string action, int64_t time_ns = 1) {
    return {.time_ns = time_ns, .type = "container", .action = std::move(action), .actor_id = "id", .attributes = {}};
  }
  std::vector<std::string> actions(const EventRange& range = {}) {
    std::vector<std::string> found;
    auto read = events_.read(range).value();
    for (const auto& stored : read) found.push_back(stored.event.action);
    return found;
  }

  Database database_;
  EventStore events_;
};

TEST_F(EventStoreTest, GivesBackWhatWasAppended) {
  Event made = event("start", 1'700'000'000'000'000'001);
  made.attributes = {{"name", "web"}, {"odd \"key\"", "grüße\n"}, {"empty", ""}};
  ASSERT_TRUE(events_.append(made));
  auto read = events_.read({});
  ASSERT_EQ(read->size(), 1u);
  EXPECT_EQ(read->front().event.time_ns, made.time_ns);
  EXPECT_EQ(read->front().event.type, "container");
  EXPECT_EQ(read->front().event.actor_id, "id");
  EXPECT_EQ(read->front().event.attributes, made.attributes);
  EXPECT_EQ(events_.last_seq().value(), read->front().seq);
}

TEST_F(EventStoreTest, StampsWhatHasNoTimeAndTakesBytesThatAreNoText) {
  Event made = event("start", 0);
  made.attributes = {{"bad", "\xff"}};
  ASSERT_TRUE(events_.append(made));
  auto read = events_.read({});
  EXPECT_GT(read->front().event.time_ns, 1'700'000'000'000'000'000);
  EXPECT_EQ(read->front().event.attributes.at("bad"), "\xef\xbf\xbd");
}

TEST_F(EventStoreTest, ReadsRangesInTheirOrder) {
  EXPECT_EQ(events_.last_seq().value(), 0);
  for (int i = 1; i <= 5; ++i) ASSERT_TRUE(events_.append(event(std::to_string(i), i * 10)));
  EXPECT_THAT(actions({.since_ns = 20, .until_ns = 40}), ElementsAre("2", "3"));
  EXPECT_THAT(actions({.after_seq = 3}), ElementsAre("4", "5"));
  EXPECT_THAT(actions({.after_seq = 1, .limit = 2}), ElementsAre("2", "3"));
}

TEST_F(EventStoreTest, GoesWithTheTransactionItIsPartOf) {
  {
    auto transaction = database_.begin();
    ASSERT_TRUE(events_.append(event("undone")));
  }
  auto transaction = database_.begin();
  ASSERT_TRUE(events_.append(event("done")));
  ASSERT_TRUE(transaction->commit());
  EXPECT_THAT(actions(), ElementsAre("done"));
}

TEST_F(EventStoreTest, KeepsTheNewest) {
  auto transaction = database_.begin();
  ASSERT_TRUE(
      database_.execute("INSERT INTO events SELECT value, value, 'image', 'pull', 'x', '{}' FROM "
                        "(WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 100999) "
                        "SELECT value FROM n)"));
  ASSERT_TRUE(events_.append(event("newest", 1'000'000)));
  ASSERT_TRUE(transaction->commit());
  auto oldest = events_.read({.limit = 1});
  EXPECT_EQ(oldest->front().seq, 101'000 - EventStore::kept + 1);
  EXPECT_THAT(actions({.after_seq = 100'999}), ElementsAre("newest"));
}

TEST_F(EventStoreTest, NotifyWakesWhoeverWatches) {
  auto file = events_.watched_file();
  ASSERT_TRUE(file) << test::error_of(file);
  auto watch = platform::FileWatch::open({*file});
  for (int i = 0; i < 5000; ++i) {  // often enough for the file to be cut short again
    events_.notify();
    pollfd event{watch->pollable(), POLLIN, 0};
    ASSERT_EQ(::poll(&event, 1, 20'000), 1) << i;
    watch->drain();
  }
  EXPECT_LE(fs::file_size(*file), 4096u);
  fs::remove_all(paths_.run);
  events_.notify();
  EXPECT_TRUE(fs::exists(*file));
}

TEST_F(EventStoreTest, AnImagesChangesTellOfThemselves) {
  ImageRecord record{
      .id = std::string(64, 'a'), .manifest = std::string(64, 'b'), .tags = {}, .digests = {}, .layers = {}};
  for (const fs::path& file :
       {paths_.blobs() / record.id, paths_.blobs() / record.manifest, paths_.image_metadata(record.id)})
    ASSERT_TRUE(replace_file(file, "x"));
  ImageStore& images = store_->images();
  ASSERT_TRUE(images.put(record, {event("pull")}));
  ASSERT_TRUE(images.set_tag("docker.io/library/a:b", record, {event("tag")}));
  ASSERT_TRUE(images.add_digest({"docker.io/library/a", record.manifest}, record.id, {event("push")}));
  ASSERT_TRUE(images.remove_digest({"docker.io/library/a", record.manifest}, record.id, {event("untag digest")}));
  ASSERT_TRUE(images.remove_tag("docker.io/library/a:b", {event("untag")}));
  ASSERT_TRUE(images.remove(record.id, {event("delete")}));
  EXPECT_THAT(actions(), ElementsAre("pull", "tag", "push", "untag digest", "untag", "delete"));
}

}  // namespace
}  // namespace diatom::store
