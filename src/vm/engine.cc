#include "vm/engine.h"

#include <cstdlib>

#include "vm/krun/krun_engine.h"
#include "vm/qemu/qemu_engine.h"

namespace diatom::vm {

Result<std::function<Result<>(const SaveTarget&)>> Machine::saving() const {
  return fail(Errc::unsupported, "save VM: its engine cannot", "`diatom run --engine qemu` starts one that can");
}

std::vector<std::unique_ptr<Engine>> all_engines() {
  std::vector<std::unique_ptr<Engine>> engines;
  engines.push_back(std::make_unique<KrunEngine>());
  engines.push_back(std::make_unique<QemuEngine>());
  return engines;
}

Result<Selected> select_engine(std::span<const std::unique_ptr<Engine>> engines, std::string_view wanted) {
  const char* chosen = std::getenv("DIATOM_ENGINE");
  if (wanted.empty() && chosen != nullptr) wanted = chosen;
  std::string reasons;
  std::string names;
  for (const auto& engine : engines) {
    names += (names.empty() ? "" : ", ") + std::string(engine->name());
    if (!wanted.empty() && wanted != engine->name()) continue;
    Availability found = engine->probe();
    if (found.usable) return Selected{engine.get(), std::move(found)};
    reasons += (reasons.empty() ? "" : "; ") + std::string(engine->name()) + ": " + found.reason;
  }
  if (reasons.empty())
    return fail(Errc::invalid_argument, "select engine \"" + std::string(wanted) + "\": there is no such engine",
                "the engines are: " + names);
  return fail(Errc::engine_unavailable, "select engine: none can run a VM here: " + reasons,
              "`diatom doctor` explains");
}

}  // namespace diatom::vm
