// `doctor`: every part that a container needs, looked at one by one.

#include <fmt/core.h>
#include <sys/statvfs.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/platform/platform.h"
#include "base/size.h"
#include "base/time_text.h"
#include "diatom/runtime.h"
#include "image/registry/libcurl.h"
#include "store/paths.h"
#include "vm/engine.h"

namespace diatom {

namespace {

constexpr uint64_t little_space = 1ULL << 30;

DoctorCheck host_check() {
  platform::HostInfo host = platform::host_info();
  return {.name = "host",
          .ok = true,
          .detail = fmt::format("{} {} ({}), {} CPUs, {}", host.os, host.kernel, host.arch, host.cpus,
                                format_size(host.memory_bytes)),
          .hint = {}};
}

DoctorCheck virtualisation_check() {
  platform::Virtualisation found = platform::probe_virtualisation();
  return {.name = found.name,
          .ok = found.usable,
          .required = false,
          .detail = found.usable ? "hardware virtualisation works" : found.reason,
          .hint = "containers run by emulation: correct, but several times slower"};
}

// What a check has to say in further lines stands below its first.
std::string with_indent(const std::string& lines) {
  std::string text;
  for (char c : lines) text += c == '\n' ? std::string("\n") + std::string(23, ' ') : std::string(1, c);
  return text;
}

DoctorCheck engine_check(const vm::Engine& engine) {
  vm::Availability found = engine.probe();
  // One of them is enough.
  DoctorCheck check{
      .name = "engine " + std::string(engine.name()), .ok = found.usable, .required = false, .detail = {}, .hint = {}};
  if (!found.usable) {
    check.detail = found.reason;
    return check;
  }
  auto version = engine.ask_version();
  check.ok = version.has_value();
  check.detail =
      version ? fmt::format("{}, accelerator {}", with_indent(*version), found.accelerator) : version.error().message;
  if (!version) check.hint = version.error().hint;
  return check;
}

DoctorCheck engines_check(const Result<vm::Selected>& selected) {
  if (selected)
    return {.name = "engine", .ok = true, .detail = std::string(selected->engine->name()) + " is used", .hint = {}};
  return {.name = "engine", .ok = false, .detail = "none can run a VM here", .hint = "see why, above"};
}

DoctorCheck kernel_check(const Result<vm::Selected>& selected, const fs::path& cache) {
  auto kernel = selected ? selected->engine->find_kernel(cache) : vm::find_guest_kernel(cache);
  DoctorCheck check{.name = "guest kernel", .ok = kernel.has_value(), .detail = {}, .hint = {}};
  if (kernel) {
    const fs::path& path = kernel->image.empty() ? kernel->agent_directory : kernel->image;
    check.detail = fmt::format("{}: {}", kernel->version, path.string());
  } else {
    check.detail = kernel.error().message;
    check.hint = kernel.error().hint;
  }
  return check;
}

DoctorCheck mke2fs_check() {
  auto program = find_program("mke2fs");
  return {.name = "mke2fs",
          .ok = program.has_value(),
          .detail = program.value_or("not installed: it makes the writable layer of a container"),
          .hint = "on Debian, apt-get install e2fsprogs"};
}

// It is loaded when it is needed: that it is not there would be known late.
DoctorCheck libraries_check() {
  auto curl = image::load_libcurl();
  return {.name = "libraries",
          .ok = curl.has_value(),
          .detail = curl ? "libcurl" : curl.error().message,
          .hint = "on Debian, apt-get install libcurl4"};
}

DoctorCheck store_check(const fs::path& home) {
  DoctorCheck check{.name = "store", .detail = home.string(), .hint = {}};
  // The nearest folder that is there: doctor makes nothing.
  fs::path existing = home;
  std::error_code error;
  while (!fs::exists(existing, error) && existing.has_relative_path()) existing = existing.parent_path();
  struct statvfs space{};
  if (::access(existing.c_str(), W_OK) != 0 || ::statvfs(existing.c_str(), &space) != 0) {
    check.detail += ": cannot be written";
    check.hint = "set DIATOM_HOME to a folder of yours";
    return check;
  }
  uint64_t free = static_cast<uint64_t>(space.f_bavail) * space.f_frsize;
  check.detail += fmt::format(", {} free", format_size(free));
  check.ok = free >= little_space;
  check.hint = "less than 1 GiB is free: images and writable layers grow there";
  return check;
}

// Where one cannot be made, VMs boot: slower, and nobody is told but here.
DoctorCheck templates_check(const fs::path& templates) {
  DoctorCheck check{.name = "templates", .ok = true, .required = false, .detail = {}, .hint = {}};
  auto records = vm::list_templates(templates);
  if (!records) {
    check.ok = false;
    check.detail = records.error().message;
    return check;
  }
  size_t usable = 0;
  uint64_t bytes = 0;
  for (const auto& record : *records) {
    usable += record.whole ? 1 : 0;
    bytes += record.disk_bytes;
    if (record.whole || record.failure.empty() || record.retry_ns < wall_clock_ns()) continue;
    check.ok = false;
    check.detail = with_indent(record.failure);
    check.hint = fmt::format("VMs like it boot, which is slower; tried again at {}, or by `diatom template build`",
                             format_rfc3339(record.retry_ns));
    return check;
  }
  check.detail = fmt::format("{} usable, {}", usable, format_size(bytes));
  return check;
}

}  // namespace

DoctorReport doctor(const Locations& locations) {
  DoctorReport report;
  auto paths = store::find_paths(locations);
  report.checks = {host_check(), virtualisation_check()};
  auto engines = vm::all_engines();
  for (const auto& engine : engines) report.checks.push_back(engine_check(*engine));
  auto selected = vm::select_engine(engines, "");
  report.checks.push_back(engines_check(selected));
  report.checks.push_back(kernel_check(selected, paths ? paths->kernels() : fs::path()));
  report.checks.push_back(mke2fs_check());
  report.checks.push_back(libraries_check());
  report.checks.push_back(
      paths ? store_check(paths->home)
            : DoctorCheck{.name = "store", .detail = paths.error().message, .hint = paths.error().hint});
  if (paths) report.checks.push_back(templates_check(paths->templates()));
  report.usable = true;
  for (const DoctorCheck& check : report.checks) report.usable = report.usable && (check.ok || !check.required);
  if (selected) {
    report.engine = selected->engine->name();
    report.accelerator = selected->availability.accelerator;
  }
  return report;
}

Result<SystemInfo> system_info(const Locations& locations) {
  store::Paths paths = TRY(store::find_paths(locations));
  platform::HostInfo host = platform::host_info();
  SystemInfo info{.home = paths.home.string(),
                  .run = paths.run.string(),
                  .host_os = host.os,
                  .host_architecture = host.arch,
                  .host_kernel = host.kernel,
                  .host_cpus = host.cpus,
                  .host_memory_bytes = host.memory_bytes,
                  .engine = {},
                  .engine_version = {},
                  .accelerator = {},
                  .guest_kernel = {},
                  .warnings = {}};
  auto engines = vm::all_engines();
  auto selected = vm::select_engine(engines, "");
  if (selected) {
    const vm::Availability& found = selected->availability;
    info.engine = selected->engine->name();
    info.accelerator = found.accelerator;
    info.engine_version = !found.version.empty() ? found.version : selected->engine->ask_version().value_or("");
    if (!found.note.empty()) info.warnings.push_back(found.note);
  } else {
    info.warnings.push_back(selected.error().message);
  }
  auto kernel = selected ? selected->engine->find_kernel(paths.kernels()) : vm::find_guest_kernel(paths.kernels());
  if (kernel)
    info.guest_kernel = kernel->version;
  else
    info.warnings.push_back(kernel.error().message);
  return info;
}

}  // namespace diatom
