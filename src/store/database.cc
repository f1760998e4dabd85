#include "store/database.h"

#include <fcntl.h>
#include <sqlite3.h>

#include <cerrno>
#include <cstdio>

#include "base/file.h"
#include "base/platform/platform.h"
#include "store/schema.h"

namespace diatom::store {

namespace {

constexpr int busy_timeout_ms = 10'000;
// How long the write-ahead log becomes before it is brought into the database, and the room that is held for it: what
// a container's end and its removal are written into on a full disk. Pages are of 4 KiB.
constexpr int log_pages = 64;
constexpr uint64_t log_room = 4 * log_pages * 4096;

std::unexpected<Error> failure(sqlite3* database, std::string_view what) {
  int code = sqlite3_errcode(database);
  std::string message = std::string(what) + ": " + sqlite3_errmsg(database);
  if ((code & 0xff) == SQLITE_FULL || sqlite3_system_errno(database) == ENOSPC)
    return fail(Errc::internal, message + " (No space left on device)",
                "free some disk space, or set DIATOM_HOME elsewhere");
  if ((code & 0xff) == SQLITE_CONSTRAINT) return fail(Errc::already_exists, std::move(message));
  if ((code & 0xff) == SQLITE_BUSY)
    return fail(Errc::timeout, std::move(message), "another diatom holds the database; try again");
  return fail(Errc::internal, std::move(message));
}

// Where there is none to be had, the log takes what it needs when it needs it.
void reserve_log(const std::filesystem::path& database) {
  if (auto log = open_file(database.string() + "-wal", O_RDWR)) platform::reserve_room(log->get(), log_room);
}

}  // namespace

void Statement::Free::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
void Database::Close::operator()(sqlite3* database) const { sqlite3_close(database); }

Statement& Statement::bind(std::string_view text) {
  int result = sqlite3_bind_text64(statement_.get(), ++bound_, text.data() != nullptr ? text.data() : "", text.size(),
                                   SQLITE_TRANSIENT, SQLITE_UTF8);
  if (error_ == SQLITE_OK) error_ = result;
  return *this;
}

Statement& Statement::bind(int64_t number) {
  int result = sqlite3_bind_int64(statement_.get(), ++bound_, number);
  if (error_ == SQLITE_OK) error_ = result;
  return *this;
}

Result<bool> Statement::step() {
  if (error_ != SQLITE_OK) return failure(database_, "use store database");
  int result = sqlite3_step(statement_.get());
  if (result == SQLITE_ROW) return true;
  if (result == SQLITE_DONE) return false;
  return failure(database_, "use store database");
}

Result<> Statement::run() {
  while (TRY(step())) {
  }
  return {};
}

std::string Statement::text(int column) const {
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  return bytes != nullptr ? std::string(bytes, static_cast<size_t>(sqlite3_column_bytes(statement_.get(), column)))
                          : "";
}

int64_t Statement::number(int column) const { return sqlite3_column_int64(statement_.get(), column); }

Result<Database> Database::connect(const std::filesystem::path& path) {
  sqlite3* handle = nullptr;
  int result = sqlite3_open_v2(path.c_str(), &handle,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                               nullptr);
  Database database;
  database.database_.reset(handle);
  if (result != SQLITE_OK) return failure(handle, "open store database " + path.string());
  sqlite3_busy_timeout(handle, busy_timeout_ms);
  return database;
}

// Whole, beside its place: SQLite brings each step of making one to the disk by itself, six times. Until it has its
// name there is none, and what a kill leaves is the next one's to make anew.
Result<> Database::create(const std::filesystem::path& path) {
  std::filesystem::path fresh = path.string() + ".new";
  for (const char* part : {"", "-wal", "-shm", "-journal"}) TRY(remove_tree(fresh.string() + part));
  {
    Database database = TRY(connect(fresh));
    TRY(database.execute("PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF;"));
    Transaction transaction = TRY(database.begin());
    TRY(database.execute(newest_schema));
    TRY(database.set_version(newest_version));
    TRY(transaction.commit());
    TRY(database.execute("PRAGMA journal_mode = WAL;"));
  }
  UniqueFd fd = TRY(open_file(fresh, O_RDWR));
  TRY(sync_fd(fd.get()));
  if (::rename(fresh.c_str(), path.c_str()) < 0) return fail_errno("rename to " + path.string());
  return {};
}

Result<Database> Database::open(const std::filesystem::path& path) {
  // SQLite fails rather than wait when another process, too, gives a new database its write-ahead log: take turns.
  FileLock opening = TRY(FileLock::acquire(path.string() + ".lock"));
  std::error_code error;
  if (!std::filesystem::exists(path, error)) TRY(create(path));
  Database database = TRY(connect(path));
  // Who closes last does not bring the log into the database, which takes three waits for the disk: commits do, once it
  // has grown. So who opens first reads no more than that again.
  sqlite3_db_config(database.database_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_wal_autocheckpoint(database.database_.get(), log_pages);
  // NORMAL with a write-ahead log: a power cut may lose the last transactions, never the database.
  TRY(
      database.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON; "
                       "PRAGMA fullfsync = ON;"));  // macOS: what is synced is on the disk
  reserve_log(path);
  TRY(database.migrate(path));
  return database;
}

Result<Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* handle = nullptr;
  if (sqlite3_prepare_v2(database_.get(), sql.data(), static_cast<int>(sql.size()), &handle, nullptr) != SQLITE_OK)
    return failure(database_.get(), "use store database");
  Statement statement;
  statement.database_ = database_.get();
  statement.statement_.reset(handle);
  return statement;
}

Result<> Database::execute(const char* sql) {
  if (sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK)
    return failure(database_.get(), "use store database");
  return {};
}

Result<Database::Transaction> Database::begin(const char* outermost) {
  bool inner = sqlite3_get_autocommit(database_.get()) == 0;
  TRY(execute(inner ? "SAVEPOINT inner" : outermost));
  return Transaction(*this, inner);
}

Result<Database::Transaction> Database::begin() { return begin("BEGIN IMMEDIATE"); }
Result<Database::Transaction> Database::begin_read() { return begin("BEGIN"); }

Result<> Database::Transaction::commit() {
  TRY(database_->execute(inner_ ? "RELEASE inner" : "COMMIT"));
  database_ = nullptr;
  return {};
}

Database::Transaction::~Transaction() {
  // Fails only when SQLite has already rolled back by itself.
  if (database_ != nullptr) [[maybe_unused]]
    auto ignored = database_->execute(inner_ ? "ROLLBACK TO inner; RELEASE inner" : "ROLLBACK");
}

Result<> Database::set_version(int64_t version) {
  return execute(("PRAGMA user_version = " + std::to_string(version)).c_str());
}

Result<> Database::migrate(const std::filesystem::path& path) {
  auto version = [this]() -> Result<int64_t> {
    Statement statement = TRY(prepare("PRAGMA user_version"));
    static_cast<void>(TRY(statement.step()));
    return statement.number(0);
  };
  int64_t found = TRY(version());
  if (found > newest_version)
    return fail(Errc::unsupported,
                "open store database " + path.string() + ": it belongs to a newer diatom (version " +
                    std::to_string(found) + ", this one knows " + std::to_string(newest_version) + ")",
                "upgrade diatom, or set DIATOM_HOME elsewhere");
  if (found == newest_version) return {};
  Transaction transaction = TRY(begin());
  for (int64_t next = TRY(version()); next < newest_version; ++next) TRY(execute(migrations[next]));
  TRY(set_version(newest_version));
  return transaction.commit();
}

}  // namespace diatom::store
