#include "vm/qemu/template_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/platform/platform.h"

namespace diatom::vm {

namespace {

using namespace std::chrono_literals;

constexpr uint64_t most_state = 64 << 20;  // some 80 KiB; with a device whose state is large, more
constexpr uint64_t most_record = 64 << 10;
constexpr mode_t mode_of_others = S_IRWXG | S_IRWXO;
constexpr std::chrono::nanoseconds first_retry = 1min;
constexpr std::chrono::nanoseconds last_retry = 1h;
constexpr int64_t most_failures = 1000;  // that are counted

fs::path record_path(const fs::path& folder) { return folder / "template.json"; }

int64_t nanoseconds(const timespec& time) { return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; }

// Of this user's, and of nobody else's: what is executed must not be another's.
std::optional<struct stat> look_at_own(int fd, mode_t kind) {
  struct stat status{};
  if (::fstat(fd, &status) < 0 || (status.st_mode & S_IFMT) != kind || status.st_uid != ::geteuid() ||
      (status.st_mode & mode_of_others) != 0)
    return std::nullopt;
  return status;
}

Result<UniqueFd> open_own(const fs::path& path) { return open_file(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK); }

std::optional<Json> describe(int fd) {
  auto status = look_at_own(fd, S_IFREG);
  if (!status || status->st_nlink != 1) return std::nullopt;
  return Json{{"bytes", static_cast<int64_t>(status->st_size)},
              {"inode", static_cast<uint64_t>(status->st_ino)},
              {"changed_ns", nanoseconds(platform::changed_at(*status))}};
}

// What must be as it was when the template was made. The memory is too much to be hashed at each start; but what has
// been written to has another time, which nobody can set.
std::optional<Json> describe(const TemplateFiles& files) {
  auto memory = describe(files.memory.get());
  auto state = describe(files.state.get());
  if (!memory || !state || (*state)["bytes"] > most_state) return std::nullopt;
  std::string content((*state)["bytes"].get<size_t>(), '\0');
  if (!pread_all(files.state.get(), std::as_writable_bytes(std::span(content)), 0)) return std::nullopt;
  Json disks = Json::object();
  for (const auto& [serial, disk] : files.disks) {
    auto described = describe(disk.get());
    if (!described) return std::nullopt;
    disks[serial] = *described;
  }
  return Json{{"format", template_format},
              {"memory", *memory},
              {"state", *state},
              {"state_sha256", sha256_hex(content)},
              {"disks", disks}};
}

int64_t number_of(const Json& object, const char* name) {
  auto found = object.find(name);
  return found != object.end() && found->is_number_integer() ? found->get<int64_t>() : 0;
}

std::string text_of(const Json& object, const char* name) {
  auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// Empty, where there is none that is this user's own.
std::string read_own(const fs::path& path) {
  auto file = open_own(path);
  auto size = file && look_at_own(file->get(), S_IFREG) ? file_size(file->get()) : fail(Errc::internal, "");
  if (!size || *size > most_record) return "";
  std::string text(*size, '\0');
  if (!pread_all(file->get(), std::as_writable_bytes(std::span(text)), 0)) return "";
  return text;
}

Json parse_object(std::string_view text) {
  Json object = parse_foreign_json(text);
  return object.is_object() ? object : Json::object();
}

bool is_set(const Json& object, const char* name) {
  auto found = object.find(name);
  return found != object.end() && *found == true;
}

Result<std::map<std::string, UniqueFd>> open_disks(const fs::path& folder, const std::vector<std::string>& serials) {
  std::map<std::string, UniqueFd> disks;
  for (const std::string& serial : serials) disks[serial] = TRY(open_own(template_disk(folder, serial)));
  return disks;
}

// Their names are no paths.
std::vector<std::string> disks_of(const Json& files) {
  std::vector<std::string> serials;
  auto disks = files.find("disks");
  if (disks == files.end() || !disks->is_object()) return serials;
  for (const auto& [serial, described] : disks->items())
    if (serial.find('/') == std::string::npos) serials.push_back(serial);
  return serials;
}

Json encode(const TemplateRecord& record) {
  return {{"vcpus", record.vcpus},           {"memory_bytes", record.memory_bytes},
          {"network", record.network},       {"upper_bytes", record.upper_bytes},
          {"kernel", record.kernel},         {"accelerator", record.accelerator},
          {"created_ns", record.created_ns}, {"image", record.image}};
}

TemplateRecord decode(const Json& object) {
  TemplateRecord record;
  record.vcpus = static_cast<unsigned>(number_of(object, "vcpus"));
  record.memory_bytes = static_cast<uint64_t>(number_of(object, "memory_bytes"));
  record.network = is_set(object, "network");
  record.upper_bytes = static_cast<uint64_t>(number_of(object, "upper_bytes"));
  record.kernel = text_of(object, "kernel");
  record.accelerator = text_of(object, "accelerator");
  record.created_ns = number_of(object, "created_ns");
  record.image = text_of(object, "image");
  return record;
}

}  // namespace

fs::path template_memory(const fs::path& folder) { return folder / "memory"; }
fs::path template_state(const fs::path& folder) { return folder / "state"; }
fs::path template_disk(const fs::path& folder, const std::string& serial) { return folder / ("disk-" + serial); }
fs::path path_of(const UniqueFd& file) { return "/dev/fd/" + std::to_string(file.get()); }
fs::path template_lock(const fs::path& folder) { return folder.string() + ".lock"; }
fs::path template_failure(const fs::path& folder) { return folder.string() + ".failed"; }

std::optional<TemplateFiles> open_template(const fs::path& folder) {
  auto directory = open_file(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!directory || !look_at_own(directory->get(), S_IFDIR)) return std::nullopt;
  auto memory = open_own(template_memory(folder));
  auto state = open_own(template_state(folder));
  if (!memory || !state) return std::nullopt;
  TemplateDocument document = parse_template_document(read_own(record_path(folder)));
  auto disks = open_disks(folder, disks_of(document.files));
  if (!disks) return std::nullopt;
  TemplateFiles files{std::move(*memory), std::move(*state), std::move(document.record), std::move(*disks)};
  auto found = describe(files);
  if (!found || document.files != *found) return std::nullopt;
  return files;
}

Result<> record_template(const fs::path& folder, const TemplateRecord& record, const std::vector<std::string>& disks) {
  TemplateFiles files{TRY(open_own(template_memory(folder))),
                      TRY(open_own(template_state(folder))),
                      {},
                      TRY(open_disks(folder, disks))};
  // From now on nobody writes to it; a mapping's writes set its time at some time of their own.
  if (::futimens(files.memory.get(), nullptr) < 0) return fail_errno("set time of " + template_memory(folder).string());
  auto description = describe(files);
  if (!description)
    return fail(Errc::internal, "record template " + folder.string() + ": its files are not as they were made");
  return replace_file(record_path(folder), print_template_document({record, std::move(*description)}));
}

void spoil_template(const fs::path& folder) { ::unlink(record_path(folder).c_str()); }

// Without the disk's help: what is lost is made again.
void record_failure(const fs::path& folder, const std::string& reason) {
  auto before = find_failure(folder);
  Json now = {{"reason", reason}, {"count", before ? before->count + 1 : 1}, {"time_ns", wall_clock_ns()}};
  [[maybe_unused]] auto ignored = replace_file(template_failure(folder), print_json(now));
}

std::optional<TemplateFailure> find_failure(const fs::path& folder) {
  return parse_template_failure(read_own(template_failure(folder)));
}

TemplateDocument parse_template_document(std::string_view text) {
  Json object = parse_object(text);
  auto files = object.find("files");
  return {decode(object), files != object.end() ? *files : Json()};
}

std::string print_template_document(const TemplateDocument& document) {
  Json object = encode(document.record);
  object["files"] = document.files;
  return print_json(object);
}

std::optional<TemplateFailure> parse_template_failure(std::string_view text) {
  Json object = parse_object(text);
  int64_t count = std::min(number_of(object, "count"), most_failures);
  if (count <= 0) return std::nullopt;
  auto pause = std::min(first_retry * (int64_t{1} << std::min<int64_t>(count - 1, 10)), last_retry);
  // One that is yet to come: the clock has been set back since, and nobody waits for longer than the pause.
  int64_t time_ns = std::clamp<int64_t>(number_of(object, "time_ns"), 0, wall_clock_ns());
  return TemplateFailure{text_of(object, "reason"), count, time_ns + pause.count()};
}

Result<std::vector<std::string>> template_names(const fs::path& templates) {
  std::vector<std::string> names;
  if (::access(templates.c_str(), F_OK) != 0) return names;
  for (const auto& file : TRY(list_directory(templates)))
    if (file.starts_with(template_prefix)) names.push_back(file.substr(0, file.find('.')));
  std::ranges::sort(names);
  names.erase(std::ranges::unique(names).begin(), names.end());
  return names;
}

}  // namespace diatom::vm
