// The real libkrun, loaded at run time. Our own declarations of its C ABI (libkrun.h of 1.8 to 1.19): what every VM
// needs, and what some releases or builds have only, each with what is lost without it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace diatom::vm {

// The functions, by their names without "krun_". Those of the first block are always there, the others may be null.
// Paths and names are C strings that the library copies. They return 0 or more, or minus an errno.
struct Krun {
  int32_t (*set_log_level)(uint32_t level);  // once a process: a second call ends it
  int32_t (*create_ctx)();
  int32_t (*set_vm_config)(uint32_t ctx, uint8_t vcpus, uint32_t memory_mib);
  int32_t (*set_root)(uint32_t ctx, const char* directory);
  int32_t (*set_exec)(uint32_t ctx, const char* program, const char* const* arguments, const char* const* environment);
  int32_t (*set_console_output)(uint32_t ctx, const char* path);
  int32_t (*add_vsock_port)(uint32_t ctx, uint32_t port, const char* socket);
  int32_t (*start_enter)(uint32_t ctx);  // ends the process, unless it fails

  // format: disk_raw, disk_vmdk
  int32_t (*add_disk2)(uint32_t ctx, const char* name, const char* path, uint32_t format, bool read_only);
  int32_t (*add_disk3)(uint32_t ctx, const char* name, const char* path, uint32_t format, bool read_only,
                       bool direct_io, uint32_t sync_mode);
  int32_t (*add_virtiofs)(uint32_t ctx, const char* tag, const char* directory);
  // A stream of frames, each behind its length in four bytes, big-endian: as QEMU's and passt's. The library takes the
  // fd.
  int32_t (*add_net_unixstream)(uint32_t ctx, const char* path, int fd, uint8_t* mac, uint32_t features,
                                uint32_t flags);
  int32_t (*set_port_map)(uint32_t ctx, const char* const* map);
  int32_t (*disable_implicit_vsock)(uint32_t ctx);
  int32_t (*add_vsock)(uint32_t ctx, uint32_t tsi_features);
  int32_t (*set_gpu_options)(uint32_t ctx, uint32_t flags);
  int32_t (*set_gpu_options2)(uint32_t ctx, uint32_t flags, uint64_t window_bytes);
  int32_t (*has_feature)(uint64_t feature);
  int32_t (*get_max_vcpus)();

  static constexpr uint32_t disk_raw = 0;
  static constexpr uint32_t disk_vmdk = 2;
  static constexpr uint32_t sync_none = 0;
  static constexpr uint32_t sync_relaxed = 1;
  static constexpr uint32_t tsi_hijack_inet = 1;
  static constexpr uint64_t feature_net = 0;
  static constexpr uint64_t feature_blk = 1;
  static constexpr uint64_t feature_gpu = 2;
};

// What a library can do; a function that is there may still be one that a build without the device only has by name.
struct KrunFeatures {
  bool disks = false;
  bool network = false;      // virtio-net
  bool plain_vsock = false;  // TSI can be switched off
  bool gpu = false;
  unsigned max_vcpus = 0;          // 0: not told
  std::vector<std::string> lacks;  // one line for each: what a user goes without
};

// The file to load, and where it was found: $DIATOM_LIBKRUN, else where packages put it. Errors: not_found, which tells
// what was looked for; unsupported for a library of version 2 where there is none of version 1.
Result<std::filesystem::path> find_libkrun();
// The guest's kernel, which libkrun loads by its bare name: beside the library, or where packages put it;
// $DIATOM_LIBKRUNFW first. Nothing: the loader may know it still.
std::optional<std::filesystem::path> find_libkrunfw_for(const std::filesystem::path& libkrun);
// "1.16.0", from the name of the file that a library's link leads to; empty when that tells nothing.
std::string libkrun_version(const std::filesystem::path& library);

// Loads the kernel's library, where one is named, and libkrun, for the life of the process. Errors: engine_unavailable,
// unsupported when it lacks what every VM needs.
Result<Krun> load_libkrun(const std::filesystem::path& library, const std::optional<std::filesystem::path>& kernel);
KrunFeatures krun_features(const Krun& krun);

}  // namespace diatom::vm
