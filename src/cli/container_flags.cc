#include "cli/container_flags.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/file.h"
#include "base/size.h"
#include "base/time_text.h"
#include "cli/options.h"
#include "cli/pull.h"
#include "diatom/service.h"
#include "runtime/spec_text.h"

namespace diatom::cli {

namespace {

// "KEY" alone takes the value of this process's environment (docker's rule).
std::string with_value(const std::string& entry) {
  if (entry.find('=') != std::string::npos) return entry;
  const char* value = std::getenv(entry.c_str());
  return value != nullptr ? entry + "=" + value : entry;
}

// Of variables, or of labels: those have no values anywhere else.
Result<> add_lines(std::vector<std::string>& lines, const std::string& path, bool variables) {
  std::string text = TRY(read_file(path, 16 << 20));
  size_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = std::min(text.find('\n', begin), text.size());
    std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    size_t first = line.find_first_not_of(" \t");
    if (first == std::string::npos || line[first] == '#') continue;
    line.erase(0, first);
    std::string key = line.substr(0, line.find('='));
    if (key.empty() || key.find_first_of(" \t") != std::string::npos)
      return fail(Errc::invalid_argument,
                  fmt::format("read env file {}: line {}: \"{}\" is no variable name", path, number, key));
    // One that is not set here leaves the image's alone. (--env takes it out: docker has both.)
    std::string entry = variables ? with_value(line) : line;
    if (!variables || entry.find('=') != std::string::npos) lines.push_back(std::move(entry));
  }
  return {};
}

Result<> add_health(ContainerSpec& spec, const ContainerFlags& flags) {
  bool any = !flags.health_cmd.empty() || !flags.health_interval.empty() || !flags.health_timeout.empty() ||
             !flags.health_start_period.empty() || flags.health_retries;
  if (flags.no_healthcheck && any)
    return fail(Errc::invalid_argument, "parse flags: --no-healthcheck goes with no other --health flag");
  if (!any && !flags.no_healthcheck) return {};
  HealthCheck& check = spec.health.emplace();
  if (flags.no_healthcheck) return {};
  if (flags.health_cmd.empty())
    return fail(Errc::invalid_argument, "parse flags: --health-cmd is missing", "say what is to be run");
  check.command = {"/bin/sh", "-c", flags.health_cmd};
  auto set = [](std::chrono::nanoseconds& out, const std::string& text) -> Result<> {
    if (text.empty()) return {};
    auto duration = parse_duration(text);
    if (!duration || *duration < 0)
      return fail(Errc::invalid_argument, fmt::format("parse duration \"{}\"", printable(text)), "write 30s or 1m30s");
    if (*duration > 0) out = std::chrono::nanoseconds(*duration);  // 0 is docker's word for the default
    return {};
  };
  TRY(set(check.interval, flags.health_interval));
  TRY(set(check.timeout, flags.health_timeout));
  TRY(set(check.start_period, flags.health_start_period));
  if (flags.health_retries) check.retries = std::max(1U, *flags.health_retries);
  return {};
}

Result<> add_logging(ContainerSpec& spec, const ContainerFlags& flags) {
  if (!flags.log_driver.empty() && flags.log_driver != "json-file" && flags.log_driver != "local")
    return fail(Errc::unsupported, fmt::format("use log driver \"{}\"", printable(flags.log_driver)),
                "there is json-file");
  for (const auto& option : flags.log_options) {
    auto [key, value] = TRY(parse_pair("log option", option));
    if (key == "max-size")
      spec.log.max_bytes = TRY(parse_size("max-size", value));
    else if (key == "max-file")
      spec.log.max_files = TRY(parse_count<unsigned>("max-file", value));
    else
      return fail(Errc::invalid_argument, fmt::format("parse log option \"{}\"", printable(key)),
                  "there are max-size and max-file");
  }
  if (spec.log.max_files < 1 || spec.log.max_files > 100)
    return fail(Errc::invalid_argument, "parse log option max-file: from 1 to 100");
  return {};
}

Result<> add_lifecycle(ContainerSpec& spec, const ContainerFlags& flags) {
  if (!flags.restart.empty()) spec.restart = TRY(parse_restart_policy(flags.restart));
  if (flags.stop_timeout) spec.stop_timeout = std::chrono::seconds(*flags.stop_timeout);
  if (!flags.shm_size.empty()) spec.shm_bytes = TRY(parse_size("shm-size", flags.shm_size));
  if (flags.pids_limit && *flags.pids_limit > 0) spec.pids_limit = static_cast<uint64_t>(*flags.pids_limit);
  for (const auto& text : flags.ulimits) spec.ulimits.push_back(TRY(parse_ulimit(text)));
  for (const auto& text : flags.sysctls) spec.sysctls.insert(TRY(parse_pair("sysctl", text)));
  if (!flags.volumes.empty())
    return fail(Errc::unsupported,
                fmt::format("mount volume \"{}\": there are no volumes yet", printable(flags.volumes[0])),
                "--tmpfs gives a writable folder that goes with the container");
  TRY(add_health(spec, flags));
  return add_logging(spec, flags);
}

Result<ContainerSpec> spec_of_document(ContainerFlags& flags, std::string_view verb) {
  auto twice = [&](std::string_view word) {
    return fail(Errc::invalid_argument, fmt::format("{}: --spec says all that {} does", verb, printable(word)),
                "leave it out; the document has a field for it");
  };
  if (!flags.command.empty()) return twice(flags.command.front());
  for (const CLI::Option* option : flags.said_by_spec)
    if (option->count() > 0) return twice(option->get_name());
  std::string text = TRY(read_file(flags.spec_file == "-" ? "/dev/stdin" : flags.spec_file, 16 << 20));
  ContainerRequest request = TRY(parse_container_request(text));
  flags.spec_policy = request.pull;
  return request.container;
}

Result<PullPolicy> pull_policy(const ContainerFlags& flags) {
  if (flags.spec_policy) return *flags.spec_policy;
  return parse_pull_policy(flags.pull);
}

}  // namespace

Result<std::string> parse_env(const std::string& entry) {
  if (entry.empty() || entry.front() == '=')
    return fail(Errc::invalid_argument, fmt::format("parse env \"{}\": the name is missing", entry), "write KEY=VALUE");
  return with_value(entry);
}

Result<ContainerSpec> container_spec(ContainerFlags& flags, std::string_view verb) {
  if (!flags.spec_file.empty()) return spec_of_document(flags, verb);
  ContainerSpec spec = flags.spec;
  for (const auto& path : flags.env_files) TRY(add_lines(spec.env, path, true));
  for (const auto& entry : flags.env) {
    auto whole = parse_env(entry);
    if (!whole) return std::unexpected(whole.error());
    spec.env.push_back(std::move(*whole));
  }
  std::vector<std::string> labels;
  for (const auto& path : flags.label_files) TRY(add_lines(labels, path, false));
  labels.insert(labels.end(), flags.labels.begin(), flags.labels.end());
  for (const auto& label : labels) {
    size_t equals = label.find('=');
    spec.labels[label.substr(0, equals)] = equals == std::string::npos ? "" : label.substr(equals + 1);
  }
  if (flags.entrypoint_given) {
    spec.entrypoint.emplace();
    if (!flags.entrypoint.empty()) spec.entrypoint->push_back(flags.entrypoint);
  }
  if (!flags.memory.empty()) spec.memory_bytes = TRY(parse_size("memory", flags.memory));
  if (flags.gpu || !flags.gpu_window.empty()) spec.gpu_window_bytes = default_gpu_window_bytes;
  if (!flags.gpu_window.empty()) spec.gpu_window_bytes = TRY(parse_size("gpu-window", flags.gpu_window));
  if (!flags.cpus.empty()) spec.cpus = TRY(parse_cpus(flags.cpus));
  for (const auto& mount : flags.tmpfs) spec.tmpfs.push_back(parse_tmpfs(mount));
  TRY(finish_network_flags(flags.network, spec));
  TRY(add_lifecycle(spec, flags));
  if (flags.command.empty())
    return fail(Errc::invalid_argument, fmt::format("{}: no image is named", verb),
                fmt::format("diatom {} IMAGE [COMMAND]", verb));
  spec.image = flags.command.front();
  if (spec.image.starts_with('-'))
    return fail(Errc::invalid_argument, fmt::format("{}: unknown option {}", verb, spec.image),
                fmt::format("`diatom {} --help` lists them", verb));
  spec.args.assign(flags.command.begin() + 1, flags.command.end());
  return spec;
}

void add_container_flags(CLI::App& verb, ContainerFlags& flags) {
  ContainerSpec& spec = flags.spec;
  // The first word that is no option is the image; from there on everything is the program's, options too.
  verb.prefix_command();
  verb.set_help_flag("--help", "print this help");  // -h is the host name, as docker has it
  verb.add_flag("--rm", spec.auto_remove, "remove the container when it ends");
  verb.add_flag("-i,--interactive", spec.open_stdin, "keep stdin open and send it to the program");
  verb.add_flag("-t,--tty", spec.tty, "give the program a terminal");
  many(verb.add_option("-e,--env", flags.env, "set a variable: KEY=VALUE, or KEY to pass it on"));
  many(verb.add_option("--env-file", flags.env_files, "read variables from a file"));
  one(verb.add_option("-w,--workdir", spec.working_dir, "working directory of the program"));
  one(verb.add_option("-u,--user", spec.user, "user (and group): name, uid, name:group or uid:gid"));
  many(verb.add_option("--group-add", spec.group_add, "a further group of the program, by name or number"));
  one(verb.add_option("--entrypoint", flags.entrypoint, "replace the image's entrypoint"))
      ->each([&flags](const std::string&) { flags.entrypoint_given = true; });
  one(verb.add_option("-h,--hostname", spec.hostname, "host name in the guest"));
  one(verb.add_option("--name", spec.name, "name of the container"));
  one(verb.add_option("--cpus", flags.cpus, "CPUs (default 2; rounded up)"));
  one(verb.add_option("-m,--memory", flags.memory, "memory: 512Mi, 2g (default 512Mi)"));
  one(verb.add_option("--pids-limit", flags.pids_limit, "most processes at once (-1: no limit)"));
  one(verb.add_option("--shm-size", flags.shm_size, "size of /dev/shm (default 64m)"));
  verb.add_flag("--read-only", spec.read_only, "the root file system cannot be written");
  many(verb.add_option("--tmpfs", flags.tmpfs, "mount a tmpfs: PATH[:OPTIONS]"));
  many(verb.add_option("-v,--volume,--mount", flags.volumes, "not yet: volumes are to come"));
  many(verb.add_option("-l,--label", flags.labels, "set a label: KEY=VALUE"));
  many(verb.add_option("--label-file", flags.label_files, "read labels from a file"));
  many(verb.add_option("--ulimit", flags.ulimits, "NAME=SOFT[:HARD], as nofile=1024:2048"));
  many(verb.add_option("--sysctl", flags.sysctls, "a kernel setting of the container's: net.core.somaxconn=1024"));
  many(verb.add_option("--cap-add", spec.cap_add, "give a capability: NET_ADMIN, ALL"));
  many(verb.add_option("--cap-drop", spec.cap_drop, "take a capability: CHOWN, ALL"));
  verb.add_flag("--privileged", spec.privileged, "every capability and device of the guest");
  verb.add_flag("--init", spec.init, "a small first process that passes signals on and reaps");
  one(verb.add_option("--stop-signal", spec.stop_signal, "what `stop` sends (default: the image's, else TERM)"));
  one(verb.add_option("--stop-timeout", flags.stop_timeout, "seconds from the stop signal to KILL (default 10)"));
  one(verb.add_option("--restart", flags.restart, "no, on-failure[:RETRIES], always or unless-stopped"));
  one(verb.add_option("--health-cmd", flags.health_cmd, "what tells whether it is healthy, for a shell"));
  one(verb.add_option("--health-interval", flags.health_interval, "from one check to the next (default 30s)"));
  one(verb.add_option("--health-timeout", flags.health_timeout, "a check that takes longer has failed (default 30s)"));
  one(verb.add_option("--health-start-period", flags.health_start_period, "failures do not count so long"));
  one(verb.add_option("--health-retries", flags.health_retries,
                      "failures in a row that make it unhealthy (default 3)"));
  verb.add_flag("--no-healthcheck", flags.no_healthcheck, "no check, not even the image's");
  one(verb.add_option("--log-driver", flags.log_driver, "json-file, the only one"));
  many(verb.add_option("--log-opt", flags.log_options, "max-size=100m, max-file=5"));
  add_network_flags(verb, spec, flags.network);
  one(verb.add_option("--engine", spec.engine, "VM engine: krun or qemu (default: the best usable one)"));
  verb.add_flag(
      "--no-template", spec.no_template,
      "boot the VM rather than clone one that has booted (engine qemu): slower, of a memory layout of its own");
  verb.add_flag("--gpu", flags.gpu, "share the host's GPU (engine krun; one container at a time)");
  one(verb.add_option("--gpu-window", flags.gpu_window, "memory through which the guest sees the GPU's (default 4g)"));
  one(verb.add_option("--pull", flags.pull, "when to ask the registry: always, newer, missing (default), never"));
  // What the flags before this one say, a document says all of.
  flags.said_by_spec = verb.get_options();
  std::erase(flags.said_by_spec, verb.get_help_ptr());
  one(verb.add_option("--spec", flags.spec_file, "a container document, as JSON (\"-\": stdin)"));
  one(verb.add_option("--platform", flags.platform, "os/arch[/variant] of the image (default: the host's)"));
  add_access_flags(verb, flags.access);
  verb.add_flag("-q,--quiet", flags.quiet, "say nothing of a pull");
  one(verb.add_option("--cidfile", flags.cidfile, "write the container's id to a file"));
}

Result<> pull_for_container(const ContainerSpec& spec, const ContainerFlags& flags, PullPolicy policy) {
  PullOptions options;
  options.policy = policy;
  options.platform = flags.platform;
  options.access = TRY(registry_access(flags.access));
  Images images = TRY(Images::open());
  ProgressMode mode = flags.quiet ? ProgressMode::quiet : resolve_progress_mode(ProgressMode::automatic, STDERR_FILENO);
  TRY(pull_image(images, spec.image, std::move(options), mode, STDERR_FILENO));
  return {};
}

Result<bool> pull_if_missing(const ContainerSpec& spec, const ContainerFlags& flags, const Error& error) {
  if (error.code != Errc::not_found || TRY(pull_policy(flags)) == PullPolicy::never) return false;
  Images images = TRY(Images::open());
  auto found = images.inspect(spec.image);
  if (found || found.error().code != Errc::not_found) return false;
  if (!flags.quiet) std::fputs(fmt::format("Unable to find image '{}' locally\n", spec.image).c_str(), stderr);
  TRY(pull_for_container(spec, flags, PullPolicy::missing));
  return true;
}

Result<bool> pull_first(const ContainerSpec& spec, const ContainerFlags& flags) {
  PullPolicy policy = TRY(pull_policy(flags));
  if (policy != PullPolicy::always && policy != PullPolicy::newer && flags.platform.empty()) return false;
  TRY(pull_for_container(spec, flags, policy));
  return true;
}

}  // namespace diatom::cli
