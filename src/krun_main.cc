// diatom-krun CONFIG: becomes the VM that the file describes. diatom-krun --probe: what the libkrun that is found can do.
#include <fmt/core.h>

#include <cstring>

#include "base/file.h"
#include "vm/krun/vmm.h"

namespace {

using namespace diatom;

int failed(const Error& error) {
  fmt::print(stderr, "{}\n", vm::encode_vmm_error(error));
  return vm::krun_failed_exit;
}

Result<std::string> probe() {
  std::filesystem::path library = TRY(vm::find_libkrun());
  vm::Krun krun = TRY(vm::load_libkrun(library, vm::find_libkrunfw_for(library)));
  vm::KrunFeatures features = vm::krun_features(krun);
  std::string words = fmt::format("{} ({})", vm::libkrun_version(library), library.string());
  for (const std::string& lack : features.lacks) words += "\n" + lack;
  return words;
}

Result<> serve_network(const vm::UserNetwork&, UniqueFd) {
  return fail(Errc::unsupported, "no network yet");
}

Error become_vm(const char* path) {
  auto text = read_file(path);
  if (!text) return text.error();
  auto config = vm::decode_vmm_config(*text);
  if (!config) return config.error();
  return vm::run_vmm(*config, serve_network);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    fmt::print(stderr, "usage: diatom-krun CONFIG | --probe (diatom's monitor starts it)\n");
    return 2;
  }
  if (std::strcmp(argv[1], "--probe") != 0) return failed(become_vm(argv[1]));
  auto words = probe();
  if (!words) return failed(words.error());
  fmt::print("{}\n", *words);
  return 0;
}
