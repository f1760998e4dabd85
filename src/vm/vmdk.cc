#include "vm/vmdk.h"

#include <fcntl.h>
#include <fmt/format.h>

#include "base/file.h"

namespace diatom::vm {

namespace {

// What is read of a line, and what ends the name in it.
constexpr size_t longest_path = 511;

Result<> check_path(const fs::path& path) {
  const std::string& text = path.native();
  if (text.size() <= longest_path && text.find_first_of("\"\n\r") == std::string::npos) return {};
  return fail(Errc::invalid_argument, "boot VM: a disk cannot be joined of the path " + text,
              "set DIATOM_HOME to a folder without quotes and line ends, of at most 400 bytes");
}

}  // namespace

fs::path vmdk_path(const MachineSpec& spec, const Disk& disk) { return spec.directory / (disk.serial + ".vmdk"); }

std::string vmdk_descriptor(const Disk& disk) {
  // No empty lines: QEMU would read the extent that follows one twice.
  std::string text =
      "# Disk DescriptorFile\n"
      "version=1\n"
      "CID=fffffffe\n"
      "parentCID=ffffffff\n"
      "createType=\"twoGbMaxExtentFlat\"\n"
      "# Extent description\n";
  for (const auto& extent : disk.extents)
    text += fmt::format("RW {} FLAT \"{}\" 0\n", extent.bytes / 512, extent.path.string());
  return text;
}

Result<> write_vmdk_descriptors(const MachineSpec& spec) {
  for (const Disk& disk : spec.disks) {
    if (disk.extents.size() == 1) continue;
    for (const DiskExtent& extent : disk.extents) TRY(check_path(extent.path));
    UniqueFd descriptor = TRY(open_file(vmdk_path(spec, disk), O_WRONLY | O_CREAT | O_TRUNC));
    TRY(write_all(descriptor.get(), vmdk_descriptor(disk)));
  }
  return {};
}

}  // namespace diatom::vm
