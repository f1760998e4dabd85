// This machine, this program, and what is installed.
#include <libproc.h>
#include <sys/param.h>
#include <sys/sysctl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/platform/platform.h"

namespace diatom::platform {

namespace {

// 0 when the system does not know the name.
template <class Number>
Number system_number(const char* name) {
  Number value = 0;
  size_t size = sizeof value;
  return ::sysctlbyname(name, &value, &size, nullptr, 0) == 0 && size == sizeof value ? value : Number{0};
}

}  // namespace

// As the kernel has it: dladdr(3) has the name that the loader was given, which may be relative.
Result<std::filesystem::path> code_path() {
  char path[MAXPATHLEN];
  int length = ::proc_regionfilename(::getpid(), reinterpret_cast<uint64_t>(&code_path), path, sizeof path);
  if (length <= 0) return fail_errno("find the file of this code");
  return std::filesystem::path(std::string_view(path, static_cast<size_t>(length)));
}

std::string library_file(const std::string& name, int version) {
  return "lib" + name + "." + std::to_string(version) + ".dylib";
}

// Homebrew's, on Apple's CPUs and on Intel's. What macOS has a version of its own of is apart there. DYLD_LIBRARY_PATH
// does not reach a program that is signed with entitlements.
std::vector<std::filesystem::path> library_directories() {
  std::vector<std::filesystem::path> directories;
  for (const char* prefix : {"/opt/homebrew", "/usr/local"})
    for (const char* folder : {"lib", "opt/curl/lib"}) directories.push_back(std::filesystem::path(prefix) / folder);
  return directories;
}

HostInfo host_info() {
  HostInfo info;
  info.os = "darwin";
  utsname names{};
  ::uname(&names);
  info.kernel = names.release;
  info.machine = names.machine;
  info.arch = info.machine == "x86_64" ? "amd64" : info.machine;  // it says "arm64" by itself
  long cpus = ::sysconf(_SC_NPROCESSORS_ONLN);
  if (cpus > 0) info.cpus = static_cast<unsigned>(cpus);
  info.memory_bytes = system_number<uint64_t>("hw.memsize");
  return info;
}

std::string host_start_id() {
  char text[64] = {};
  size_t size = sizeof text - 1;
  return ::sysctlbyname("kern.bootsessionuuid", text, &size, nullptr, 0) == 0 ? text : "";
}

// Any user may use it. The program that makes the VM must have been signed with the entitlement
// com.apple.security.hypervisor, which is seen when it tries.
Virtualisation probe_virtualisation() {
  Virtualisation hvf{.usable = system_number<int>("kern.hv_support") == 1, .name = "hvf", .reason = {}};
  if (!hvf.usable)
    hvf.reason =
        "Hypervisor.framework works on no VM of this Mac (sysctl kern.hv_support is not 1); if this macOS is a VM "
        "itself, "
        "it takes nested virtualisation (an M3 or newer with macOS 15)";
  return hvf;
}

}  // namespace diatom::platform
