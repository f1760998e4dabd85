// Containers that go on from where another one was: its VM, saved in a folder, and what is to be known of it besides.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "diatom/runtime.h"
#include "store/store.h"

namespace diatom {

// What a snapshot was made of.
struct SavedContainer {
  SnapshotInfo info;   // without its size
  std::string wanted;  // the container's spec, as its record has it
};
// Records it in the folder; the last that is done to a new one. It is not synced.
Result<> record_saved(const fs::path& folder, const SavedContainer& saved);
// Errors: not_found; start_failed where it makes no sense.
Result<SavedContainer> read_saved(const fs::path& folder);
std::string print_saved(const SavedContainer& saved);
Result<SavedContainer> parse_saved(std::string_view text);  // pure and total

// containers/<id>/saved, until the container has been started from it.
fs::path saved_folder(const store::Paths& paths, const std::string& id);
bool is_saved_folder(const fs::path& folder);

// A container with that spec, as new as any, that is going to go on from there when it is started.
Result<CreatedContainer> create_from_saved(store::Store& store, const ContainerSpec& spec, const SavedContainer& saved,
                                           const fs::path& folder);

}  // namespace diatom
