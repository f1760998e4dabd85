#include "store/container_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <thread>

#include "base/hash.h"
#include "support/store_fixture.h"

namespace diatom::store {
namespace {

using test::Victim;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string id(char digit) { return std::string(64, digit); }

ContainerRecord record(const std::string& id, const std::string& name, const std::string& state = "running") {
  return {.id = id,
          .name = name,
          .image = "image",
          .image_name = "busybox",
          .state = state,
          .spec = "{}",
          .engine = "qemu",
          .accelerator = "tcg",
          .kernel = "6.1",
          .created_ns = 1,
          .started_ns = state == "starting" ? 0 : 2,
          .error = {}};
}

class ContainerStoreTest : public test::StoreTest {
 protected:
  ContainerStoreTest() { EXPECT_TRUE(add_image("image")); }

  // The record alone.
  Result<> add_image(const std::string& image) {
    Database database = TRY(Database::open(paths_.database()));
    return database.execute(("INSERT INTO images VALUES ('" + image + "', 'manifest', 1, 1)").c_str());
  }
  ContainerStore& containers() { return store_->containers(); }
  // A process that owns a running container, in a store of its own.
  std::unique_ptr<Victim> owner(const ContainerRecord& container) {
    auto victim = start([&](auto tell) {
      auto own = open();
      auto lock = own->containers().create_directory(container.id);
      if (!lock || !own->containers().insert(container)) ::_exit(2);
      tell();
      for (;;) ::pause();
    });
    EXPECT_TRUE(victim->wait_for(1));
    return victim;
  }
};

TEST_F(ContainerStoreTest, ReadsWhatWasWritten) {
  ContainerRecord one = record(id('a'), "one");
  one.auto_remove = true;
  one.spec = R"({"Cmd":["x"]})";
  ASSERT_TRUE(containers().insert(one));
  one.state = "exited";
  one.finished_ns = 3;
  one.exit_code = 139;
  one.signal = 11;
  one.oom_killed = true;
  one.error = "why";
  ASSERT_TRUE(containers().update(one));
  auto found = containers().find("one");
  ASSERT_TRUE(found) << test::error_of(found);
  EXPECT_EQ(found->id, one.id);
  EXPECT_EQ(found->spec, one.spec);
  EXPECT_EQ(found->state, "exited");
  EXPECT_EQ(found->started_ns, 2);
  EXPECT_EQ(found->finished_ns, 3);
  EXPECT_EQ(found->exit_code, 139);
  EXPECT_EQ(found->signal, 11);
  EXPECT_TRUE(found->oom_killed);
  EXPECT_TRUE(found->auto_remove);
  EXPECT_EQ(found->error, "why");
  EXPECT_EQ(found->accelerator, "tcg");
  EXPECT_EQ(containers().count_of_image("image").value(), 1);
  EXPECT_EQ(containers().count_of_image("other").value(), 0);
}

TEST_F(ContainerStoreTest, RefusesANameThatIsTakenAndChangesNothing) {
  ASSERT_TRUE(containers().insert(record(id('a'), "one")));
  auto refused = containers().insert(record(id('b'), "one"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::already_exists);
  EXPECT_THAT(refused.error().message, HasSubstr("\"one\""));
  EXPECT_EQ(containers().list()->size(), 1U);
}

TEST_F(ContainerStoreTest, RecordsNoContainerOfAnImageThatHasGone) {
  auto other = open();
  ASSERT_TRUE(other->images().remove("image"));
  auto refused = containers().insert(record(id('a'), "one"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::not_found);
  EXPECT_THAT(refused.error().message, HasSubstr("busybox"));
  EXPECT_THAT(containers().list().value(), IsEmpty());
  ASSERT_TRUE(add_image("image"));
  EXPECT_TRUE(containers().insert(record(id('a'), "one")));
}

// One makes containers, the other removes what no container was made of, as `rmi` does.
TEST_F(ContainerStoreTest, AnImageThatIsUsedIsNotRemovedByAnotherProcess) {
  for (int round = 0; round < 20; ++round) {
    std::string image = sha256_hex(std::to_string(round));
    ASSERT_TRUE(add_image(image));
    std::atomic<bool> removed{false};
    std::thread remover([&] {
      auto own = open();
      auto transaction = own->begin();
      ASSERT_TRUE(transaction) << test::error_of(transaction);
      if (own->containers().count_of_image(image).value() > 0) return;
      ASSERT_TRUE(own->images().remove(image));
      ASSERT_TRUE(transaction->commit());
      removed = true;
    });
    ContainerRecord container = record(sha256_hex("c" + std::to_string(round)), "c" + std::to_string(round));
    container.image = image;
    auto made = containers().insert(container);
    remover.join();
    EXPECT_NE(made.has_value(), removed.load()) << "either the container or the removal came first";
    EXPECT_EQ(store_->images().find("sha256:" + image).has_value(), made.has_value());
  }
}

TEST_F(ContainerStoreTest, FindsByIdNameAndPrefix) {
  std::string near = "ab" + id('0').substr(2);
  ASSERT_TRUE(containers().insert(record(id('a'), "one")));
  ASSERT_TRUE(containers().insert(record(near, "ff")));
  EXPECT_EQ(containers().find("one")->id, id('a'));
  EXPECT_EQ(containers().find(id('a'))->id, id('a'));
  EXPECT_EQ(containers().find("aa")->id, id('a'));
  EXPECT_EQ(containers().find("ff")->id, near) << "a name that looks like an id";
  EXPECT_EQ(containers().find("a").error().code, Errc::invalid_argument);
  for (const char* absent : {"", "b", "nobody", "%", "A"})
    EXPECT_EQ(containers().find(absent).error().code, Errc::not_found);
}

TEST_F(ContainerStoreTest, TakesAnIdForTheContainerThatHasItRatherThanForAName) {
  ASSERT_TRUE(containers().insert(record(id('b'), id('a'))));
  ASSERT_TRUE(containers().insert(record(id('a'), "one")));
  EXPECT_EQ(containers().find(id('a'))->name, "one");
}

TEST_F(ContainerStoreTest, ErasesRecordAndFolder) {
  ASSERT_TRUE(containers().create_directory(id('a')));
  ASSERT_TRUE(containers().insert(record(id('a'), "one")));
  ASSERT_TRUE(containers().erase(id('a')));
  EXPECT_THAT(*containers().list(), IsEmpty());
  EXPECT_FALSE(fs::exists(paths_.container(id('a'))));
  EXPECT_TRUE(containers().erase(id('a'))) << "twice is no trouble";
}

TEST_F(ContainerStoreTest, LeavesALivingOwnersContainerAlone) {
  auto running = owner(record(id('a'), "one"));
  EXPECT_FALSE(containers().try_lock(id('a')).value());
  ASSERT_TRUE(containers().recover());
  EXPECT_EQ(containers().find("one")->state, "running");
  EXPECT_TRUE(fs::exists(paths_.container(id('a'))));
}

TEST_F(ContainerStoreTest, PutsRightWhatDeadOwnersLeft) {
  struct Case {
    const char* state;
    const char* after;
  };
  for (auto [state, after] : {Case{"running", "exited"}, Case{"starting", "failed"}, Case{"paused", "exited"},
                              Case{"exited", "exited"}, Case{"created", "created"}}) {
    owner(record(id('a'), "one", state))->kill();
    ASSERT_TRUE(containers().recover());
    auto found = containers().find("one");
    ASSERT_TRUE(found) << state;
    EXPECT_EQ(found->state, after) << state;
    if (std::string_view(state) != after) {
      EXPECT_EQ(found->exit_code, 137);
      EXPECT_GT(found->finished_ns, 0);
      EXPECT_FALSE(found->error.empty());
    }
    ASSERT_TRUE(containers().erase(id('a')));
  }
}

TEST_F(ContainerStoreTest, RemovesWhatWasToGoWithItsOwner) {
  ContainerRecord container = record(id('a'), "one");
  container.auto_remove = true;
  owner(container)->kill();
  ASSERT_TRUE(containers().recover());
  EXPECT_THAT(*containers().list(), IsEmpty());
  EXPECT_THAT(names_in(paths_.containers()), IsEmpty());
}

TEST_F(ContainerStoreTest, RemovesFoldersThatNoRecordNames) {
  auto killed = start([&](auto tell) {
    auto own = open();
    auto lock = own->containers().create_directory(id('a'));
    tell();
    for (;;) ::pause();
  });
  ASSERT_TRUE(killed->wait_for(1));
  ASSERT_TRUE(make_directories(paths_.container(id('b')) / "deep"));
  ASSERT_TRUE(containers().recover());
  EXPECT_THAT(names_in(paths_.containers()), ElementsAre(id('a')))
      << "its owner lives and is about to write the record";
  killed->kill();
  ASSERT_TRUE(containers().recover());
  EXPECT_THAT(names_in(paths_.containers()), IsEmpty());
  EXPECT_THAT(names_in(paths_.ingest()), IsEmpty());
}

TEST_F(ContainerStoreTest, MakesContainersWhileOthersPutThingsRight) {
  std::atomic<bool> done{false};
  std::thread other([&] {
    auto own = open();
    while (!done) {
      auto recovered = own->containers().recover();
      EXPECT_TRUE(recovered) << test::error_of(recovered);
    }
  });
  for (int i = 0; i < 200; ++i) {
    std::string name = std::to_string(1000 + i);
    std::string container = sha256_hex(name);
    auto lock = containers().create_directory(container);
    ASSERT_TRUE(lock) << test::error_of(lock);
    auto file = replace_file(paths_.container(container) / "upper.ext4", "x");
    ASSERT_TRUE(file) << test::error_of(file);
    // Only a few get a record: that is slow, and not what this is about.
    if (i % 20 != 0) continue;
    ASSERT_TRUE(containers().insert(record(container, "c" + name)));
  }
  done = true;
  other.join();
}

TEST_F(ContainerStoreTest, TakesAContainerFromItsOwnerByKillingIt) {
  auto running = owner(record(id('a'), "one"));
  auto lock = containers().take_from_owner(id('a'));
  ASSERT_TRUE(lock) << test::error_of(lock);
  int status = 0;
  ASSERT_EQ(::waitpid(running->pid(), &status, 0), running->pid());
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_FALSE(open()->containers().try_lock(id('a')).value()) << "it is ours now";
}

TEST_F(ContainerStoreTest, KillsNobodyWhoCameToHaveADeadOwnersPid) {
  Victim innocent([](auto tell) { tell(); });
  ASSERT_TRUE(innocent.wait_for(1));
  ASSERT_TRUE(make_directories(paths_.container(id('a'))));
  ASSERT_TRUE(replace_file(paths_.container(id('a')) / "lock", std::to_string(innocent.pid())));
  // Somebody else removes the container just now, and holds its lock for that.
  auto remover = std::move(*containers().try_lock(id('a')));
  ASSERT_TRUE(remover);
  std::atomic<bool> taken{false};
  std::thread second([&] {
    auto lock = open()->containers().take_from_owner(id('a'));
    EXPECT_TRUE(lock) << test::error_of(lock);
    taken = true;
  });
  EXPECT_FALSE(taken);
  remover.reset();
  second.join();
  EXPECT_TRUE(innocent.alive());
}

TEST_F(ContainerStoreTest, IsPutRightAfterAnyKill) {
  for (size_t round = 1; round <= 6; ++round) {
    auto victim = start([&](auto tell) {
      auto own = open();
      for (size_t i = 0;; ++i) {
        std::string container = sha256_hex(std::to_string(round) + "-" + std::to_string(i));
        auto lock = own->containers().create_directory(container);
        tell();
        ContainerRecord one = record(container, "c" + container.substr(0, 8));
        one.auto_remove = i % 2 == 0;
        if (!lock || !own->containers().insert(one)) ::_exit(2);
        tell();
        if (i % 3 == 0 && !own->containers().erase(container)) ::_exit(2);
        tell();
      }
    });
    ASSERT_TRUE(victim->wait_for(round * 2));
    victim->kill();
    ASSERT_TRUE(containers().recover());
    std::vector<std::string> recorded;
    auto list = containers().list();
    ASSERT_TRUE(list);
    for (const auto& container : *list) {
      recorded.push_back(container.id);
      EXPECT_EQ(container.state, "exited");
      EXPECT_FALSE(container.auto_remove);
    }
    std::ranges::sort(recorded);
    EXPECT_EQ(names_in(paths_.containers()), recorded);
  }
}

TEST_F(ContainerStoreTest, KillsNobodyWhoDoesNotHoldTheLockThatNamesHim) {
  Victim innocent([](auto tell) { tell(); });
  ASSERT_TRUE(innocent.wait_for(1));
  auto running = start([&](auto tell) {
    auto lock = open()->containers().create_directory(id('a'));
    if (!lock || ::ftruncate(lock->fd(), 0) < 0) ::_exit(2);
    if (!pwrite_all(lock->fd(), test::bytes_of(std::to_string(innocent.pid())), 0)) ::_exit(2);
    tell();
    for (;;) ::pause();
  });
  ASSERT_TRUE(running->wait_for(1));
  auto refused = containers().take_from_owner(id('a'));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr(std::to_string(innocent.pid())));
  EXPECT_TRUE(innocent.alive());
  EXPECT_TRUE(running->alive());
}

TEST_F(ContainerStoreTest, FinishesARemovalThatAKillCutShort) {
  struct Case {
    const char* what;
    std::function<void(const fs::path& folder)> left;
  };
  const Case cases[] = {
      {"its disk is marked", [](const fs::path& folder) { ASSERT_TRUE(replace_file(folder / "removing", "")); }},
      {"all but its record went", [](const fs::path& folder) { ASSERT_TRUE(remove_tree(folder)); }}};
  for (const auto& [what, left] : cases) {
    owner(record(id('a'), "one", "exited"))->kill();
    left(paths_.container(id('a')));
    ASSERT_TRUE(containers().recover());
    EXPECT_THAT(*containers().list(), IsEmpty()) << what;
    EXPECT_THAT(names_in(paths_.containers()), IsEmpty()) << what;
  }
}

TEST_F(ContainerStoreTest, KeepsWhatTheLastRunEndedWithWhenItWasToRunAgain) {
  ContainerRecord container = record(id('a'), "one", "restarting");
  container.exit_code = 7;
  container.finished_ns = 5;
  owner(container)->kill();
  ASSERT_TRUE(containers().recover());
  auto found = containers().find("one");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->state, "exited");
  EXPECT_EQ(found->exit_code, 7);
  EXPECT_EQ(found->finished_ns, 5);
  EXPECT_FALSE(found->error.empty());
}

TEST_F(ContainerStoreTest, AMonitorWaitsForWhoOnlyLooks) {
  ASSERT_TRUE(containers().create_directory(id('a')));
  ASSERT_TRUE(containers().insert(record(id('a'), "one", "exited")));
  auto looking = std::move(*containers().try_lock(id('a')));
  ASSERT_TRUE(looking);
  std::thread second([&] {
    auto lock = open()->containers().own(id('a'));
    EXPECT_TRUE(lock) << test::error_of(lock);
  });
  looking.reset();
  second.join();
}

TEST_F(ContainerStoreTest, RemovesWhatAKillLeftOfARemoval) {
  ASSERT_TRUE(make_directories(paths_.container(id('a') + ".removed") / "deep"));
  ASSERT_TRUE(make_directories(paths_.container("somebody.removed")));
  ASSERT_TRUE(containers().recover());
  EXPECT_THAT(names_in(paths_.containers()), ElementsAre("somebody.removed")) << "what is not ours stays";
}

}  // namespace
}  // namespace diatom::store
