#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>

#include "base/file.h"
#include "cli/command.h"
#include "cli/container_flags.h"
#include "cli/json_output.h"
#include "cli/options.h"
#include "cli/timing.h"
#include "diatom/runtime.h"

namespace diatom::cli {

namespace {

struct Flags {
  ContainerFlags container;
  bool detach = false;
  bool timing = false;
  bool json = false;
  bool sig_proxy = true;
  std::vector<std::string> attach;
  std::string detach_keys = "ctrl-p,ctrl-q";
};

// Does `act`; when it is the image that lacks, and may be pulled, it is pulled and `act` done again.
template <class T, class Act>
Result<T> with_image(const ContainerSpec& spec, const ContainerFlags& flags, Act act) {
  bool pulled = TRY(pull_first(spec, flags));
  Result<T> result = act();
  if (result || pulled) return result;
  bool again = TRY(pull_if_missing(spec, flags, result.error()));
  return again ? act() : std::move(result);
}

// Made before anything else, so that one that is there is refused; it goes again when no container comes of it.
class CidFile {
 public:
  static Result<CidFile> open(const std::string& path) {
    if (path.empty()) return CidFile({}, UniqueFd());
    // What was there before is not ours to remove.
    UniqueFd made = TRY(open_file(path, O_WRONLY | O_CREAT | O_EXCL, 0644));
    return CidFile(path, std::move(made));
  }
  void write(const std::string& id) {
    if (!fd_) return;
    written_ = write_all(fd_.get(), id);
    if (written_) undo_.keep();
  }
  const Result<>& written() const { return written_; }

 private:
  CidFile(const std::string& path, UniqueFd made) : fd_(std::move(made)), undo_(path) {}
  UniqueFd fd_;
  TemporaryPath undo_;
  Result<> written_;
};

Result<ProcessStreams> streams_of(const Flags& flags, const ContainerSpec& spec) {
  ProcessStreams streams;
  streams.attach_stdin = spec.open_stdin;
  streams.forward_signals = flags.sig_proxy;
  streams.detach_keys = flags.detach_keys;
  if (flags.attach.empty()) return streams;
  streams.attach_stdout = streams.attach_stderr = false;  // -i is a wish of its own
  for (const auto& word : flags.attach) {
    bool* known = word == "stdin"    ? &streams.attach_stdin
                  : word == "stdout" ? &streams.attach_stdout
                  : word == "stderr" ? &streams.attach_stderr
                                     : nullptr;
    if (known == nullptr)
      return fail(Errc::invalid_argument, "attach to \"" + word + "\"", "one of stdin, stdout, stderr");
    *known = true;
  }
  return streams;
}

// One line, and only to a person: scripts read stderr of the program.
void print_warning(std::string_view warning) {
  if (::isatty(2) != 0) fmt::print(stderr, "diatom: {}\n", warning);
}

Result<int> run(Flags& flags) {
  ContainerSpec spec = TRY(container_spec(flags.container, "run"));
  spec.stdin_once = spec.open_stdin && !flags.detach;
  if (flags.detach && !flags.attach.empty())
    return fail(Errc::invalid_argument, "run " + spec.image + ": --detach and --attach do not go together");
  if (spec.tty && spec.open_stdin && !flags.detach && ::isatty(0) == 0)
    return fail(Errc::invalid_argument, "run " + spec.image + ": the input device is not a TTY",
                "leave -t out when stdin is a pipe or a file");
  Runtime runtime = TRY(Runtime::open());
  Timing timing;
  RunOptions options;
  options.detach = flags.detach;
  options.streams = TRY(streams_of(flags, spec));
  // Stages as they are reached, for whoever looks for the one that hangs (and for the tests).
  bool trace = std::getenv("DIATOM_TRACE") != nullptr;
  options.start.on_stage = [&, trace](std::string_view stage, std::chrono::microseconds at) {
    timing.add(stage, at);
    if (trace) fmt::print(stderr, "diatom: stage {} after {} us\n", stage, at.count());
  };
  options.on_warning = print_warning;
  CidFile cidfile = TRY(CidFile::open(flags.container.cidfile));
  options.on_created = [&](const std::string& id) { cidfile.write(id); };
  RunResult result = TRY(with_image<RunResult>(spec, flags.container, [&] { return runtime.run(spec, options); }));
  TRY(Result<>(cidfile.written()));
  if (flags.timing) timing.print(stderr);
  if (flags.json) print_run_result(result, timing);
  if (flags.detach) {
    fmt::print("{}\n", result.id);
    return 0;
  }
  return exit_code_of(result.end);
}

Result<int> create(Flags& flags) {
  ContainerSpec spec = TRY(container_spec(flags.container, "create"));
  spec.stdin_once = spec.open_stdin;
  Runtime runtime = TRY(Runtime::open());
  CidFile cidfile = TRY(CidFile::open(flags.container.cidfile));
  CreatedContainer created =
      TRY(with_image<CreatedContainer>(spec, flags.container, [&] { return runtime.create(spec); }));
  cidfile.write(created.id);
  TRY(Result<>(cidfile.written()));
  for (const auto& warning : created.warnings) print_warning(warning);
  fmt::print("{}\n", created.id);
  return 0;
}

}  // namespace

// The options of `run` and `create` are more than all others together, and take longer to be made than a container:
// they are, once the verb is the one that is asked for.
void add_run_command(CLI::App& app, Invocation& invocation) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = app.add_subcommand("run", "create a container from an image and run a program in it");
  verb->preparse_callback([flags, verb](size_t) {
    add_container_flags(*verb, flags->container);
    verb->add_flag("-d,--detach", flags->detach, "leave it running, and print its id");
    many(verb->add_option("-a,--attach", flags->attach, "join only these: stdin, stdout, stderr"));
    one(verb->add_option("--detach-keys", flags->detach_keys, "keys that leave it running (default ctrl-p,ctrl-q)"));
    verb->add_flag("--sig-proxy,!--no-sig-proxy", flags->sig_proxy, "pass signals on to the program (default)");
    verb->add_flag("--timing", flags->timing, "print what each stage took to stderr");
    verb->add_flag("--json", flags->json, "print a JSON object about the run to stderr when it has ended");
  });
  verb->callback([&invocation, flags, verb] {
    flags->container.command = verb->remaining();
    invocation.error_exit_code = run_exit_code;
    invocation.run = [flags] { return run(*flags); };
  });
}

void add_create_command(CLI::App& app, Invocation& invocation) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = app.add_subcommand("create", "create a container from an image without starting it");
  verb->preparse_callback([flags, verb](size_t) { add_container_flags(*verb, flags->container); });
  verb->callback([&invocation, flags, verb] {
    flags->container.command = verb->remaining();
    invocation.run = [flags] { return create(*flags); };
  });
}

}  // namespace diatom::cli
