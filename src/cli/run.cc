#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "base/file.h"
#include "base/size.h"
#include "cli/command.h"
#include "cli/json_output.h"
#include "cli/network_flags.h"
#include "cli/options.h"
#include "cli/pull.h"
#include "cli/timing.h"
#include "cli/transfer_flags.h"
#include "diatom/runtime.h"

namespace diatom::cli {

namespace {

constexpr double least_cpus = 0.01;

struct Flags {
  ContainerSpec spec;
  std::vector<std::string> env;
  std::vector<std::string> env_files;
  std::vector<std::string> tmpfs;
  std::vector<std::string> labels;
  std::string entrypoint;
  std::string memory;
  std::string cpus;
  std::string cidfile;
  std::vector<std::string> command;
  std::string pull = "missing";
  std::string platform;
  AccessFlags access;
  NetworkFlags network;
  bool quiet = false;
  bool entrypoint_given = false;
  bool timing = false;
  bool json = false;
};

// "KEY" alone takes the value of this process's environment (docker's rule).
std::string with_value(const std::string& entry) {
  if (entry.find('=') != std::string::npos) return entry;
  const char* value = std::getenv(entry.c_str());
  return value != nullptr ? entry + "=" + value : entry;
}

Result<> add_env_file(std::vector<std::string>& env, const std::string& path) {
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
    std::string entry = with_value(line);
    if (entry.find('=') != std::string::npos) env.push_back(std::move(entry));
  }
  return {};
}

Result<double> parse_cpus(const std::string& text) {
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !(value >= least_cpus) || value > 4096)
    return fail(Errc::invalid_argument, fmt::format("parse cpus \"{}\": not a number of CPUs", text),
                "write 2 or 0.5; 0.01 is the least");
  return value;
}

TmpfsMount parse_tmpfs(const std::string& text) {
  size_t colon = text.find(':');
  if (colon == std::string::npos) return {text, ""};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

Result<ContainerSpec> finish_spec(Flags& flags) {
  ContainerSpec spec = flags.spec;
  for (const auto& path : flags.env_files) TRY(add_env_file(spec.env, path));
  for (const auto& entry : flags.env) {
    if (entry.empty() || entry.front() == '=')
      return fail(Errc::invalid_argument, fmt::format("parse env \"{}\": the name is missing", entry),
                  "write KEY=VALUE");
    spec.env.push_back(with_value(entry));
  }
  for (const auto& label : flags.labels) {
    size_t equals = label.find('=');
    spec.labels[label.substr(0, equals)] = equals == std::string::npos ? "" : label.substr(equals + 1);
  }
  if (flags.entrypoint_given) {
    spec.entrypoint.emplace();
    if (!flags.entrypoint.empty()) spec.entrypoint->push_back(flags.entrypoint);
  }
  if (!flags.memory.empty()) spec.memory_bytes = TRY(parse_size("memory", flags.memory));
  if (!flags.cpus.empty()) spec.cpus = TRY(parse_cpus(flags.cpus));
  TRY(finish_network_flags(flags.network, spec));
  for (const auto& mount : flags.tmpfs) spec.tmpfs.push_back(parse_tmpfs(mount));
  if (flags.command.empty())
    return fail(Errc::invalid_argument, "run: no image is named", "diatom run IMAGE [COMMAND]");
  spec.image = flags.command.front();
  if (spec.image.starts_with('-'))
    return fail(Errc::invalid_argument, fmt::format("run: unknown option {}", spec.image),
                "`diatom run --help` lists them");
  spec.args.assign(flags.command.begin() + 1, flags.command.end());
  return spec;
}

// stdout is the program's: everything about the image goes to stderr.
Result<> pull_for_run(const ContainerSpec& spec, const Flags& flags, PullPolicy policy) {
  PullOptions options;
  options.policy = policy;
  options.platform = flags.platform;
  options.access = TRY(registry_access(flags.access));
  Images images = TRY(Images::open());
  ProgressMode mode = flags.quiet ? ProgressMode::quiet : resolve_progress_mode(ProgressMode::automatic, STDERR_FILENO);
  TRY(pull_image(images, spec.image, std::move(options), mode, STDERR_FILENO));
  return {};
}

// Not asked beforehand: the run itself sees whether the image is there, and one that is costs nothing more.
Result<bool> image_is_missing(const std::string& name) {
  Images images = TRY(Images::open());
  auto found = images.inspect(name);
  return !found && found.error().code == Errc::not_found;
}

Result<RunResult> run_pulling(Runtime& runtime, const ContainerSpec& spec, const RunOptions& options,
                              const Flags& flags, PullPolicy policy) {
  bool ask_first = policy == PullPolicy::always || policy == PullPolicy::newer || !flags.platform.empty();
  if (ask_first) TRY(pull_for_run(spec, flags, policy));
  auto result = runtime.run(spec, options);
  if (result || ask_first || policy == PullPolicy::never || result.error().code != Errc::not_found) return result;
  if (!TRY(image_is_missing(spec.image))) return result;
  if (!flags.quiet) std::fputs(fmt::format("Unable to find image '{}' locally\n", spec.image).c_str(), stderr);
  TRY(pull_for_run(spec, flags, policy));
  return runtime.run(spec, options);
}

Result<int> run(Flags& flags) {
  ContainerSpec spec = TRY(finish_spec(flags));
  PullPolicy policy = TRY(parse_pull_policy(flags.pull));
  if (spec.tty && spec.open_stdin && ::isatty(0) == 0)
    return fail(Errc::invalid_argument, "run " + spec.image + ": the input device is not a TTY",
                "leave -t out when stdin is a pipe or a file");
  Runtime runtime = TRY(Runtime::open());
  Timing timing;
  RunOptions options;
  bool quiet_terminal = ::isatty(2) == 0;
  // Stages as they are reached, for whoever looks for the one that hangs (and for the tests).
  bool trace = std::getenv("DIATOM_TRACE") != nullptr;
  options.on_stage = [&, trace](std::string_view stage, std::chrono::microseconds at) {
    timing.add(stage, at);
    if (trace) fmt::print(stderr, "diatom: stage {} after {} us\n", stage, at.count());
  };
  options.on_warning = [&](std::string_view warning) {
    // One line, and only to a person: scripts read stderr of the program.
    if (!quiet_terminal) fmt::print(stderr, "diatom: {}\n", warning);
  };
  // Made before anything else, so that one that is there is refused; it goes again when no container comes of it.
  UniqueFd cidfile;
  if (!flags.cidfile.empty()) cidfile = TRY(open_file(flags.cidfile, O_WRONLY | O_CREAT | O_EXCL, 0644));
  TemporaryPath undo_cidfile(flags.cidfile);
  Result<> cid_written;
  options.on_created = [&](const std::string& id) {
    if (!cidfile) return;
    cid_written = write_all(cidfile.get(), id);
    if (cid_written) undo_cidfile.keep();
  };
  RunResult result = TRY(run_pulling(runtime, spec, options, flags, policy));
  TRY(cid_written);
  if (flags.timing) timing.print(stderr);
  if (flags.json) print_run_result(result, timing);
  if (result.output_error.empty()) return result.exit_code;
  // What the program says of itself counts; but a success that nobody got to see is none.
  std::fputs(fmt::format("diatom: {}\n", result.output_error).c_str(), stderr);  // which may be full, too
  return result.exit_code != 0 ? result.exit_code : 125;
}

}  // namespace

void add_run_command(CLI::App& app, Invocation& invocation) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = app.add_subcommand("run", "create a container from an image and run a program in it");
  // The first word that is no option is the image; from there on everything is the program's, options too.
  verb->prefix_command();
  ContainerSpec& spec = flags->spec;
  verb->add_flag("--rm", spec.auto_remove, "remove the container when it ends");
  verb->add_flag("-i,--interactive", spec.open_stdin, "keep stdin open and send it to the program");
  verb->add_flag("-t,--tty", spec.tty, "give the program a terminal");
  many(verb->add_option("-e,--env", flags->env, "set a variable: KEY=VALUE, or KEY to pass it on"));
  many(verb->add_option("--env-file", flags->env_files, "read variables from a file"));
  one(verb->add_option("-w,--workdir", spec.working_dir, "working directory of the program"));
  one(verb->add_option("-u,--user", spec.user, "user (and group): name, uid, name:group or uid:gid"));
  CLI::Option* entrypoint = one(verb->add_option("--entrypoint", flags->entrypoint, "replace the image's entrypoint"));
  one(verb->add_option("--hostname", spec.hostname, "host name in the guest"));
  one(verb->add_option("--name", spec.name, "name of the container"));
  one(verb->add_option("--cpus", flags->cpus, "CPUs (default 2; rounded up)"));
  one(verb->add_option("-m,--memory", flags->memory, "memory: 512Mi, 2g (default 512Mi)"));
  verb->add_flag("--read-only", spec.read_only, "the root file system cannot be written");
  many(verb->add_option("--tmpfs", flags->tmpfs, "mount a tmpfs: PATH[:OPTIONS]"));
  many(verb->add_option("-l,--label", flags->labels, "set a label: KEY=VALUE"));
  add_network_flags(*verb, spec, flags->network);
  one(verb->add_option("--engine", spec.engine, "VM engine (default: the best usable one)"));
  one(verb->add_option("--pull", flags->pull, "when to ask the registry: always, newer, missing (default), never"));
  one(verb->add_option("--platform", flags->platform, "os/arch[/variant] of the image (default: the host's)"));
  add_access_flags(*verb, flags->access);
  verb->add_flag("-q,--quiet", flags->quiet, "say nothing of a pull");
  one(verb->add_option("--cidfile", flags->cidfile, "write the container's id to a file"));
  verb->add_flag("--timing", flags->timing, "print what each stage took to stderr");
  verb->add_flag("--json", flags->json, "print a JSON object about the run to stderr when it has ended");
  verb->callback([&invocation, flags, entrypoint, verb] {
    flags->command = verb->remaining();
    flags->entrypoint_given = entrypoint->count() > 0;
    invocation.error_exit_code = run_exit_code;
    invocation.run = [flags] { return run(*flags); };
  });
}

}  // namespace diatom::cli
