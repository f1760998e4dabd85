#include "vm/krun/disk_files.h"

#include <unistd.h>

#include "base/file.h"

namespace diatom::vm {

namespace fs = std::filesystem;

fs::path files_directory(const MachineSpec& spec) { return spec.directory / "disks"; }

Result<> link_disk_files(const VmmConfig& config) {
  fs::path directory = config.files_directory;
  std::error_code ignored;
  fs::remove_all(directory, ignored);  // of a VM that was killed
  TRY(make_directories(directory));
  for (const VmmDisk& disk : config.disks) {
    size_t number = 0;
    for (const std::string& file : disk.files) {
      fs::path name = directory / (disk.serial + "." + std::to_string(number++));
      if (::link(file.c_str(), name.c_str()) == 0) continue;
      if (errno != EXDEV) return fail_errno("link " + file + " as " + name.string());
      return fail(Errc::unsupported, "boot VM: this libkrun has no disks, and " + file + " is on another file system",
                  "install one that is built with BLK=1, or use --engine qemu");
    }
  }
  return {};
}

}  // namespace diatom::vm
