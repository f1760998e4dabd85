// The tables of the store's database. A change is a new migration, and the same in the newest schema.
#pragma once

#include <cstdint>

namespace diatom::store {

// migrations[n] makes version n + 1 of version n; an empty database is version 0. What is here is on people's disks and
// never changes again.
extern const char* const migrations[];
inline constexpr int64_t newest_version = 5;

// What all of them come to, in a third of the time: the first command of a new store waits for it. Written out once
// more rather than put together from the same pieces: who changes a table of today must not change what was. A test
// compares the two (database_test.cc).
extern const char* const newest_schema;

}  // namespace diatom::store
