#include "store/database.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "support/scratch.h"
#include "support/store_fixture.h"

namespace diatom::store {
namespace {

using test::ScratchDirectory;

std::string scalar(Database& database, const char* sql) {
  Statement statement = database.prepare(sql).value();
  EXPECT_TRUE(statement.step().value()) << sql;
  return statement.text(0);
}

TEST(Database, IsMadeWithEverythingOnThatKeepsItWhole) {
  ScratchDirectory scratch{test::memory_directory()};
  auto database = Database::open(scratch / "db");
  ASSERT_TRUE(database) << test::error_of(database);
  EXPECT_EQ(scalar(*database, "PRAGMA journal_mode"), "wal");
  EXPECT_EQ(scalar(*database, "PRAGMA foreign_keys"), "1");
  EXPECT_EQ(scalar(*database, "PRAGMA user_version"), "5");
  EXPECT_EQ(scalar(*database, "SELECT count(*) FROM sqlite_master WHERE type = 'table'"), "10");
  EXPECT_EQ(scalar(*database, "PRAGMA integrity_check"), "ok");
}

// An empty file is a database of version 0, which all migrations are applied to.
TEST(Database, IsMadeAsTheMigrationsWouldMakeIt) {
  constexpr const char* lists[] = {
      "SELECT type || ' ' || name AS line FROM sqlite_master",
      "SELECT name || ' ' || strict AS line FROM pragma_table_list",
      "SELECT m.name || ' ' || c.cid || ' ' || c.name || ' ' || c.type || ' ' || c.\"notnull\" || ' ' || "
      "ifnull(c.dflt_value, '-') || ' ' || c.pk AS line FROM sqlite_master m, pragma_table_xinfo(m.name) c",
      "SELECT m.name || ' ' || f.\"table\" || ' ' || f.\"from\" || ' ' || f.\"to\" || ' ' || f.on_update || ' ' || "
      "f.on_delete AS line FROM sqlite_master m, pragma_foreign_key_list(m.name) f",
      "SELECT m.name || ' ' || i.name || ' ' || i.\"unique\" || ' ' || i.origin || ' ' || c.seqno || ' ' || c.name "
      "AS line FROM sqlite_master m, pragma_index_list(m.name) i, pragma_index_info(i.name) c"};
  ScratchDirectory scratch{test::memory_directory()};
  ASSERT_TRUE(replace_file(scratch / "old", ""));
  auto made = Database::open(scratch / "new");
  auto migrated = Database::open(scratch / "old");
  ASSERT_TRUE(made && migrated);
  for (const char* list : lists) {
    std::string question = "SELECT group_concat(line, char(10)) FROM (" + std::string(list) + " ORDER BY line)";
    std::string answer = scalar(*made, question.c_str());
    EXPECT_THAT(answer, testing::HasSubstr("image"));
    EXPECT_EQ(answer, scalar(*migrated, question.c_str()));
  }
}

TEST(Database, KeepsWhatIsThereWhenItIsOpenedAgain) {
  ScratchDirectory scratch{test::memory_directory()};
  {
    auto database = Database::open(scratch / "db");
    ASSERT_TRUE(database->execute("INSERT INTO images VALUES ('a', 'm', 1, 2)"));
  }
  auto again = Database::open(scratch / "db");
  ASSERT_TRUE(again) << test::error_of(again);
  EXPECT_EQ(scalar(*again, "SELECT manifest FROM images"), "m");
}

TEST(Database, RefusesOneThatBelongsToANewerDiatomAndLeavesItAlone) {
  ScratchDirectory scratch{test::memory_directory()};
  ASSERT_TRUE(Database::open(scratch / "db")->execute("PRAGMA user_version = 999"));
  auto refused = Database::open(scratch / "db");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::unsupported);
  EXPECT_THAT(refused.error().message, testing::HasSubstr("version 999"));
  EXPECT_THAT(refused.error().hint, testing::HasSubstr("upgrade"));
}

TEST(Database, NamesAFileThatIsNone) {
  ScratchDirectory scratch{test::memory_directory()};
  ASSERT_TRUE(replace_file(scratch / "db", std::string(8192, 'x')));
  auto refused = Database::open(scratch / "db");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, testing::HasSubstr("not a database"));
  EXPECT_EQ(read_file(scratch / "db").value(), std::string(8192, 'x'));
  EXPECT_FALSE(Database::open(scratch / "no-such-folder" / "db"));
}

TEST(Database, IsMadeOnceHoweverManyOpenItFirst) {
  for (int round = 0; round < 20; ++round) {
    ScratchDirectory scratch{test::memory_directory()};
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i)
      threads.emplace_back([&] {
        auto database = Database::open(scratch / "db");
        EXPECT_TRUE(database) << test::error_of(database);
      });
    for (auto& thread : threads) thread.join();
  }
}

TEST(Database, UndoesATransactionThatWasNotCommitted) {
  ScratchDirectory scratch{test::memory_directory()};
  auto database = Database::open(scratch / "db");
  {
    auto transaction = database->begin();
    ASSERT_TRUE(transaction);
    ASSERT_TRUE(database->execute("INSERT INTO images VALUES ('a', 'm', 1, 2)"));
  }
  EXPECT_EQ(scalar(*database, "SELECT count(*) FROM images"), "0");
  {
    auto transaction = database->begin();
    ASSERT_TRUE(database->execute("INSERT INTO images VALUES ('a', 'm', 1, 2)"));
    ASSERT_TRUE(transaction->commit());
  }
  EXPECT_EQ(scalar(*database, "SELECT count(*) FROM images"), "1");
}

TEST(Database, ATransactionInsideAnotherIsAPartOfIt) {
  ScratchDirectory scratch{test::memory_directory()};
  auto database = Database::open(scratch / "db");
  auto put = [&](const char* id) {
    return database->execute(("INSERT INTO images VALUES ('" + std::string(id) + "', 'm', 1, 2)").c_str()).has_value();
  };
  for (bool committed : {false, true}) {
    auto outer = database->begin();
    ASSERT_TRUE(put("outer"));
    {
      auto undone = database->begin();
      ASSERT_TRUE(undone) << test::error_of(undone);
      ASSERT_TRUE(put("undone"));
    }
    auto inner = database->begin();
    ASSERT_TRUE(put("inner"));
    ASSERT_TRUE(database->begin_read());
    ASSERT_TRUE(inner->commit());
    EXPECT_EQ(scalar(*database, "SELECT group_concat(id) FROM images"), "inner,outer");
    if (!committed) continue;
    ASSERT_TRUE(outer->commit());
  }
  EXPECT_EQ(scalar(*database, "SELECT group_concat(id) FROM images"), "inner,outer");
  EXPECT_TRUE(database->begin()) << "all of them have ended";
}

TEST(Database, WhatIsReadInOneTransactionIsOfOneMoment) {
  ScratchDirectory scratch{test::memory_directory()};
  auto reader = Database::open(scratch / "db");
  auto writer = Database::open(scratch / "db");
  {
    auto moment = reader->begin_read();
    EXPECT_EQ(scalar(*reader, "SELECT count(*) FROM images"), "0");
    ASSERT_TRUE(writer->execute("INSERT INTO images VALUES ('a', 'm', 1, 2)"));
    EXPECT_EQ(scalar(*reader, "SELECT count(*) FROM images"), "0");
  }
  EXPECT_EQ(scalar(*reader, "SELECT count(*) FROM images"), "1");
}

TEST(Database, ShowsReadersTheStateBeforeAnotherOnesTransaction) {
  ScratchDirectory scratch{test::memory_directory()};
  auto writer = Database::open(scratch / "db");
  auto reader = Database::open(scratch / "db");
  auto transaction = writer->begin();
  ASSERT_TRUE(writer->execute("INSERT INTO images VALUES ('a', 'm', 1, 2)"));
  EXPECT_EQ(scalar(*reader, "SELECT count(*) FROM images"), "0");
  ASSERT_TRUE(transaction->commit());
  EXPECT_EQ(scalar(*reader, "SELECT count(*) FROM images"), "1");
}

TEST(Database, LetsWritersTakeTurns) {
  ScratchDirectory scratch{test::memory_directory()};
  ASSERT_TRUE(Database::open(scratch / "db"));
  std::vector<std::thread> threads;
  for (int who = 0; who < 4; ++who)
    threads.emplace_back([&, who] {
      auto database = Database::open(scratch / "db");
      for (int i = 0; i < 25; ++i) {
        auto transaction = database->begin();
        ASSERT_TRUE(transaction) << test::error_of(transaction);
        Statement insert = database->prepare("INSERT INTO images VALUES (?, 'm', 1, 2)").value();
        EXPECT_TRUE(insert.bind(std::to_string(who * 100 + i)).run());
        EXPECT_TRUE(transaction->commit());
      }
    });
  for (auto& thread : threads) thread.join();
  auto database = Database::open(scratch / "db");
  EXPECT_EQ(scalar(*database, "SELECT count(*) FROM images"), "100");
}

TEST(Database, TellsConstraintsFromOtherFailures) {
  ScratchDirectory scratch{test::memory_directory()};
  auto database = Database::open(scratch / "db");
  ASSERT_TRUE(database->execute("INSERT INTO images VALUES ('a', 'm', 1, 2)"));
  EXPECT_EQ(database->execute("INSERT INTO images VALUES ('a', 'm', 1, 2)").error().code, Errc::already_exists);
  EXPECT_EQ(database->prepare("SELECT nonsense").error().code, Errc::internal);
  EXPECT_FALSE(database->execute("INSERT INTO tags VALUES ('t', 'no-such-image')")) << "foreign keys are off";
  EXPECT_FALSE(database->execute("INSERT INTO images VALUES ('b', 'm', 'text', 2)")) << "tables are not strict";
}

TEST(Statement, KeepsBytesAndRemembersAnEarlyMistake) {
  ScratchDirectory scratch{test::memory_directory()};
  auto database = Database::open(scratch / "db");
  using namespace std::string_literals;
  for (const std::string& text : {""s, "text"s, "\xff\xfe"s, "with\0nul"s}) {
    Statement echo = database->prepare("SELECT ?").value();
    ASSERT_TRUE(echo.bind(text).step().value());
    EXPECT_EQ(echo.text(0), text);
  }
  Statement twice = database->prepare("SELECT ?").value();
  EXPECT_FALSE(twice.bind("one").bind("too many").step());
}

TEST(Database, IsWholeAfterAnyKill) {
  ScratchDirectory scratch{test::memory_directory()};
  for (size_t round = 1; round <= 8; ++round) {
    test::Victim victim([&](auto tell) {
      auto database = Database::open(scratch / "db");
      if (!database) return;
      for (size_t i = 0;; ++i) {  // two rows or none
        auto transaction = database->begin();
        std::string id = std::to_string(::getpid()) + "-" + std::to_string(i);
        for (const char* half : {"a", "b"}) {
          auto put = database->execute(("INSERT INTO images VALUES ('" + id + half + "', 'm', 1, 2)").c_str());
          if (!put) ::_exit(2);
        }
        if (!transaction->commit()) ::_exit(2);
        tell();
      }
    });
    ASSERT_TRUE(victim.wait_for(round * 3));
    victim.kill();
    auto database = Database::open(scratch / "db");
    ASSERT_TRUE(database) << test::error_of(database);
    EXPECT_EQ(scalar(*database, "PRAGMA integrity_check"), "ok");
    EXPECT_EQ(scalar(*database, "SELECT count(*) % 2 FROM images"), "0") << "half a transaction";
    EXPECT_GE(std::stoul(scalar(*database, "SELECT count(*) FROM images")), round * 3 * 2) << "a transaction was lost";
  }
}

}  // namespace
}  // namespace diatom::store
