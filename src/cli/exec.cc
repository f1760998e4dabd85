#include <fmt/core.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "cli/command.h"
#include "cli/container_flags.h"
#include "cli/options.h"
#include "diatom/runtime.h"

namespace diatom::cli {

namespace {

struct Flags {
  ExecSpec spec;
  bool detach = false, interactive = false;
  bool no_stdin = false, sig_proxy = true;
  std::string detach_keys = "ctrl-p,ctrl-q";
  std::vector<std::string> words;
};

Result<int> exec(Flags& flags) {
  if (flags.words.size() < 2)
    return fail(Errc::invalid_argument, "exec: no container or no program is named", "diatom exec CONTAINER COMMAND");
  std::string container = flags.words.front();
  if (container.starts_with('-'))
    return fail(Errc::invalid_argument, "exec: unknown option " + container, "`diatom exec --help` lists them");
  flags.spec.argv.assign(flags.words.begin() + 1, flags.words.end());
  for (std::string& entry : flags.spec.env) {
    auto whole = parse_env(entry);
    if (!whole) return std::unexpected(whole.error());
    entry = std::move(*whole);
  }
  if (flags.spec.tty && flags.interactive && !flags.detach && ::isatty(0) == 0)
    return fail(Errc::invalid_argument, "exec in " + container + ": the input device is not a TTY",
                "leave -t out when stdin is a pipe or a file");
  Runtime runtime = TRY(Runtime::open());
  if (flags.detach) {
    TRY(runtime.exec_detached(container, flags.spec));
    return 0;
  }
  ProcessStreams streams;
  streams.attach_stdin = flags.interactive;
  streams.forward_signals = true;
  streams.detach_keys = flags.detach_keys;
  return exit_code_of(TRY(runtime.exec(container, flags.spec, streams)));
}

Result<int> attach(const Flags& flags) {
  Runtime runtime = TRY(Runtime::open());
  ProcessStreams streams;
  streams.attach_stdin = !flags.no_stdin;
  streams.forward_signals = flags.sig_proxy;
  streams.detach_keys = flags.detach_keys;
  return exit_code_of(TRY(runtime.attach(flags.words.front(), streams)));
}

}  // namespace

int exit_code_of(const AttachResult& result) {
  if (!result.exit) return 0;  // left by the detach keys
  if (!result.exit->error.empty()) print_error({Errc::guest, result.exit->error, "", 0});
  if (result.output_error.empty()) return result.exit->exit_code;
  std::fputs(fmt::format("diatom: {}\n", result.output_error).c_str(), stderr);
  return result.exit->exit_code != 0 ? result.exit->exit_code : 125;
}

void add_exec_commands(CLI::App& app, Invocation& invocation) {
  auto flags = std::make_shared<Flags>();
  ExecSpec& spec = flags->spec;

  CLI::App* exec_verb = app.add_subcommand("exec", "run another program in a container that runs");
  // The first word that is no option is the container; from there on everything is the program's.
  exec_verb->prefix_command();
  exec_verb->add_flag("-d,--detach", flags->detach, "leave it running; its output is nobody's");
  exec_verb->add_flag("-i,--interactive", flags->interactive, "send stdin to it");
  exec_verb->add_flag("-t,--tty", spec.tty, "give it a terminal");
  many(exec_verb->add_option("-e,--env", spec.env, "set a variable: KEY=VALUE"));
  one(exec_verb->add_option("-w,--workdir", spec.working_dir, "its working directory"));
  one(exec_verb->add_option("-u,--user", spec.user, "user (and group): name, uid, name:group or uid:gid"));
  exec_verb->add_flag("--privileged", spec.privileged, "with every capability");
  one(exec_verb->add_option("--detach-keys", flags->detach_keys, "keys that leave it running (default ctrl-p,ctrl-q)"));
  exec_verb->callback([&invocation, flags, exec_verb] {
    flags->words = exec_verb->remaining();
    invocation.error_exit_code = [](const Error& error) {
      return error.code == Errc::start_failed || error.code == Errc::cancelled ? run_exit_code(error) : 1;
    };
    invocation.run = [flags] { return exec(*flags); };
  });

  CLI::App* attach_verb = app.add_subcommand("attach", "join the streams of a container that runs");
  attach_verb->add_flag("--no-stdin", flags->no_stdin, "do not send stdin");
  attach_verb->add_flag("--sig-proxy,!--no-sig-proxy", flags->sig_proxy, "pass signals on to the program (default)");
  one(attach_verb->add_option("--detach-keys", flags->detach_keys,
                              "keys that leave it running (default ctrl-p,ctrl-q)"));
  attach_verb->add_option("CONTAINER", flags->words, "name or id")->required()->expected(1);
  attach_verb->callback([&invocation, flags] { invocation.run = [flags] { return attach(*flags); }; });
}

}  // namespace diatom::cli
