#include "vm/qemu/saved_machine.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <charconv>
#include <chrono>
#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "base/json.h"
#include "base/platform/platform.h"
#include "vm/qemu/template.h"

namespace diatom::vm {

namespace {

using namespace std::chrono_literals;

constexpr int format = 1;
constexpr auto answer_deadline = 60s;
constexpr uint64_t most_state = 64 << 20;
constexpr uint64_t most_document = 64 << 10;

fs::path memory_path(const fs::path& folder) { return folder / "memory"; }
fs::path state_path(const fs::path& folder) { return folder / "state"; }
fs::path document_path(const fs::path& folder) { return folder / "machine.json"; }

Result<bool> any(const Json&) { return true; }

// "Host virtual address for 0x0 (microvm.ram) is 0x7fb9dbe00000": all of the memory is one piece there.
Result<uint64_t> find_memory(QmpClient& qmp) {
  Json answer = TRY(qmp.ask("human-monitor-command", {{"command-line", "gpa2hva 0"}}));
  std::string words = answer.is_string() ? answer.get<std::string>() : "";
  constexpr std::string_view before = " is 0x";
  uint64_t address = 0;
  if (size_t begin = words.rfind(before); begin != std::string::npos)
    std::from_chars(words.data() + begin + before.size(), words.data() + words.size(), address, 16);
  if (address != 0) return address;
  return fail(Errc::start_failed, "save VM: QEMU does not say where its memory is: " + words);
}

// Of the memory only that nobody has written to it since: half a GiB is not read to start a VM.
Result<Json> describe(const SavedFiles& files) {
  uint64_t bytes = TRY(file_size(files.state.get()));
  if (bytes > most_state) return fail(Errc::start_failed, "the state of its devices is too large");
  std::string state(bytes, '\0');
  TRY(pread_all(files.state.get(), std::as_writable_bytes(std::span(state)), 0));
  struct stat status{};
  if (::fstat(files.memory.get(), &status) < 0) return fail_errno("look at its memory");
  timespec time = platform::modified_at(status);
  return Json{{"state_sha256", sha256_hex(state)},
              {"memory_bytes", static_cast<int64_t>(status.st_size)},
              {"memory_written", fmt::format("{}.{:09}", time.tv_sec, time.tv_nsec)}};
}

Result<SavedFiles> open_files(const fs::path& folder) {
  return SavedFiles{TRY(open_file(state_path(folder), O_RDONLY)), TRY(open_file(memory_path(folder), O_RDONLY))};
}

Result<Json> read_document(const fs::path& folder) {
  Json document = parse_foreign_json(TRY(read_file(document_path(folder), most_document)));
  if (document.is_object() && document.value("format", Json()) == format) return document;
  return fail(Errc::start_failed, "read " + document_path(folder).string() + ": it is not of this version of diatom");
}

// All that the VM has written is in the file by now: it is what it was before, and shared.
Result<> share_memory(QmpClient& qmp, const Saving& saving, uint64_t address, UniqueFd memory) {
  auto [number, set] = TRY(qmp.hand_over(memory.get()));
  bool mapped = TRY(platform::map_in_process(saving.pid, address, qemu_memory_bytes(saving.spec.memory_bytes), number));
  if (mapped) saving.base = std::move(memory);
  TRY(qmp.ask("remove-fd", {{"fdset-id", set}}));
  return {};
}

Result<> write_machine(QmpClient& qmp, const Saving& saving, const SaveTarget& to) {
  const MachineSpec& spec = saving.spec;
  const fs::path& folder = to.folder;
  uint64_t address = TRY(find_memory(qmp));
  // Not "live": its disks stay its own.
  TRY(qmp.ask("xen-save-devices-state", {{"filename", state_path(folder).string()}, {"live", false}}));
  TRY(platform::copy_process_memory(saving.pid, address, qemu_memory_bytes(spec.memory_bytes), saving.base.get(),
                                    memory_path(folder)));
  for (const Disk& disk : spec.disks)
    if (!disk.read_only) TRY(platform::clone_file(disk.extents.front().path, folder / disk.serial));
  SavedFiles files = TRY(open_files(folder));
  Json document = {{"format", format},
                   {"engine", "qemu"},
                   {"key", TRY(template_key(saving.target, spec, QemuTemplate::copied))},
                   {"vcpus", spec.vcpus},
                   {"memory_bytes", spec.memory_bytes},
                   {"files", TRY(describe(files))}};
  // Not synced: that would have the memory written to the disk, too, while the VM stands still. Who keeps it does that.
  UniqueFd file = TRY(open_file(document_path(folder), O_WRONLY | O_CREAT | O_TRUNC));
  TRY(write_all(file.get(), print_json(document)));
  return to.share_memory ? share_memory(qmp, saving, address, std::move(files.memory)) : Result<>();
}

}  // namespace

Result<> save_machine(QmpClient& qmp, const Saving& saving, const SaveTarget& to) {
  qmp.set_deadline(QmpClient::Clock::now() + answer_deadline);
  TRY(qmp.send("stop", Json::object()));
  TRY(qmp.await_event("STOP", any));
  auto written = write_machine(qmp, saving, to);
  auto continued = qmp.ask("cont", Json::object());
  if (!continued && written) return std::unexpected(continued.error());
  return written;
}

Result<SavedFiles> open_saved_machine(const QemuTarget& target, const MachineSpec& spec) {
  auto refuse = [&](const std::string& why) {
    return fail(Errc::start_failed, "go on from a saved VM (" + spec.saved.string() + "): " + why);
  };
  Json document = TRY(read_document(spec.saved));
  std::string key = TRY(template_key(target, spec, QemuTemplate::copied));
  if (document.value("key", Json()) != key)
    return refuse("it was saved by another QEMU, kernel, diatom or accelerator, which alone can go on from there");
  SavedFiles files = TRY(open_files(spec.saved));
  Json found = TRY(describe(files));
  if (document.value("files", Json()) != found) return refuse("its files are not as they were written");
  return files;
}

Result<SavedMachine> read_saved_machine(const fs::path& folder) {
  Json document = TRY(read_document(folder));
  Json vcpus = document.value("vcpus", Json());
  Json memory = document.value("memory_bytes", Json());
  Json engine = document.value("engine", Json());
  if (!vcpus.is_number_unsigned() || !memory.is_number_unsigned() || !engine.is_string())
    return fail(Errc::start_failed, "read " + document_path(folder).string() + ": it makes no sense");
  return SavedMachine{engine.get<std::string>(), vcpus.get<unsigned>(), memory.get<uint64_t>()};
}

}  // namespace diatom::vm
