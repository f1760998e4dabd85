#include "disk_files.h"

#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/file.h"
#include "mounts.h"

namespace diatom::agent {

namespace {

constexpr const char* share = "/disks";
constexpr uint64_t sector_bytes = 512;

struct Loop {
  std::string path;
  dev_t device = 0;
  uint64_t sectors = 0;
};

Result<> mount_share() {
  struct stat status{};
  if (::stat(share, &status) == 0) return {};
  if (::mkdir(share, 0700) < 0) return fail_errno(std::string("make ") + share);
  return mount_at("diatom.disks", share, "virtiofs", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
}

Result<Loop> attach_loop(const UniqueFd& file, bool writable) {
  UniqueFd control = TRY(open_file("/dev/loop-control", O_RDWR));
  int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
  if (number < 0) return fail_errno("find a loop device");
  Loop loop{.path = "/dev/loop" + std::to_string(number)};
  UniqueFd device = TRY(open_file(loop.path, writable ? O_RDWR : O_RDONLY));
  loop_config config{};
  config.fd = static_cast<uint32_t>(file.get());
  // The guest's page cache holds what is on the device; once is enough.
  config.info.lo_flags = LO_FLAGS_DIRECT_IO | (writable ? 0 : LO_FLAGS_READ_ONLY);
  if (::ioctl(device.get(), LOOP_CONFIGURE, &config) < 0) return fail_errno("set up " + loop.path);
  struct stat status{};
  if (::fstat(device.get(), &status) < 0) return fail_errno("stat " + loop.path);
  loop.device = status.st_rdev;
  loop.sectors = TRY(file_size(file.get())) / sector_bytes;
  return loop;
}

Result<std::vector<Loop>> attach_loops(const std::string& serial, bool writable) {
  std::vector<Loop> loops;
  for (;;) {
    std::string path = std::string(share) + "/" + serial + "." + std::to_string(loops.size());
    auto file = open_file(path, writable ? O_RDWR : O_RDONLY);
    if (!file && file.error().code == Errc::not_found && !loops.empty()) return loops;
    if (!file) return std::unexpected(std::move(file.error()));
    loops.push_back(TRY(attach_loop(*file, writable)));
  }
}

// A device-mapper call: its header, which every one begins with, and what follows.
class MapperCall {
 public:
  explicit MapperCall(const std::string& name, size_t payload = 0) : bytes_(sizeof(dm_ioctl) + payload) {
    header().version[0] = DM_VERSION_MAJOR;
    header().data_size = static_cast<uint32_t>(bytes_.size());
    header().data_start = sizeof(dm_ioctl);
    std::strncpy(header().name, name.c_str(), sizeof(header().name) - 1);
  }
  dm_ioctl& header() { return *reinterpret_cast<dm_ioctl*>(bytes_.data()); }
  std::byte* payload() { return bytes_.data() + sizeof(dm_ioctl); }
  Result<> send(int control, unsigned long request, const char* what) {
    if (::ioctl(control, request, bytes_.data()) < 0) return fail_errno(std::string("device-mapper: ") + what);
    return {};
  }

 private:
  std::vector<std::byte> bytes_;
};

constexpr size_t target_words = 32;  // "MAJOR:MINOR 0"
constexpr size_t target_bytes = sizeof(dm_target_spec) + target_words;

void put_target(std::byte* at, uint64_t start, const Loop& loop) {
  dm_target_spec target{};
  target.sector_start = start;
  target.length = loop.sectors;
  target.next = target_bytes;
  std::strncpy(target.target_type, "linear", sizeof target.target_type);
  std::string words = std::to_string(major(loop.device)) + ":" + std::to_string(minor(loop.device)) + " 0";
  std::memcpy(at, &target, sizeof target);
  std::memcpy(at + sizeof target, words.c_str(), std::min(words.size() + 1, target_words));
}

Result<std::string> join_loops(const std::string& name, const std::vector<Loop>& loops, bool writable) {
  UniqueFd control = TRY(open_file("/dev/mapper/control", O_RDWR));
  MapperCall create(name);
  TRY(create.send(control.get(), DM_DEV_CREATE, "make a device"));
  std::string path = "/dev/dm-" + std::to_string(minor(create.header().dev));

  MapperCall load(name, loops.size() * target_bytes);
  load.header().target_count = static_cast<uint32_t>(loops.size());
  load.header().flags = writable ? 0 : DM_READONLY_FLAG;
  std::byte* at = load.payload();
  uint64_t start = 0;
  for (const Loop& loop : loops) {
    put_target(at, start, loop);
    at += target_bytes;
    start += loop.sectors;
  }
  TRY(load.send(control.get(), DM_TABLE_LOAD, "load a table"));
  MapperCall resume(name);  // without DM_SUSPEND_FLAG that is what it does
  TRY(resume.send(control.get(), DM_DEV_SUSPEND, "begin"));
  return path;
}

}  // namespace

Result<std::string> attach_disk_files(const std::string& serial, bool writable) {
  TRY(mount_share());
  std::vector<Loop> loops = TRY(attach_loops(serial, writable));
  if (loops.size() == 1) return loops.front().path;
  return join_loops(serial, loops, writable);
}

}  // namespace diatom::agent
