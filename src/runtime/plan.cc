#include "runtime/plan.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "base/size.h"
#include "net/port_mapping.h"
#include "net/resolver.h"
#include "oci/environment.h"
#include "runtime/signals.h"

namespace diatom {

namespace {

constexpr uint64_t least_memory = 128ULL << 20;
constexpr double most_cpus = 4096;
constexpr std::string_view default_path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

Result<> check_host_name(const std::string& name) {
  bool good = !name.empty() && name.size() <= 64 && name.front() != '-' && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_';
  });
  if (good) return {};
  return fail(Errc::invalid_argument, fmt::format("use host name \"{}\": not allowed", name),
              "at most 64 of letters, digits, \"-\", \"_\" and \".\"");
}

Result<> check_absolute(std::string_view what, const std::string& path) {
  if (path.starts_with('/') && path.find('\0') == std::string::npos) return {};
  return fail(Errc::invalid_argument, fmt::format("use {} \"{}\": it is no absolute path", what, path),
              "a path in the container begins with /");
}

Result<> check_cpus(double cpus) {
  if (cpus > 0 && cpus <= most_cpus) return {};
  return fail(Errc::invalid_argument, fmt::format("use cpus {}: not a number of CPUs", cpus),
              "more than 0, as 2 or 0.5");
}

constexpr std::string_view limit_names[] = {"core",    "cpu",      "data",   "fsize",      "locks",
                                            "memlock", "msgqueue", "nice",   "nofile",     "nproc",
                                            "rss",     "rtprio",   "rttime", "sigpending", "stack"};

// The agent knows them, too, but what is wrong with a container is better said when it is made.
Result<> check_settings(const ContainerSpec& spec) {
  for (const Ulimit& limit : spec.ulimits)
    if (std::ranges::find(limit_names, limit.name) == std::end(limit_names))
      return fail(Errc::invalid_argument, fmt::format("use ulimit \"{}\": there is none of that name", limit.name),
                  "nofile, nproc, core, stack and others of setrlimit(2)");
  for (const auto* list : {&spec.cap_add, &spec.cap_drop})
    for (const std::string& name : *list)
      if (name.empty() || !std::ranges::all_of(name, [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
          }))
        return fail(Errc::invalid_argument, fmt::format("use capability \"{}\": that is no name of one", name),
                    "NET_ADMIN, CAP_NET_ADMIN or ALL: see capabilities(7)");
  for (const auto& [name, value] : spec.sysctls)
    if (!name.starts_with("net.") && !name.starts_with("fs.mqueue.") && !name.starts_with("kernel."))
      return fail(Errc::invalid_argument, fmt::format("use sysctl \"{}\": it is not one of a container's own", name),
                  "net.*, fs.mqueue.* and kernel.{msg*,sem,shm*}");
  return {};
}

// Of each 100 ms; 0 = all. The kernel takes no less than a millisecond.
uint64_t plan_cpu_quota_us(double cpus) {
  return cpus < std::ceil(cpus) ? std::max<uint64_t>(1'000, static_cast<uint64_t>(cpus * 100'000)) : 0;
}

unsigned plan_vcpus(const ContainerSpec& spec, unsigned max_vcpus, std::vector<std::string>& warnings) {
  auto wanted = static_cast<unsigned>(std::ceil(spec.cpus));
  if (wanted > max_vcpus) {
    // The default is nobody's wish: only what was asked for is worth a word.
    if (spec.cpus != ContainerSpec().cpus)
      warnings.push_back(fmt::format("{} CPUs were asked for; here a VM can have {}", wanted, max_vcpus));
    return max_vcpus;
  }
  return wanted;
}

uint64_t plan_memory(const ContainerSpec& spec, std::vector<std::string>& warnings) {
  if (spec.memory_bytes >= least_memory) return spec.memory_bytes;
  warnings.push_back(fmt::format("{} of memory were asked for; raised to {}, the least that a guest boots with",
                                 format_size(spec.memory_bytes), format_size(least_memory)));
  return least_memory;
}

enum class Network { none, user, host_sockets };

Result<Network> network_of(const ContainerSpec& spec) {
  if (spec.network == "none") return Network::none;
  if (spec.network == "tsi") return Network::host_sockets;
  if (spec.network.empty() || spec.network == "default") return Network::user;
  return fail(Errc::invalid_argument, fmt::format("use network \"{}\": there is none of that name", spec.network),
              "none, tsi or default");
}

// TSI knows TCP ports, and nothing of the host's addresses.
Result<vm::HostSockets> plan_host_sockets(const std::vector<PortMapping>& ports) {
  vm::HostSockets sockets;
  for (const PortMapping& port : ports) {
    if (port.protocol != "tcp")
      return fail(Errc::unsupported,
                  fmt::format("publish port {}/{}: network tsi has TCP ports only", port.container_port, port.protocol),
                  "leave --network tsi out");
    if (port.host_address != "0.0.0.0")
      return fail(
          Errc::unsupported,
          fmt::format("publish port {}/tcp at {}: with network tsi it would be open at every address of this host",
                      port.container_port, port.host_address),
          fmt::format("say so with -p 0.0.0.0:{}:{}, or leave --network tsi out", port.host_port, port.container_port));
    sockets.forwards.push_back({port.protocol, port.host_address, port.host_port, port.container_port});
  }
  return sockets;
}

// Locally administered, and the same at every start: the container's id.
std::string plan_mac(const std::string& id) {
  std::string mac = "02";
  for (size_t i = 0; i + 1 < 10 && i + 1 < id.size(); i += 2) mac += ":" + id.substr(i, 2);
  return mac;
}

Result<> plan_network(const PlanInput& input, Plan& plan) {
  const ContainerSpec& spec = input.spec;
  channel::ContainerConfig& container = plan.task.container;
  Network kind = TRY(network_of(spec));
  for (const auto& entry : spec.extra_hosts) container.extra_hosts.push_back(TRY(net::hosts_line(entry)));
  vm::UserNetwork network;
  container.resolv_conf = TRY(net::resolv_conf_lines(
      {.servers = spec.dns, .search = spec.dns_search, .options = spec.dns_options},
      net::parse_resolv_conf(input.host_resolv_conf), kind == Network::user ? network.resolver : ""));
  if (kind == Network::host_sockets) {
    plan.task.machine.host_sockets = TRY(plan_host_sockets(input.ports));
    return {};
  }
  if (kind == Network::none) {
    if (!input.ports.empty()) plan.warnings.emplace_back("its ports are not published: the container has no network");
    return {};
  }
  network.mac = plan_mac(input.id);
  channel::NetworkConfig config{.mac = network.mac,
                                .address = network.guest_address,
                                .prefix = network.prefix,
                                .gateway = network.gateway,
                                .resolver = network.resolver,
                                .published_udp = {}};
  for (const PortMapping& port : input.ports) {
    network.forwards.push_back({port.protocol, port.host_address, port.host_port, port.container_port});
    if (port.protocol == "udp") config.published_udp.push_back(port.container_port);
  }
  plan.task.machine.network = std::move(network);
  container.network = std::move(config);
  return {};
}

}  // namespace

Result<std::vector<PortMapping>> plan_ports(const ContainerSpec& spec, const ImageDefaults& image) {
  std::vector<PortMapping> ports = spec.ports;
  std::vector<PortMapping> exposed;
  for (const auto& text : spec.expose)
    std::ranges::copy(TRY(net::parse_exposed_port(text)), std::back_inserter(exposed));
  for (const auto& text : image.exposed_ports)
    if (auto more = net::parse_exposed_port(text)) std::ranges::copy(*more, std::back_inserter(exposed));
  if (!spec.publish_all) return ports;
  for (const PortMapping& port : exposed)
    if (std::ranges::none_of(ports, [&](const PortMapping& other) {
          return other.container_port == port.container_port && other.protocol == port.protocol;
        }))
      ports.push_back(port);
  return ports;
}

std::vector<std::string> plan_env(const ContainerSpec& spec, const ImageDefaults& image, const std::string& hostname) {
  std::vector<std::string> env;
  env.emplace_back(default_path);
  env.push_back("HOSTNAME=" + hostname);
  if (spec.tty) env.emplace_back("TERM=xterm");
  for (const auto& entry : image.env) oci::set_variable(env, entry);
  for (const auto& entry : spec.env) oci::set_variable(env, entry);
  return env;
}

std::vector<std::string> plan_command(const ContainerSpec& spec, const ImageDefaults& image) {
  std::vector<std::string> argv = spec.entrypoint ? *spec.entrypoint : image.entrypoint;
  // A new entrypoint does not get the arguments that were meant for the old one.
  const auto& args = !spec.args.empty() || spec.entrypoint ? spec.args : image.cmd;
  argv.insert(argv.end(), args.begin(), args.end());
  if (argv.empty()) argv = {"/bin/sh"};
  return argv;
}

Result<Plan> plan_container(const PlanInput& input) {
  const ContainerSpec& spec = input.spec;
  Plan plan;
  std::string hostname = spec.hostname.empty() ? input.id.substr(0, 12) : spec.hostname;
  TRY(check_host_name(hostname));

  channel::ContainerConfig& container = plan.task.container;
  container.hostname = hostname;
  container.read_only = spec.read_only;
  container.has_upper = !input.upper.empty();
  for (const TmpfsMount& mount : spec.tmpfs) {
    TRY(check_absolute("tmpfs", mount.path));
    container.tmpfs.push_back({mount.path, mount.options});
  }
  TRY(plan_network(input, plan));
  TRY(check_cpus(spec.cpus));
  container.cpu_quota_us = plan_cpu_quota_us(spec.cpus);

  container.shm_bytes = spec.shm_bytes;
  container.pids_max = spec.pids_limit;
  container.init = spec.init;
  container.privileged = spec.privileged;
  container.no_new_privileges = spec.no_new_privileges;
  container.cap_add = spec.cap_add;
  container.cap_drop = spec.cap_drop;
  TRY(check_settings(spec));
  for (const Ulimit& limit : spec.ulimits) container.ulimits.push_back({limit.name, limit.soft, limit.hard});
  for (const auto& [name, value] : spec.sysctls) container.sysctls.push_back({name, value});

  channel::ProcessConfig& process = plan.task.process;
  process.argv = plan_command(spec, input.image.defaults);
  process.env = plan_env(spec, input.image.defaults, hostname);
  process.cwd = !spec.working_dir.empty() ? spec.working_dir : input.image.defaults.working_dir;
  if (process.cwd.empty()) process.cwd.push_back('/');
  TRY(check_absolute("working directory", process.cwd));
  process.user = !spec.user.empty() ? spec.user : input.image.defaults.user;
  process.tty = spec.tty;
  process.open_stdin = spec.open_stdin;
  process.groups = spec.group_add;

  vm::MachineSpec& machine = plan.task.machine;
  machine.id = input.id;
  machine.vcpus = plan_vcpus(spec, input.max_vcpus, plan.warnings);
  machine.memory_bytes = plan_memory(spec, plan.warnings);
  machine.kernel = input.kernel;
  machine.directory = input.directory;
  machine.channel_socket = input.channel_socket;
  if (!spec.no_template) machine.templates = input.templates;
  if (spec.gpu_window_bytes > 0) machine.gpu = vm::Gpu{spec.gpu_window_bytes};
  vm::Disk root{.serial = "root", .extents = {}};
  for (const ImageExtent& extent : input.image.root_device) root.extents.push_back({extent.path, extent.bytes});
  machine.disks.push_back(std::move(root));
  if (!input.upper.empty())
    machine.disks.push_back({.serial = "upper",
                             .extents = {{input.upper, spec.disk_bytes}},
                             .read_only = false,
                             .ephemeral = spec.auto_remove,
                             .format = input.format_upper});
  plan.task.keep_disk = !spec.auto_remove && !input.upper.empty();

  const std::string& stop_signal = !spec.stop_signal.empty() ? spec.stop_signal : input.image.defaults.stop_signal;
  if (!stop_signal.empty()) plan.stop_signal = TRY(parse_signal(stop_signal));
  plan.health = spec.health ? spec.health : input.image.defaults.health;
  if (plan.health && plan.health->command.empty()) plan.health.reset();
  if (spec.auto_remove && spec.restart.kind != RestartPolicy::Kind::no)
    return fail(Errc::invalid_argument, "create container: it cannot be removed at its end and be restarted, too",
                "leave out --rm or --restart");
  return plan;
}

void complete_exec(channel::ProcessConfig& exec, const channel::ProcessConfig& first) {
  std::vector<std::string> env = first.env;
  if (exec.tty) oci::set_variable(env, "TERM=xterm");
  for (const auto& entry : exec.env) oci::set_variable(env, entry);
  exec.env = std::move(env);
  if (exec.cwd.empty()) exec.cwd = first.cwd;
  if (exec.user.empty()) exec.user = first.user;
}

Result<> check_update(const UpdateOptions& update) {
  if (update.cpus) TRY(check_cpus(*update.cpus));
  if (update.memory_bytes && *update.memory_bytes < least_memory)
    return fail(Errc::invalid_argument,
                fmt::format("update memory to {}: too little", format_size(*update.memory_bytes)),
                fmt::format("{} is the least that a guest boots with", format_size(least_memory)));
  return {};
}

void apply_update(ContainerSpec& spec, const UpdateOptions& update) {
  if (update.cpus) spec.cpus = *update.cpus;
  if (update.memory_bytes) spec.memory_bytes = *update.memory_bytes;
  if (update.pids_limit) spec.pids_limit = *update.pids_limit;
  if (update.restart) spec.restart = *update.restart;
}

UpdateOptions spec_limits(const ContainerSpec& spec) {
  return {.cpus = spec.cpus, .memory_bytes = spec.memory_bytes, .pids_limit = spec.pids_limit, .restart = {}};
}

channel::Limits plan_limits(const UpdateOptions& update) {
  channel::Limits limits;
  if (update.cpus) limits.cpu_quota_us = static_cast<uint64_t>(*update.cpus * 100'000);
  if (update.memory_bytes) limits.memory_max = *update.memory_bytes;
  if (update.pids_limit) limits.pids_max = *update.pids_limit;
  return limits;
}

}  // namespace diatom
