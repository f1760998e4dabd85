#include "vm/krun/vmm.h"

#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/platform/platform.h"
#include "vm/krun/disk_files.h"

namespace diatom::vm {

namespace {

constexpr uint32_t log_errors = 1;
// virglrenderer's flags: Vulkan by Venus, without the OpenGL that nothing here would show.
constexpr uint32_t venus = 1U << 6;
constexpr uint32_t no_virgl = 1U << 7;

// One call of libkrun's, with its name for when it fails.
Result<> check(std::string_view name, int32_t result) {
  if (result >= 0) return {};
  return fail(Errc::start_failed, "configure VM: " + std::string(name) + ": " + std::strerror(-result));
}
#define CALL(name, ...) TRY(check("krun_" #name, krun.name(__VA_ARGS__)))

// For C: pointers into `words`, and a null behind them.
std::vector<const char*> c_array(const std::vector<std::string>& words) {
  std::vector<const char*> pointers;
  for (const std::string& word : words) pointers.push_back(word.c_str());
  pointers.push_back(nullptr);
  return pointers;
}

std::unexpected<Error> lacks(std::string_view what, std::string_view build) {
  return fail(Errc::unsupported, "boot VM: this libkrun has no " + std::string(what),
              "install one that is built with " + std::string(build) + ", or use --engine qemu");
}

Result<> add_disks(const Krun& krun, uint32_t ctx, const VmmConfig& config) {
  for (const VmmDisk& disk : config.disks) {
    bool joined = !disk.descriptor.empty();
    const char* path = joined ? disk.descriptor.c_str() : disk.files.front().c_str();
    uint32_t format = joined ? Krun::disk_vmdk : Krun::disk_raw;
    if (krun.add_disk3 != nullptr)
      CALL(add_disk3, ctx, disk.serial.c_str(), path, format, disk.read_only, false,
           disk.ephemeral ? Krun::sync_none : Krun::sync_relaxed);
    else
      CALL(add_disk2, ctx, disk.serial.c_str(), path, format, disk.read_only);
  }
  return {};
}

Result<> share_disk_files(const Krun& krun, uint32_t ctx, const VmmConfig& config) {
  if (krun.add_virtiofs == nullptr) return lacks("disks", "BLK=1");
  TRY(link_disk_files(config));
  CALL(add_virtiofs, ctx, disk_files_tag, config.files_directory.c_str());
  return {};
}

std::array<uint8_t, 6> parse_mac(const std::string& text) {
  std::array<uint8_t, 6> mac{};
  for (size_t i = 0; i < mac.size() && i * 3 + 2 <= text.size(); ++i)
    std::from_chars(&text[i * 3], &text[i * 3] + 2, mac[i], 16);
  return mac;
}

// A NIC that leads nowhere keeps the library from handing out the host's network, where nothing else does.
Result<> add_nic(const Krun& krun, uint32_t ctx, const std::optional<UserNetwork>& network,
                 const ServeNetwork& serve_network) {
  platform::SocketPair pair = TRY(platform::make_socket_pair());
  std::array<uint8_t, 6> mac = parse_mac(network ? network->mac : "02:00:00:00:00:01");
  // No features: libslirp sums up what it gets, and takes no segments that are larger than a frame.
  CALL(add_net_unixstream, ctx, nullptr, pair.theirs.release(), mac.data(), 0, 0);
  if (network) return serve_network(*network, std::move(pair.ours));
  [[maybe_unused]] int held = pair.ours.release();  // for as long as the VM lives
  return {};
}

// "host:guest" each: the one form that libkrun takes, without an address and for TCP only.
Result<> open_ports(const Krun& krun, uint32_t ctx, const HostSockets& sockets) {
  std::vector<std::string> map;
  for (const PortForward& forward : sockets.forwards)
    map.push_back(std::to_string(forward.host_port) + ":" + std::to_string(forward.guest_port));
  if (krun.set_port_map == nullptr) return lacks("krun_set_port_map", "TSI");
  std::vector<const char*> pointers = c_array(map);
  CALL(set_port_map, ctx, pointers.data());
  return {};
}

Result<> set_network_up(const Krun& krun, uint32_t ctx, const VmmConfig& config, const ServeNetwork& serve_network) {
  KrunFeatures features = krun_features(krun);
  if (features.plain_vsock) {
    CALL(disable_implicit_vsock, ctx);
    CALL(add_vsock, ctx, config.host_sockets ? Krun::tsi_hijack_inet : 0);
  }
  if (config.host_sockets) return open_ports(krun, ctx, *config.host_sockets);
  if (config.network && !features.network) return lacks("network cards", "NET=1");
  if (!features.network && !features.plain_vsock) return lacks("way to keep the host's network from a VM", "NET=1");
  if (config.network || !features.plain_vsock) return add_nic(krun, ctx, config.network, serve_network);
  return {};
}

Result<> add_gpu(const Krun& krun, uint32_t ctx, const Gpu& gpu) {
  if (!krun_features(krun).gpu) return lacks("GPU", "GPU=1");
  if (krun.set_gpu_options2 != nullptr)
    CALL(set_gpu_options2, ctx, venus | no_virgl, gpu.window_bytes);
  else
    CALL(set_gpu_options, ctx, venus | no_virgl);
  return {};
}

// A GPU's libraries and devices are where the host's vendor has put them.
platform::FileAccess needed_files(const VmmConfig& config, bool disks_are_files) {
  platform::FileAccess access;
  access.read = {config.root_directory, "/proc/self", "/dev/urandom", "/dev/random"};
  access.write = {"/dev/kvm", "/dev/null"};
  if (disks_are_files) access.read.emplace_back(config.files_directory);
  for (const VmmDisk& disk : config.disks) {
    auto& files = disk.read_only ? access.read : access.write;
    files.insert(files.end(), disk.files.begin(), disk.files.end());
    if (!disk.descriptor.empty()) access.read.emplace_back(disk.descriptor);
  }
  if (config.gpu) access.read.insert(access.read.end(), {"/usr", "/lib", "/etc", "/sys", "/opt/homebrew"});
  if (config.gpu) access.write.emplace_back("/dev/dri");
  return access;
}

// The guest's kernel may be hostile, and virtio-fs keeps nobody in the folder that it shares: what is left to this
// process is the agent's folder, to read, and the VM's disks.
Result<> confine(const VmmConfig& config, bool disks_are_files) {
  if (config.host_sockets) {
    std::vector<uint16_t> ports;
    for (const PortForward& forward : config.host_sockets->forwards) ports.push_back(forward.host_port);
    TRY(platform::confine_listening(ports));
  }
  [[maybe_unused]] bool enforced = TRY(platform::confine_files(needed_files(config, disks_are_files)));
  return {};
}

}  // namespace

Result<uint32_t> configure(const Krun& krun, const VmmConfig& config, const ServeNetwork& serve_network) {
  CALL(set_log_level, log_errors);
  int32_t made = krun.create_ctx();
  TRY(check("krun_create_ctx", made));
  auto ctx = static_cast<uint32_t>(made);
  CALL(set_vm_config, ctx, static_cast<uint8_t>(std::min(config.vcpus, 255U)),
       static_cast<uint32_t>(config.memory_bytes >> 20));
  CALL(set_root, ctx, config.root_directory.c_str());
  bool disks_are_files = !krun_features(krun).disks;
  TRY(disks_are_files ? share_disk_files(krun, ctx, config) : add_disks(krun, ctx, config));
  TRY(set_network_up(krun, ctx, config, serve_network));
  CALL(add_vsock_port, ctx, krun_channel_port, config.channel_socket.c_str());
  if (config.gpu) TRY(add_gpu(krun, ctx, *config.gpu));
  CALL(set_console_output, ctx, ("/dev/fd/" + std::to_string(krun_console_fd)).c_str());
  std::vector<std::string> arguments = agent_arguments(config, disks_are_files);
  // libkrun's own init starts it; as the guest's first process, as we need it.
  const char* environment[] = {"KRUN_INIT_PID1=1", nullptr};
  CALL(set_exec, ctx, "/agent", c_array(arguments).data(), environment);
  return ctx;
}

std::optional<Error> no_virtualisation() {
  platform::Virtualisation virtualisation = platform::probe_virtualisation();
  if (virtualisation.usable) return std::nullopt;
  return Error{Errc::engine_unavailable, "boot VM: no hardware virtualisation: " + virtualisation.reason,
               "use --engine qemu"};
}

Error run_vmm(const VmmConfig& config, const ServeNetwork& serve_network) {
  std::optional<std::filesystem::path> kernel;
  if (!config.kernel_library.empty()) kernel = config.kernel_library;
  auto krun = load_libkrun(config.library, kernel);
  if (!krun) return krun.error();
  auto ctx = configure(*krun, config, serve_network);
  if (!ctx) return ctx.error();
  if (auto confined = confine(config, !krun_features(*krun).disks); !confined) return confined.error();
  int32_t result = krun->start_enter(*ctx);
  if (auto error = no_virtualisation()) return *error;  // it says -EINVAL for a dozen things
  if (result == -ENOENT)
    return {Errc::engine_unavailable, "boot VM: libkrun finds no libkrunfw, which has the guest's kernel",
            "install libkrunfw 5; DIATOM_LIBKRUNFW names the file"};
  return {Errc::start_failed, std::string("boot VM: krun_start_enter: ") + std::strerror(-result), ""};
}

}  // namespace diatom::vm
