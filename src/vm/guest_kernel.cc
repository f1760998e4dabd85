// Where the guest's kernel comes from. Debian's cloud kernel (tools/fetch_kernel.py) is installed with diatom.

#include <cstdlib>

#include "base/file.h"
#include "base/installation.h"
#include "vm/engine.h"
#include "vm/krunfw.h"

namespace diatom::vm {

namespace {

std::vector<fs::path> guest_directories() {
  const char* chosen = std::getenv("DIATOM_GUEST");
  if (chosen != nullptr && *chosen != '\0') return {chosen};
  return installed_file_candidates("share/diatom/guest");
}

bool readable(const fs::path& path) { return ::access(path.c_str(), R_OK) == 0; }

std::optional<GuestKernel> packaged_kernel(const fs::path& directory) {
  GuestKernel kernel;
  kernel.image = directory / "kernel";
  kernel.initramfs = directory / "initramfs.cpio";
  if (!readable(kernel.image) || !readable(kernel.initramfs)) return std::nullopt;
  kernel.version = read_file(directory / "version").value_or("unknown");
  while (!kernel.version.empty() && kernel.version.back() == '\n') kernel.version.pop_back();
  return kernel;
}

// Its drivers are built in, and it takes no initramfs: the agent comes on a disk.
Result<GuestKernel> krunfw_kernel(const std::string& library, const fs::path& directory, const fs::path& cache) {
  GuestKernel kernel;
  kernel.version = "libkrunfw";
  kernel.agent_disk = directory / "agent.ext4";
  kernel.needs_acpi = false;
  kernel.has_serial = false;
  kernel.image = TRY(extract_krunfw_kernel(library, cache));
  return kernel;
}

}  // namespace

Result<GuestKernel> find_guest_kernel(const fs::path& cache) {
  const char* wanted = std::getenv("DIATOM_KERNEL");
  bool only_krunfw = wanted != nullptr && std::string_view(wanted) == "libkrunfw";
  std::string looked;
  for (const fs::path& directory : guest_directories()) {
    if (auto kernel = packaged_kernel(directory); kernel && !only_krunfw) return *kernel;
    if (readable(directory / "agent.ext4"))
      if (auto library = find_libkrunfw()) return krunfw_kernel(*library, directory, cache);
    looked += (looked.empty() ? "" : ", ") + directory.string();
  }
  return fail(
      Errc::not_found,
      "find the guest kernel: no kernel and initramfs.cpio in " + looked + (only_krunfw ? ", and no libkrunfw" : ""),
      "run `make` in diatom's source tree, or point DIATOM_GUEST at the folder that has them");
}

}  // namespace diatom::vm
