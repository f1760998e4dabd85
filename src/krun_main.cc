// diatom-krun CONFIG: becomes the VM that the file describes. diatom-krun --probe: what the libkrun that is found can
// do.
#include <fmt/core.h>

#include <sys/resource.h>

#include <cstring>
#include <memory>
#include <thread>

#include "base/file.h"
#include "base/platform/platform.h"
#include "net/user_stack.h"
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
  // This process needs no file any more.
  auto confined = platform::confine_files({});
  if (!confined || !*confined)
    words += "\nno jail for the VM's process: this kernel has no Landlock (Linux 5.13), or it is switched off";
  return words;
}

net::UserStackConfig stack_config(const vm::UserNetwork& network) {
  net::UserStackConfig config{.network = network.network,
                              .prefix = network.prefix,
                              .gateway = network.gateway,
                              .resolver = network.resolver,
                              .guest_address = network.guest_address};
  for (const vm::PortForward& forward : network.forwards)
    config.published.push_back({.host_address = forward.host_address,
                                .host_port = forward.host_port,
                                .container_port = forward.guest_port,
                                .protocol = forward.protocol});
  return config;
}

// It is stopped where no VM comes of it; else it ends with the process, which libkrun ends, or a signal.
class NetworkThread {
 public:
  NetworkThread() = default;
  NetworkThread(const NetworkThread&) = delete;
  NetworkThread& operator=(const NetworkThread&) = delete;
  NetworkThread(NetworkThread&&) = delete;
  NetworkThread& operator=(NetworkThread&&) = delete;
  ~NetworkThread() {
    if (!thread_.joinable()) return;
    stack_->stop();
    thread_.join();
  }

  Result<> serve(const vm::UserNetwork& network, UniqueFd nic) {
    stack_ = TRY(net::UserStack::open(stack_config(network), std::move(nic)));
    thread_ = std::thread([this] {
      if (auto served = stack_->run(); !served) fmt::print(stderr, "{}\n", served.error().message);
    });
    return {};
  }

 private:
  std::unique_ptr<net::UserStack> stack_;
  std::thread thread_;
};

// Each connection of the guest's is a descriptor.
void allow_many_descriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

Error become_vm(const char* path) {
  auto text = read_file(path);
  if (!text) return text.error();
  auto config = vm::decode_vmm_config(*text);
  if (!config) return config.error();
  allow_many_descriptors();
  NetworkThread network;
  return vm::run_vmm(
      *config, [&](const vm::UserNetwork& wanted, UniqueFd nic) { return network.serve(wanted, std::move(nic)); });
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
