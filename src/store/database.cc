#include "store/database.h"

#include <fcntl.h>
#include <sqlite3.h>

#include <cerrno>
#include <cstdio>

#include "base/file.h"
#include "base/platform/platform.h"

namespace diatom::store {

namespace {

constexpr int busy_timeout_ms = 10'000;
// How long the write-ahead log becomes before it is brought into the database, and the room that is held for it: what
// a container's end and its removal are written into on a full disk. Pages are of 4 KiB.
constexpr int log_pages = 64;
constexpr uint64_t log_room = 4 * log_pages * 4096;

// One entry a version; what is here is on people's disks and never changes again.
constexpr const char* migrations[] = {
    // 1: images from files, containers in the foreground.
    R"sql(
CREATE TABLE layers (
  diff_id TEXT PRIMARY KEY,        -- hex; layers/<diff_id>.data and .index
  data_bytes INTEGER NOT NULL,
  tar_bytes INTEGER NOT NULL,
  entries INTEGER NOT NULL
) STRICT;
CREATE TABLE images (
  id TEXT PRIMARY KEY,             -- hex digest of the config; images/<id>.erofs
  manifest TEXT NOT NULL,          -- hex digest
  metadata_bytes INTEGER NOT NULL,
  loaded_ns INTEGER NOT NULL
) STRICT;
CREATE TABLE image_layers (
  image TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE,
  position INTEGER NOT NULL,       -- 0 is the lowest
  diff_id TEXT NOT NULL REFERENCES layers(diff_id),
  blob TEXT NOT NULL,              -- hex digest of the layer as it was packed
  PRIMARY KEY (image, position)
) STRICT;
CREATE TABLE tags (
  name TEXT PRIMARY KEY,           -- canonical: docker.io/library/busybox:latest
  image TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE
) STRICT;
CREATE INDEX tags_image ON tags(image);
CREATE TABLE containers (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  image TEXT NOT NULL,             -- an image's id; the image itself may have been removed by force
  image_name TEXT NOT NULL,
  state TEXT NOT NULL,
  spec TEXT NOT NULL,              -- JSON
  engine TEXT NOT NULL,
  accelerator TEXT NOT NULL,
  kernel TEXT NOT NULL,
  auto_remove INTEGER NOT NULL,
  created_ns INTEGER NOT NULL,
  started_ns INTEGER NOT NULL DEFAULT 0,
  finished_ns INTEGER NOT NULL DEFAULT 0,
  exit_code INTEGER NOT NULL DEFAULT 0,
  signal INTEGER NOT NULL DEFAULT 0,
  oom_killed INTEGER NOT NULL DEFAULT 0,
  error TEXT NOT NULL DEFAULT ''
) STRICT;
)sql",
    // 2: an image may have come by several manifests (the same layers, packed otherwise): each name keeps its own. What
    // registries call an image.
    R"sql(
CREATE TABLE manifests (
  digest TEXT PRIMARY KEY,         -- hex
  image TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE
) STRICT;
CREATE INDEX manifests_image ON manifests(image);
CREATE TABLE packings (            -- what was verified: the blob holds the layer
  manifest TEXT NOT NULL REFERENCES manifests(digest) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  diff_id TEXT NOT NULL,
  blob TEXT NOT NULL,
  PRIMARY KEY (manifest, position)
) STRICT;
CREATE INDEX packings_blob ON packings(blob);
ALTER TABLE tags ADD COLUMN manifest TEXT NOT NULL DEFAULT '';
INSERT INTO manifests SELECT manifest, id FROM images;
INSERT INTO packings SELECT manifest, position, diff_id, blob FROM image_layers JOIN images ON images.id = image;
UPDATE tags SET manifest = (SELECT manifest FROM images WHERE images.id = tags.image);
ALTER TABLE image_layers DROP COLUMN blob;
CREATE TABLE image_digests (
  repository TEXT NOT NULL,        -- canonical: docker.io/library/busybox
  digest TEXT NOT NULL,            -- hex: of its manifest, or of the index that names it
  image TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE,
  PRIMARY KEY (repository, digest, image)
) STRICT;
CREATE INDEX image_digests_image ON image_digests(image);
)sql",
    // 3: containers with a monitor of their own.
    R"sql(
ALTER TABLE containers ADD COLUMN wanted TEXT NOT NULL DEFAULT '';     -- the spec as it was asked for, JSON
ALTER TABLE containers ADD COLUMN pid INTEGER NOT NULL DEFAULT 0;      -- of the VMM; 0 = none
ALTER TABLE containers ADD COLUMN address TEXT NOT NULL DEFAULT '';    -- on its network
ALTER TABLE containers ADD COLUMN ports TEXT NOT NULL DEFAULT '[]';    -- as they are bound, JSON
ALTER TABLE containers ADD COLUMN health TEXT NOT NULL DEFAULT '{}';   -- JSON
ALTER TABLE containers ADD COLUMN restarts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE containers ADD COLUMN stopped INTEGER NOT NULL DEFAULT 0;  -- by somebody's word: unless-stopped stays so
)sql",
    // 4: what happened.
    R"sql(
CREATE TABLE events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  time_ns INTEGER NOT NULL,
  type TEXT NOT NULL,              -- "container", "image"
  action TEXT NOT NULL,
  actor TEXT NOT NULL,             -- an id, or an image's name
  attributes TEXT NOT NULL         -- JSON: an object of texts
) STRICT;
CREATE INDEX events_time ON events(time_ns);
)sql",
    // 5: VMs that were restored.
    R"sql(
ALTER TABLE containers ADD COLUMN start_kind TEXT NOT NULL DEFAULT '';  -- "warm", "cold"
ALTER TABLE containers ADD COLUMN stages TEXT NOT NULL DEFAULT '{}';  -- JSON: of the last run, and when each was reached
)sql",
};

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
    TRY(database.migrate(path));
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

Result<> Database::migrate(const std::filesystem::path& path) {
  auto version = [this]() -> Result<int64_t> {
    Statement statement = TRY(prepare("PRAGMA user_version"));
    static_cast<void>(TRY(statement.step()));
    return statement.number(0);
  };
  constexpr auto newest = static_cast<int64_t>(std::size(migrations));
  int64_t found = TRY(version());
  if (found > newest)
    return fail(Errc::unsupported,
                "open store database " + path.string() + ": it belongs to a newer diatom (version " +
                    std::to_string(found) + ", this one knows " + std::to_string(newest) + ")",
                "upgrade diatom, or set DIATOM_HOME elsewhere");
  if (found == newest) return {};
  Transaction transaction = TRY(begin());
  for (int64_t next = TRY(version()); next < newest; ++next) TRY(execute(migrations[next]));
  TRY(execute(("PRAGMA user_version = " + std::to_string(newest)).c_str()));
  return transaction.commit();
}

}  // namespace diatom::store
