#include "vm/qemu/template.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <memory>

#include "base/clock.h"
#include "base/hash.h"
#include "base/platform/platform.h"
#include "vm/engine.h"
#include "vm/qemu/template_files.h"
#include "vm/qemu/template_maker.h"

namespace diatom::vm {

namespace {

constexpr size_t start_digits = 8;
constexpr size_t shape_digits = 8;
constexpr size_t key_digits = 24;
constexpr size_t most_templates = 16;  // some 110 MiB each: the one that was used longest ago makes room
// What a kernel writes to its memory while it boots: some 100 MiB, and 1/64 of the memory to keep books about it. Where
// the disk had no more, QEMU would end by SIGBUS, and other things by ENOSPC.
constexpr uint64_t booted_bytes = 256ULL << 20;
constexpr uint64_t memory_per_book = 32;

Result<std::string> identity(const fs::path& path, timespec (*time_of)(const struct stat&)) {
  struct stat status{};
  if (::stat(path.c_str(), &status) < 0) return fail_errno("look at " + path.string());
  timespec time = time_of(status);
  return fmt::format("{}:{}:{}:{}.{:09}\n", path.string(), status.st_ino, status.st_size, time.tv_sec, time.tv_nsec);
}

TemplateRecord describe(const QemuTarget& target, const MachineSpec& spec) {
  TemplateRecord record;
  record.vcpus = spec.vcpus;
  record.memory_bytes = spec.memory_bytes;
  record.network = spec.network.has_value();
  record.upper_bytes = spec.disks.size() > 1 ? spec.disks[1].bytes : 0;
  record.kernel = spec.kernel.version;
  record.accelerator = target.accelerator;
  record.created_ns = wall_clock_ns();
  if (spec.preparation) record.image = spec.preparation->name;
  return record;
}

// What it was asked to be. One of the same shape and another key is of an older QEMU, kernel or agent.
std::string shape_of(const QemuTarget& target, const MachineSpec& spec) {
  std::string text = target.program + "\n" + target.accelerator + "\n" + spec.kernel.image.string() + "\n";
  text += fmt::format("{} {} {}", spec.vcpus, spec.memory_bytes, spec.network.has_value());
  for (const Disk& disk : spec.disks) text += fmt::format(" {}:{}", disk.serial, disk.bytes);
  if (spec.preparation) text += " " + spec.preparation->name;
  return sha256_hex(text);
}

// One that anybody may be restored from, whatever the image.
MachineSpec unprepared(MachineSpec spec) {
  spec.preparation.reset();
  return spec;
}

// As template_spec(), with the disks that will be mounted: those of the image, and new ones below `folder`.
MachineSpec prepared_spec(const MachineSpec& spec, const fs::path& folder) {
  MachineSpec wanted = template_spec(spec);
  wanted.directory = folder;
  wanted.preparation = spec.preparation;
  for (size_t i = 0; i < spec.disks.size(); ++i) {
    Disk& disk = wanted.disks[i];
    disk = spec.disks[i];
    if (disk.read_only) continue;
    disk.extents.front().path = template_disk(folder, disk.serial);
    disk.ephemeral = true;
  }
  return wanted;
}

std::vector<std::string> writable_disks(const MachineSpec& spec) {
  std::vector<std::string> serials;
  for (const Disk& disk : spec.disks)
    if (!disk.read_only) serials.push_back(disk.serial);
  return serials;
}

bool all_new(const MachineSpec& spec) {
  return std::ranges::all_of(spec.disks, [](const Disk& disk) { return disk.read_only || is_new(disk); });
}

Result<> check_room(const fs::path& templates, const MachineSpec& spec) {
  struct statvfs space{};
  if (::statvfs(templates.c_str(), &space) < 0) return fail_errno("look for room in " + templates.string());
  uint64_t wanted = std::min(booted_bytes + spec.memory_bytes / memory_per_book, spec.memory_bytes);
  if (uint64_t{space.f_bavail} * space.f_frsize >= wanted) return {};
  return fail(Errc::start_failed,
              fmt::format("make template: {} has less than {} MiB left", templates.string(), wanted >> 20));
}

Result<uint64_t> remove_files(const fs::path& folder) {
  uint64_t freed = disk_bytes(folder) + disk_bytes(folder.string() + ".new");
  TRY(remove_tree(template_lock(folder)));  // whoever waits for it locks a new one
  for (const char* suffix : {"", ".new", ".failed"}) TRY(remove_tree(folder.string() + suffix));
  return freed;
}

// Empty: it is being made.
Result<std::optional<uint64_t>> try_remove(const fs::path& folder) {
  auto lock = TRY(FileLock::try_acquire(template_lock(folder)));
  if (!lock) return std::nullopt;
  return TRY(remove_files(folder));
}

int64_t used_ns(const fs::path& folder) {
  struct stat status{};
  if (::stat(folder.c_str(), &status) < 0) return 0;
  timespec time = platform::modified_at(status);
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

MachineSpec template_spec(const MachineSpec& spec) {
  MachineSpec wanted;
  wanted.id = "template";
  wanted.vcpus = spec.vcpus;
  wanted.memory_bytes = spec.memory_bytes;
  wanted.kernel = spec.kernel;
  for (const Disk& disk : spec.disks)
    wanted.disks.push_back({.serial = disk.serial, .extents = {}, .read_only = disk.read_only, .bytes = disk.bytes});
  if (spec.network) {
    wanted.network = spec.network;
    wanted.network->mac = "02:00:00:00:00:01";
    wanted.network->forwards.clear();
  }
  return wanted;
}

Result<std::string> template_key(const QemuTarget& target, const MachineSpec& spec, QemuTemplate use) {
  QemuTarget measured = target;
  measured.tsc_khz = 0;  // no two measurements are the same
  std::string text = fmt::format("format {}\n", template_format);
  for (const auto& word : qemu_command_line(measured, template_spec(spec), use)) text += word + "\n";
  for (const fs::path& path :
       {fs::path(target.program), spec.kernel.image, spec.kernel.initramfs, spec.kernel.agent_disk})
    if (!path.empty()) text += TRY(identity(path, platform::changed_at));
  return sha256_hex(text);
}

Result<std::string> prepared_key(const QemuTarget& target, const MachineSpec& spec) {
  std::string text = TRY(template_key(target, spec)) + "\n" + spec.preparation->text + "\n";
  for (const Disk& disk : spec.disks)
    for (const DiskExtent& extent : disk.extents)
      if (disk.read_only) text += TRY(identity(extent.path, platform::modified_at));  // its links come and go
  return sha256_hex(text);
}

Result<std::vector<Template>> Template::find(const QemuTarget& target, const MachineSpec& spec) {
  // What was not written out before a power cut, and what a CPU of another kind would make of it, is no question: a
  // template is of one run of the host's kernel.
  std::string host_start = platform::host_start_id();
  std::vector<Template> found;
  if (host_start.empty()) return found;
  auto add = [&](const std::string& shape, const std::string& key, const fs::path& base) {
    std::string name = fmt::format("{}{}-{}-", template_prefix, sha256_hex(host_start).substr(0, start_digits),
                                   shape.substr(0, shape_digits));
    found.insert(found.begin(), Template(spec.templates / (name + key.substr(0, key_digits)), name.size(), base));
  };
  add(shape_of(target, unprepared(spec)), TRY(template_key(target, spec)), "");
  if (spec.preparation && all_new(spec))
    add(shape_of(target, spec), TRY(prepared_key(target, spec)), found.front().folder_);
  return found;
}

bool Template::is_whole() const { return open_template(folder_).has_value(); }

bool Template::has_failed() const {
  auto failure = find_failure(folder_);
  return failure && wall_clock_ns() < failure->retry_ns && !is_whole();
}

std::optional<Template::Opened> Template::open() const {
  auto files = open_template(folder_);
  if (!files) return std::nullopt;
  ::utimensat(AT_FDCWD, folder_.c_str(), nullptr, 0);  // when it was used
  MakeDisk make_disk = format_disk;
  if (!base_.empty())
    make_disk = [disks = std::make_shared<std::map<std::string, UniqueFd>>(std::move(files->disks))](
                    const Disk& disk, const fs::path& to) {
      return platform::clone_file(path_of((*disks)[disk.serial]), to);
    };
  return Opened{std::move(files->state), std::move(files->memory), std::move(make_disk),
                base_.empty() ? QemuTemplate::restored : QemuTemplate::copied};
}

void Template::reject(const std::string& why) const {
  spoil_template(folder_);
  record_failure(folder_, why);
}

Result<> Template::build(const QemuTarget& target, const MachineSpec& spec, const CancelToken& cancel) const {
  TRY(make_directories(folder_.parent_path()));
  FileLock lock = TRY(FileLock::acquire(template_lock(folder_), [&] { return cancel.check(); }));
  if (is_settled()) return {};
  make_room();
  auto made = make(target, spec, cancel);
  if (made) ::unlink(template_failure(folder_).c_str());
  if (!made && made.error().code != Errc::cancelled) record_failure(folder_, made.error().message);
  return made;
}

Result<> Template::make(const QemuTarget& target, const MachineSpec& spec, const CancelToken& cancel) const {
  TRY(check_room(folder_.parent_path(), spec));
  fs::path folder = folder_.string() + ".new";
  TRY(remove_tree(folder));  // of one that was killed
  TRY(make_directories(folder));
  TemporaryPath undo(folder);
  if (base_.empty()) {
    TRY(save_booted_vm(folder, target, template_spec(spec), cancel));
    TRY(record_template(folder, describe(target, unprepared(spec)), {}));
  } else {
    TRY(save_prepared_vm(folder, base_, target, prepared_spec(spec, folder), cancel));
    TRY(record_template(folder, describe(target, spec), writable_disks(spec)));
  }
  TRY(remove_tree(folder_));  // one that was damaged
  if (::rename(folder.c_str(), folder_.c_str()) < 0) return fail_errno("rename to " + folder_.string());
  undo.keep();
  return {};
}

// What an earlier run of the host's has left, what is of an older QEMU, kernel or agent, and what is too much. A wish:
// what is in the way is nobody's trouble who wants a VM.
void Template::make_room() const {
  fs::path templates = folder_.parent_path();
  std::string own = folder_.filename();
  std::string_view start = std::string_view(own).substr(0, template_prefix.size() + start_digits);
  std::vector<fs::path> others;
  for (const auto& name : template_names(templates).value_or(std::vector<std::string>())) {
    if (name == own || name == base_.filename()) continue;
    if (!name.starts_with(start) || name.compare(0, kin_, own, 0, kin_) == 0) [[maybe_unused]]
      auto ignored = try_remove(templates / name);
    else
      others.push_back(templates / name);
  }
  std::ranges::sort(others, std::ranges::greater(), used_ns);
  for (size_t i = most_templates - 1; i < others.size(); ++i) [[maybe_unused]]
    auto ignored = try_remove(others[i]);
}

Result<std::vector<TemplateRecord>> list_templates(const fs::path& templates) {
  std::vector<TemplateRecord> records;
  for (const auto& name : TRY(template_names(templates))) {
    fs::path folder = templates / name;
    auto files = open_template(folder);
    TemplateRecord& record = records.emplace_back(files ? std::move(files->record) : TemplateRecord());
    record.name = name;
    record.whole = files.has_value();
    if (record.whole) record.used_ns = used_ns(folder);
    record.disk_bytes = disk_bytes(folder);
    if (auto failure = find_failure(folder)) {
      record.failure = failure->reason;
      record.retry_ns = failure->retry_ns;
    }
  }
  return records;
}

Result<uint64_t> remove_template(const fs::path& templates, const std::string& name) {
  auto names = TRY(template_names(templates));
  if (std::ranges::find(names, name) == names.end())
    return fail(Errc::not_found, "remove template \"" + name + "\": there is none of that name",
                "`diatom template ls` shows them");
  auto freed = TRY(try_remove(templates / name));
  if (!freed)
    return fail(Errc::already_exists, "remove template \"" + name + "\": it is being made", "try again in a moment");
  return *freed;
}

Result<uint64_t> prune_templates(const fs::path& templates) {
  uint64_t freed = 0;
  for (const auto& name : TRY(template_names(templates))) freed += TRY(try_remove(templates / name)).value_or(0);
  return freed;
}

Result<> forget_template_failures(const fs::path& templates) {
  for (const auto& name : TRY(template_names(templates))) TRY(remove_tree(template_failure(templates / name)));
  return {};
}

}  // namespace diatom::vm
