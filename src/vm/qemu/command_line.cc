#include "vm/qemu/command_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "vm/vmdk.h"

namespace diatom::vm {

namespace {

using nlohmann::json;

constexpr const char* memory_backend = "memory";
constexpr uint64_t size_step = 64ULL << 30;  // of disks that are read-only

bool is_x86(const QemuTarget& target) { return target.arch == "amd64"; }

std::string machine_option(const QemuTarget& target, const GuestKernel& kernel) {
  if (!is_x86(target)) return "virt";
  // rtc=on: without it the kernel waits a second for a clock that is not there.
  return fmt::format("microvm,x-option-roms=off,rtc=on,acpi={},isa-serial={}", kernel.needs_acpi ? "on" : "off",
                     kernel.has_serial ? "on" : "off");
}

// Emulated, "rep movsb" takes a step for each byte, and a kernel that is told that it is fast copies everything with
// it.
std::string cpu_option(const QemuTarget& target) {
  if (target.accelerator != "tcg") return "host";
  return is_x86(target) ? "max,-erms,-fsrm" : "max";
}

std::string kernel_command_line(const QemuTarget& target, const GuestKernel& kernel) {
  std::string console = !kernel.has_serial ? "hvc0" : is_x86(target) ? "ttyS0" : "ttyAMA0";
  std::string line = fmt::format("console={} quiet panic=-1", console);
  if (is_x86(target)) {
    // Restarting is how the guest ends its VM (-no-reboot): a triple fault is the fastest way there is.
    line += " reboot=t tsc=reliable no_timer_check";
    // Measured by the guest itself, the rate is sometimes not to be had when the host is busy; and then the guest
    // hangs without a clock. Under emulation its counter is the host's.
    if (target.accelerator == "tcg" && target.tsc_khz > 0) line += fmt::format(" tsc_early_khz={}", target.tsc_khz);
  }
  // The first disk; the agent leaves it for a root of its own.
  if (!kernel.agent_disk.empty()) line += " root=/dev/vda rootfstype=ext4 ro init=/init";
  // A guest has no policy of AppArmor's or TOMOYO's: what they would do at each call is left out. The others are those
  // that programs may see or use.
  line += " lsm=landlock,yama";
  // Emulated code has no speculation to be mitigated.
  if (target.accelerator == "tcg") line += " mitigations=off";
  return line;
}

// drop-cache: after a restore QEMU would throw out of this host's memory what it has of the files, and have written to
// the disk what has not been yet, as if another host had written to them.
json file_node(const std::filesystem::path& path, const Disk& disk, std::optional<QemuTemplate> use) {
  json node = {{"driver", "file"}, {"filename", path.string()}};
  if (use) node["drop-cache"] = false;
  if (!disk.read_only) node["discard"] = "unmap";
  return node;
}

json block_node(const MachineSpec& spec, const Disk& disk, std::optional<QemuTemplate> use) {
  if (use == QemuTemplate::saved)
    return {{"driver", "null-co"},
            {"node-name", disk.serial},
            {"read-only", disk.read_only},
            {"read-zeroes", true},
            {"size", disk.bytes}};
  bool joined = is_joined(disk);
  json node = {{"driver", joined ? "vmdk" : "raw"},
               {"node-name", disk.serial},
               {"read-only", disk.read_only},
               {"file", file_node(joined ? vmdk_path(spec, disk) : disk.extents.front().path, disk, use)}};
  if (!disk.read_only) node["discard"] = "unmap";
  if (disk.ephemeral) node["cache"] = {{"no-flush", true}};
  return node;
}

// The same by the older option, which takes options of a VMDK's extents, too. It divides its own by commas.
std::string drive_option(json node, const std::string& name, size_t extents) {
  node.erase("node-name");
  for (size_t i = 0; i < extents; ++i) node[fmt::format("extents.{}.drop-cache", i)] = false;
  std::string option =
      fmt::format("if=none,id={},read-only={},file=json:", name, node["read-only"].get<bool>() ? "on" : "off");
  for (char c : node.dump()) option += std::string(c == ',' ? 2 : 1, c);
  return option;
}

void add_disk(std::vector<std::string>& argv, const json& node, size_t restored_extents = 0) {
  std::string name = node["node-name"].get<std::string>();
  if (restored_extents > 0)
    argv.insert(argv.end(), {"-drive", drive_option(node, name, restored_extents)});
  else
    argv.insert(argv.end(), {"-blockdev", node.dump()});
  // werror: by default QEMU stops the VM when the host's disk is full, and waits for somebody who is not there.
  argv.insert(argv.end(), {"-device", fmt::format("virtio-blk-device,drive={0},serial={0},werror=report", name)});
}

std::string forward_rule(const UserNetwork& network, const PortForward& forward) {
  return fmt::format("{}:{}:{}-{}:{}", forward.protocol, forward.host_address, forward.host_port, network.guest_address,
                     forward.guest_port);
}

// guest_announce: after a restore the guest would tell its neighbours where it is now. It has none.
void add_network(std::vector<std::string>& argv, const UserNetwork& network) {
  std::string netdev = fmt::format("user,id=net0,ipv6=off,net={}/{},host={},dns={},dhcpstart={}", network.network,
                                   network.prefix, network.gateway, network.resolver, network.guest_address);
  for (const PortForward& forward : network.forwards) netdev += ",hostfwd=" + forward_rule(network, forward);
  argv.insert(argv.end(),
              {"-netdev", netdev, "-device", "virtio-net-device,netdev=net0,guest_announce=off,mac=" + network.mac});
}

void add_template(std::vector<std::string>& argv, const MachineSpec& spec, QemuTemplate use) {
  json memory = {{"qom-type", "memory-backend-file"},
                 {"id", memory_backend},
                 {"mem-path", fmt::format("/dev/fd/{}", qemu_memory_fd)},
                 {"size", qemu_memory_bytes(spec.memory_bytes)},
                 {"share", use == QemuTemplate::saved || use == QemuTemplate::prepared}};
  argv.insert(argv.end(), {"-object", memory.dump()});
  if (use != QemuTemplate::saved) argv.insert(argv.end(), {"-incoming", "defer"});
  // It does not begin with the machine's name, as one that QEMU migrates does.
  if (use == QemuTemplate::copied) argv.insert(argv.end(), {"-global", "migration.send-configuration=off"});
}

}  // namespace

MachineSpec with_disk_sizes(MachineSpec spec) {
  for (Disk& disk : spec.disks) {
    uint64_t bytes = extent_bytes(disk);
    disk.bytes = disk.read_only ? std::max<uint64_t>(1, (bytes + size_step - 1) / size_step) * size_step : bytes;
  }
  return spec;
}

std::optional<PortForward> refused_forward(const MachineSpec& spec, std::string_view words) {
  if (!spec.network || words.find("Could not set up host forwarding rule") == std::string_view::npos)
    return std::nullopt;
  for (const PortForward& forward : spec.network->forwards)
    if (words.find("rule '" + forward_rule(*spec.network, forward) + "'") != std::string_view::npos) return forward;
  return std::nullopt;
}

Json qemu_template_capabilities() {
  return {{"capabilities",
           {{{"capability", "x-ignore-shared"}, {"state", true}}, {{"capability", "events"}, {"state", true}}}}};
}

std::vector<std::string> qemu_command_line(const QemuTarget& target, const MachineSpec& spec,
                                           std::optional<QemuTemplate> use) {
  std::string machine = machine_option(target, spec.kernel);
  if (use) machine += fmt::format(",memory-backend={}", memory_backend);
  if (use == QemuTemplate::copied) machine += ",suppress-vmdesc=on";  // nor does it end with a description
  std::string kernel_words = kernel_command_line(target, spec.kernel);
  // The kernel hands these on to the agent: for a VM that will be saved.
  if (use) kernel_words += " prepare";
  if (use && spec.network)
    kernel_words += fmt::format(" network={}/{},{},{}", spec.network->guest_address, spec.network->prefix,
                                spec.network->gateway, spec.network->resolver);
  std::vector<std::string> argv = {
      target.program,
      "-name",
      "diatom-" + spec.id.substr(0, 12),
      "-machine",
      machine,
      "-accel",
      target.accelerator,
      "-cpu",
      cpu_option(target),
      "-smp",
      std::to_string(spec.vcpus),
      "-m",
      fmt::format("{}M", spec.memory_bytes >> 20),
      "-nodefaults",
      "-no-user-config",
      "-no-reboot",
      "-display",
      "none",
      "-sandbox",
      "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
      "-kernel",
      spec.kernel.image.string(),
      "-append",
      kernel_words,
      "-chardev",
      fmt::format("socket,id=console,fd={}", qemu_console_fd),
      "-chardev",
      fmt::format("socket,id=channel,fd={}", qemu_channel_fd),
      "-chardev",
      fmt::format("socket,id=qmp,fd={}", qemu_monitor_fd),
      "-mon",
      "chardev=qmp,mode=control",
      "-device",
      "virtio-serial-device",
      "-device",
      fmt::format("virtserialport,chardev=channel,name=diatom.agent,id={}", qemu_channel_device),
  };
  if (spec.kernel.agent_disk.empty())
    argv.insert(argv.end(), {"-initrd", spec.kernel.initramfs.string()});
  else
    add_disk(argv, block_node(spec, {.serial = "agent", .extents = {{spec.kernel.agent_disk, 0}}}, std::nullopt));
  if (spec.kernel.has_serial)
    argv.insert(argv.end(), {"-serial", "chardev:console"});
  else
    argv.insert(argv.end(), {"-device", "virtconsole,chardev=console"});
  for (const Disk& disk : spec.disks) {
    bool many = use && use != QemuTemplate::saved && is_joined(disk);
    add_disk(argv, block_node(spec, disk, use), many ? disk.extents.size() : 0);
  }
  if (spec.network) add_network(argv, *spec.network);
  if (use) add_template(argv, spec, *use);
  return argv;
}

}  // namespace diatom::vm
