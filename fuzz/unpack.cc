// A hostile tar and a folder of this host: whatever it says, nothing outside of the folder changes.
#include "tar/copy.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"

using namespace diatom;

namespace {

// A sentinel above the destination, and a link to it in there; the next run has a fresh one.
class Scene {
 public:
  Scene() {
    std::string name = "/dev/shm/diatom-fuzz-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    root_ = name;
    UniqueFd secret = open_file(root_ / "secret", O_WRONLY | O_CREAT, 0600).value();
    REQUIRE(write_all(secret.get(), "secret"));
    REQUIRE(::mkdir((root_ / "to").c_str(), 0700) == 0);
    REQUIRE(::symlink("../secret", (root_ / "to/link").c_str()) == 0);
    REQUIRE(::symlink("..", (root_ / "to/up").c_str()) == 0);
    REQUIRE(::link((root_ / "secret").c_str(), (root_ / "to/hard").c_str()) == 0);
  }
  Scene(const Scene&) = delete;
  Scene& operator=(const Scene&) = delete;
  ~Scene() {
    open_up(root_);
    REQUIRE(remove_tree(root_));
  }

  std::string destination() const { return root_ / "to"; }
  void check() const {
    REQUIRE(read_file(root_ / "secret").value() == "secret");
    REQUIRE(list_directory(root_).value().size() == 2);
  }

 private:
  // Directories of any mode are in there; whoever is no root cannot remove what is in them.
  static void open_up(const fs::path& path) {
    struct stat status{};
    if (::lstat(path.c_str(), &status) < 0 || !S_ISDIR(status.st_mode)) return;
    ::chmod(path.c_str(), 0700);
    auto names = list_directory(path);
    REQUIRE(names);
    for (const std::string& name : *names) open_up(path / name);
  }
  fs::path root_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string_view bytes = fuzz::as_text(data + 1, size - 1);
  Scene scene;
  tar::Reader reader([bytes]() mutable { return std::as_bytes(std::span(std::exchange(bytes, {}))); });
  bool stream = (data[0] & 1) != 0;
  tar::UnpackOptions options{.change_directories = (data[0] & 2) != 0, .keep_privileges = (data[0] & 4) != 0};
  auto done = stream ? tar::unpack_stream(reader, scene.destination(), options)
                     : tar::unpack_copy(reader, scene.destination(), "t", options);
  if (!done) REQUIRE(!done.error().message.empty());
  scene.check();
  return 0;
}
