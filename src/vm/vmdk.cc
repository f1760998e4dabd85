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

bool is_joined(const Disk& disk) { return disk.extents.size() != 1 || disk.bytes > disk.extents.front().bytes; }

uint64_t extent_bytes(const Disk& disk) {
  uint64_t bytes = 0;
  for (const DiskExtent& extent : disk.extents) bytes += extent.bytes;
  return bytes;
}

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
  // What lies behind a file's end reads as zeros.
  uint64_t all = extent_bytes(disk);
  uint64_t zeros = disk.bytes > all ? disk.bytes - all : 0;
  for (const auto& extent : disk.extents) {
    uint64_t bytes = extent.bytes + (&extent == &disk.extents.back() ? zeros : 0);
    text += fmt::format("RW {} FLAT \"{}\" 0\n", bytes / 512, extent.path.string());
  }
  return text;
}

Result<> write_vmdk_descriptors(const MachineSpec& spec) {
  for (const Disk& disk : spec.disks) {
    if (!is_joined(disk)) continue;
    for (const DiskExtent& extent : disk.extents) TRY(check_path(extent.path));
    UniqueFd descriptor = TRY(open_file(vmdk_path(spec, disk), O_WRONLY | O_CREAT | O_TRUNC));
    TRY(write_all(descriptor.get(), vmdk_descriptor(disk)));
  }
  return {};
}

}  // namespace diatom::vm
