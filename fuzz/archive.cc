// An image archive, from a stranger: its files are found by their path, with the digest of what was read, and nothing
// is written outside of the store.
#include "image/archive.h"

#include "base/hash.h"
#include "fuzz.h"

using namespace diatom;

namespace {

// In memory: blobs are synced.
const store::Paths& paths() {
  static const TemporaryPath home([] {
    char name[] = "/dev/shm/diatom-fuzz-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    return fs::path(name);
  }());
  static const store::Paths found{home.path() / "home", home.path() / "run"};
  return found;
}

void check_blob(image::Archive& archive, const std::string& path) {
  auto blob = archive.get(path);
  if (!blob) return fuzz::require_refusal(blob.error());
  if (!*blob) return;
  auto content = store::read_blob(paths(), (*blob)->digest);
  REQUIRE(content && content->size() == (*blob)->size);
  REQUIRE(sha256_hex(*content) == (*blob)->digest.hex());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  REQUIRE(remove_tree(paths().home));
  REQUIRE(make_directories(paths().blobs()) && make_directories(paths().ingest()));
  UniqueFd file = fuzz::memory_file();
  REQUIRE(write_all(file.get(), fuzz::as_text(data, size)));
  auto archive = image::open_archive("/proc/self/fd/" + std::to_string(file.get()), paths(), CancelToken());
  if (!archive) {
    fuzz::require_refusal(archive.error());
  } else {
    for (const char* path : {"index.json", "oci-layout", "manifest.json", "a/layer.tar", "../up", "/abs"})
      check_blob(**archive, path);
  }
  REQUIRE(fs::is_empty(paths().ingest()));  // nothing half-written is left
  return 0;
}
