#pragma once

#include "vm/engine.h"

namespace diatom::vm {

// QEMU: where libkrun or virtualisation is missing, down to pure emulation. One QEMU process per VM, in its own seccomp
// sandbox; it ends with the process that booted it.
class QemuEngine final : public Engine {
 public:
  std::string_view name() const override { return "qemu"; }
  Availability probe() const override;
  Result<std::string> ask_version() const override;
  Result<GuestKernel> find_kernel(const std::filesystem::path& cache) const override;
  std::function<Result<>(const CancelToken&)> preparation(const MachineSpec& spec) const override;
  Result<std::unique_ptr<Machine>> boot(const MachineSpec& spec) override;
};

}  // namespace diatom::vm
