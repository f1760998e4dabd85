#pragma once

#include "vm/engine.h"

namespace diatom::vm {

// libkrun, wherever it is installed and hardware virtualisation works. One process per VM (diatom-krun), which becomes
// it.
class KrunEngine final : public Engine {
 public:
  std::string_view name() const override { return "krun"; }
  Availability probe() const override;
  Result<std::string> ask_version() const override;
  Result<GuestKernel> find_kernel(const std::filesystem::path& cache) const override;
  // libkrun can save no VM.
  std::function<Result<>(const CancelToken&)> preparation(const MachineSpec&) const override { return nullptr; }
  Result<std::unique_ptr<Machine>> boot(const MachineSpec& spec) override;
};

}  // namespace diatom::vm
