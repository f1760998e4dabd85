// The facade: templates of VMs, which containers' own are restored from (engine qemu). They are made when they are
// first needed; here they are looked at, made beforehand and removed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "diatom/error.h"
#include "diatom/export.h"
#include "diatom/locations.h"
#include "diatom/spec.h"

namespace diatom {

struct TemplateInfo {
  std::string name;
  // The VMs that it is for. 0, false and empty where it could not be made, or is damaged.
  unsigned vcpus = 0;
  uint64_t memory_bytes = 0;
  bool network = false;
  bool writable = false;    // with a writable layer: not --read-only
  std::string image;        // whose root is mounted there: its id; empty: for containers of all images
  std::string kernel;       // the guest's: its version
  std::string accelerator;  // "tcg", "kvm"
  int64_t created_ns = 0;   // since 1970 UTC, as are those below
  int64_t used_ns = 0;      // for the last time
  uint64_t disk_bytes = 0;
  bool usable = false;   // containers are started from it
  std::string failure;   // why it could not be made, or was not taken by its VM; empty: neither
  int64_t retry_ns = 0;  // when that is tried again
};

// May be used by one thread at a time; cancel() from any, and from a signal handler.
class DIATOM_API Templates {
 public:
  static Result<Templates> open(const Locations& locations = {});
  Templates(Templates&&) noexcept;
  Templates& operator=(Templates&&) noexcept;
  ~Templates();

  Result<std::vector<TemplateInfo>> list();
  // Containers that were started from it run on. Returns the bytes that this freed. Errors: not_found; already_exists
  // while it is being made.
  Result<uint64_t> remove(std::string_view name);
  // Of containers with such a spec: cpus, memory_bytes, network, read_only, disk_bytes and engine are what matters, and
  // the image, unless it is empty: then it is that from which those of all images are made. Takes as long as a VM's
  // boot; where it is there, no time. What could not be made before is tried again. Errors: not_found for
  // the image, which is not pulled; unsupported by that engine here; start_failed; cancelled.
  Result<TemplateInfo> build(const ContainerSpec& spec);

  void cancel();

 private:
  struct DIATOM_HIDDEN Impl;
  explicit Templates(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace diatom
