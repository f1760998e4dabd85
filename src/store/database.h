// SQLite as the store uses it: write-ahead log, foreign keys, migrations by user_version. Every function blocks for at
// most `busy_timeout` on another process's transaction.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

struct sqlite3;
struct sqlite3_stmt;

namespace diatom::store {

// A prepared statement. Binding and stepping report through step(): an early mistake is not lost.
class Statement {
 public:
  Statement& bind(std::string_view text);
  Statement& bind(int64_t number);
  Result<bool> step();  // true: there is a row
  Result<> run();       // to its end

  std::string text(int column) const;
  int64_t number(int column) const;

 private:
  friend class Database;
  struct Free {
    void operator()(sqlite3_stmt* statement) const;
  };
  sqlite3* database_ = nullptr;
  std::unique_ptr<sqlite3_stmt, Free> statement_;
  int bound_ = 0;
  int error_ = 0;
};

// Not for use by two threads.
class Database {
 public:
  // Opens or creates, and brings an older one up to date. One from a newer diatom is refused.
  static Result<Database> open(const std::filesystem::path& path);

  Result<Statement> prepare(std::string_view sql);
  Result<> execute(const char* sql);

  // All or nothing: undone by the destructor unless commit() succeeded. One inside another is a part of it: what it
  // commits, the outer one may still undo.
  class Transaction {
   public:
    Transaction(Database& database, bool inner) : database_(&database), inner_(inner) {}
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    Transaction(Transaction&& other) noexcept
        : database_(std::exchange(other.database_, nullptr)), inner_(other.inner_) {}
    Transaction& operator=(Transaction&&) = delete;
    ~Transaction();
    Result<> commit();

   private:
    Database* database_;
    bool inner_;
  };
  Result<Transaction> begin();       // takes the write lock at once
  Result<Transaction> begin_read();  // what is read until its end is of one moment; nothing is to be written in it

 private:
  struct Close {
    void operator()(sqlite3* database) const;
  };
  Result<Transaction> begin(const char* outermost);
  static Result<Database> connect(const std::filesystem::path& path);
  static Result<> create(const std::filesystem::path& path);
  Result<> set_version(int64_t version);
  Result<> migrate(const std::filesystem::path& path);
  std::unique_ptr<sqlite3, Close> database_;
};

}  // namespace diatom::store
