#include "vm/krun/library.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "base/file.h"
#include "base/platform/platform.h"

namespace diatom::vm {

namespace {

namespace fs = std::filesystem;

constexpr int wanted_version = 1;
constexpr int kernel_version = 5;

const char* environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : nullptr;
}

bool is_there(const fs::path& path) { return ::access(path.c_str(), R_OK) == 0; }

// Of what a library is called from version 2 on, contexts have other numbers and roots come by other calls.
bool names_version_2(const fs::path& path) {
  std::string name = path.filename().string();
  std::string whole = libkrun_version(path);
  return name == platform::library_file("krun", 2) || whole.starts_with("2.");
}

std::unexpected<Error> refuse_version_2(const fs::path& path) {
  return fail(Errc::unsupported, "use " + path.string() + ": it is libkrun 2, whose calls are others",
              "install libkrun 1 beside it; DIATOM_LIBKRUN names the file");
}

// No handle is kept: a VM's process uses it to its end.
template <class Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  return function != nullptr;
}

bool built_with(const Krun& krun, uint64_t feature, bool function) {
  return function && (krun.has_feature == nullptr || krun.has_feature(feature) == 1);
}

}  // namespace

std::string libkrun_version(const fs::path& library) {
  std::error_code error;
  fs::path real = fs::canonical(library, error);
  std::string name = error ? library.filename().string() : real.filename().string();
  size_t begin = name.find_first_of("0123456789");
  if (begin == std::string::npos) return "";
  size_t end = name.find_first_not_of("0123456789.", begin);
  std::string version = name.substr(begin, end == std::string::npos ? end : end - begin);
  while (version.ends_with('.')) version.pop_back();
  return version;
}

Result<fs::path> find_libkrun() {
  if (const char* chosen = environment("DIATOM_LIBKRUN")) {
    if (!is_there(chosen))
      return fail(Errc::not_found,
                  std::string("find libkrun: DIATOM_LIBKRUN names ") + chosen + ", which is not there");
    if (names_version_2(chosen)) return refuse_version_2(chosen);
    return fs::absolute(chosen);
  }
  std::string wanted = platform::library_file("krun", wanted_version);
  fs::path newer;
  for (const fs::path& directory : platform::library_directories()) {
    if (is_there(directory / wanted)) return directory / wanted;
    if (newer.empty() && is_there(directory / platform::library_file("krun", 2)))
      newer = directory / platform::library_file("krun", 2);
  }
  if (!newer.empty()) return refuse_version_2(newer);
  return fail(Errc::not_found, "find libkrun: no " + wanted + " where libraries are",
              platform::host_info().os == "darwin" ? "brew tap slp/krun && brew install libkrun"
                                                   : "install libkrun 1.8 or newer; DIATOM_LIBKRUN names the file");
}

std::optional<fs::path> find_libkrunfw_for(const fs::path& libkrun) {
  if (const char* chosen = environment("DIATOM_LIBKRUNFW")) return chosen;
  std::string wanted = platform::library_file("krunfw", kernel_version);
  std::error_code error;
  std::vector<fs::path> directories = {libkrun.parent_path(), fs::canonical(libkrun, error).parent_path()};
  for (const fs::path& directory : platform::library_directories()) directories.push_back(directory);
  for (const fs::path& directory : directories)
    if (!directory.empty() && is_there(directory / wanted)) return directory / wanted;
  return std::nullopt;
}

Result<Krun> load_libkrun(const fs::path& library, const std::optional<fs::path>& kernel) {
  // Before libkrun asks for it by name: the loader then knows it, wherever it lies.
  if (kernel && ::dlopen(kernel->c_str(), RTLD_LAZY | RTLD_GLOBAL) == nullptr)
    return fail(Errc::engine_unavailable, std::string("load libkrunfw: ") + ::dlerror());
  void* handle = ::dlopen(library.c_str(), RTLD_LAZY | RTLD_LOCAL);
  if (handle == nullptr)
    return fail(Errc::engine_unavailable, std::string("load libkrun: ") + ::dlerror(),
                "install it again; `diatom doctor` tells what is there");
  Krun krun{};
  std::string missing;
  auto require = [&](const char* name, auto& function) {
    if (!find(handle, name, function) && missing.empty()) missing = name;
  };
  require("krun_set_log_level", krun.set_log_level);
  require("krun_create_ctx", krun.create_ctx);
  require("krun_set_vm_config", krun.set_vm_config);
  require("krun_set_root", krun.set_root);
  require("krun_set_exec", krun.set_exec);
  require("krun_set_console_output", krun.set_console_output);
  require("krun_add_vsock_port", krun.add_vsock_port);
  require("krun_start_enter", krun.start_enter);
  if (!missing.empty())
    return fail(Errc::unsupported, "use " + library.string() + ": it has no " + missing,
                "libkrun 1.8 is the oldest, and 2 is none that diatom knows");
  find(handle, "krun_add_disk2", krun.add_disk2);
  find(handle, "krun_add_disk3", krun.add_disk3);
  find(handle, "krun_add_virtiofs", krun.add_virtiofs);
  find(handle, "krun_add_net_unixstream", krun.add_net_unixstream);
  find(handle, "krun_set_port_map", krun.set_port_map);
  find(handle, "krun_disable_implicit_vsock", krun.disable_implicit_vsock);
  find(handle, "krun_add_vsock", krun.add_vsock);
  find(handle, "krun_set_gpu_options", krun.set_gpu_options);
  find(handle, "krun_set_gpu_options2", krun.set_gpu_options2);
  find(handle, "krun_has_feature", krun.has_feature);
  find(handle, "krun_get_max_vcpus", krun.get_max_vcpus);
  return krun;
}

KrunFeatures krun_features(const Krun& krun) {
  KrunFeatures features;
  features.disks = built_with(krun, Krun::feature_blk, krun.add_disk2 != nullptr || krun.add_disk3 != nullptr);
  features.network = built_with(krun, Krun::feature_net, krun.add_net_unixstream != nullptr);
  features.gpu = built_with(krun, Krun::feature_gpu, krun.set_gpu_options != nullptr);
  features.plain_vsock = krun.disable_implicit_vsock != nullptr && krun.add_vsock != nullptr;
  if (int32_t most = krun.get_max_vcpus != nullptr ? krun.get_max_vcpus() : 0; most > 0)
    features.max_vcpus = static_cast<unsigned>(most);
  auto lack = [&](bool there, const char* words) {
    if (!there) features.lacks.emplace_back(words);
  };
  lack(features.disks, "no disks (built without BLK=1): their files are shared by virtio-fs, which is slower");
  lack(features.network, "no network cards (built without NET=1, or before 1.15): --network none and tsi only");
  lack(features.plain_vsock || features.network, "TSI cannot be switched off (before 1.17): no --network none");
  lack(krun.add_disk3 != nullptr, "every flush of a disk that is thrown away reaches the host's (before 1.17)");
  lack(features.gpu, "no GPU (built without GPU=1): --gpu is refused");
  return features;
}

}  // namespace diatom::vm
