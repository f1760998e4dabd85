// What is done to containers that are there: one name after the other, each error printed when it comes.
#include <fmt/core.h>
#include <unistd.h>

#include <memory>

#include "base/size.h"
#include "cli/command.h"
#include "cli/each.h"
#include "cli/options.h"
#include "diatom/runtime.h"
#include "runtime/spec_text.h"

namespace diatom::cli {

namespace {

struct Flags {
  std::vector<std::string> names;
  std::string signal;
  std::optional<int64_t> timeout;  // seconds; negative: no limit
  std::string condition = "not-running";
  std::string cpus, memory, restart;
  std::optional<int64_t> pids_limit;
  bool attach = false, interactive = false;
  std::string detach_keys = "ctrl-p,ctrl-q";
};

// Longer than anybody waits: docker's -1.
constexpr auto no_limit = std::chrono::hours(24 * 365);

StopOptions stop_options(const Flags& flags) {
  StopOptions options;
  options.signal = flags.signal;
  if (flags.timeout)
    options.timeout = *flags.timeout < 0 || *flags.timeout > std::chrono::seconds(no_limit).count()
                          ? std::chrono::milliseconds(no_limit)
                          : std::chrono::seconds(*flags.timeout);
  return options;
}

// A verb that does one thing to each container and prints its name.
using Act = std::function<Result<>(Runtime&, const std::string& name)>;
void on_each(CLI::App& verb, Invocation& invocation, const std::shared_ptr<Flags>& flags, Act act) {
  verb.add_option("CONTAINER", flags->names, "name or id")->required();
  verb.callback([&invocation, flags, act = std::move(act)] {
    invocation.run = [flags, act]() -> Result<int> {
      Runtime runtime = TRY(Runtime::open());
      return for_each_name(flags->names, [&](const std::string& name) -> Result<> {
        TRY(act(runtime, name));
        fmt::print("{}\n", name);
        return {};
      });
    };
  });
}

Result<int> start(const Flags& flags) {
  Runtime runtime = TRY(Runtime::open());
  if (!flags.attach && !flags.interactive)
    return for_each_name(flags.names, [&](const std::string& name) -> Result<> {
      TRY(runtime.start(name, {}));
      fmt::print("{}\n", name);
      return {};
    });
  if (flags.names.size() != 1)
    return fail(Errc::invalid_argument, "start: only one container can be attached to at a time");
  ProcessStreams streams;
  streams.attach_stdin = flags.interactive;
  streams.forward_signals = true;
  streams.detach_keys = flags.detach_keys;
  AttachResult result = TRY(runtime.start_attached(flags.names.front(), {}, streams));
  return exit_code_of(result);
}

Result<int> wait(const Flags& flags) {
  static constexpr std::pair<std::string_view, WaitCondition> words[] = {{"not-running", WaitCondition::not_running},
                                                                         {"next-exit", WaitCondition::next_exit},
                                                                         {"removed", WaitCondition::removed}};
  for (auto [word, condition] : words) {
    if (word != flags.condition) continue;
    Runtime runtime = TRY(Runtime::open());
    return for_each_name(flags.names, [&, wanted = condition](const std::string& name) -> Result<> {
      ExitInfo exit = TRY(runtime.wait(name, wanted));
      fmt::print("{}\n", exit.exit_code);
      return {};
    });
  }
  return fail(Errc::invalid_argument, "wait: there is no condition \"" + flags.condition + "\"",
              "one of not-running, next-exit, removed");
}

Result<UpdateOptions> update_options(const Flags& flags) {
  UpdateOptions options;
  if (!flags.cpus.empty()) options.cpus = TRY(parse_cpus(flags.cpus));
  if (!flags.memory.empty()) options.memory_bytes = TRY(parse_size("memory", flags.memory));
  if (!flags.restart.empty()) options.restart = TRY(parse_restart_policy(flags.restart));
  if (flags.pids_limit) options.pids_limit = *flags.pids_limit > 0 ? static_cast<uint64_t>(*flags.pids_limit) : 0;
  if (!options.cpus && !options.memory_bytes && !options.restart && !options.pids_limit)
    return fail(Errc::invalid_argument, "update: nothing is to be changed", "`diatom update --help` lists what can be");
  return options;
}

CLI::App* verb(CLI::App& app, const char* name, const char* what) { return app.add_subcommand(name, what); }

}  // namespace

void add_lifecycle_commands(CLI::App& app, Invocation& invocation) {
  auto flags = std::make_shared<Flags>();

  CLI::App* started = verb(app, "start", "start containers that do not run");
  started->add_flag("-a,--attach", flags->attach, "join its output, pass signals on, and wait for its end");
  started->add_flag("-i,--interactive", flags->interactive, "send stdin to it, too");
  one(started->add_option("--detach-keys", flags->detach_keys, "keys that leave it running"));
  started->add_option("CONTAINER", flags->names, "name or id")->required();
  started->callback([&invocation, flags] {
    invocation.error_exit_code = [flags](const Error& error) {
      return flags->attach || flags->interactive ? run_exit_code(error) : 1;
    };
    invocation.run = [flags] { return start(*flags); };
  });

  CLI::App* stop = verb(app, "stop", "end containers: their stop signal, then KILL");
  one(stop->add_option("-t,--time,--timeout", flags->timeout,
                       "seconds from the signal to KILL (default 10; -1: never)"));
  one(stop->add_option("-s,--signal", flags->signal, "instead of the container's stop signal"));
  on_each(*stop, invocation, flags,
          [flags](Runtime& runtime, const std::string& name) { return runtime.stop(name, stop_options(*flags)); });

  CLI::App* restart = verb(app, "restart", "end containers and start them again");
  one(restart->add_option("-t,--time,--timeout", flags->timeout,
                          "seconds from the signal to KILL (default 10; -1: never)"));
  one(restart->add_option("-s,--signal", flags->signal, "instead of the container's stop signal"));
  on_each(*restart, invocation, flags,
          [flags](Runtime& runtime, const std::string& name) { return runtime.restart(name, stop_options(*flags)); });

  CLI::App* kill = verb(app, "kill", "send a signal to the programs of containers");
  one(kill->add_option("-s,--signal", flags->signal, "by name or number (default KILL)"));
  on_each(*kill, invocation, flags, [flags](Runtime& runtime, const std::string& name) {
    return runtime.kill(name, flags->signal.empty() ? "KILL" : flags->signal);
  });

  on_each(*verb(app, "pause", "make all processes of containers stand still"), invocation, flags,
          [](Runtime& runtime, const std::string& name) { return runtime.pause(name); });
  on_each(*verb(app, "unpause", "let them go on"), invocation, flags,
          [](Runtime& runtime, const std::string& name) { return runtime.resume(name); });

  CLI::App* waited = verb(app, "wait", "wait for the end of containers and print their exit codes");
  one(waited->add_option("--condition", flags->condition, "not-running (default), next-exit or removed"));
  waited->add_option("CONTAINER", flags->names, "name or id")->required();
  waited->callback([&invocation, flags] { invocation.run = [flags] { return wait(*flags); }; });

  CLI::App* rename = verb(app, "rename", "give a container another name");
  rename->add_option("CONTAINER NAME", flags->names, "the container, and its new name")->required()->expected(2);
  rename->callback([&invocation, flags] {
    invocation.run = [flags]() -> Result<int> {
      Runtime runtime = TRY(Runtime::open());
      TRY(runtime.rename(flags->names[0], flags->names[1]));
      return 0;
    };
  });

  CLI::App* update = verb(app, "update", "change limits and policies of containers");
  one(update->add_option("--cpus", flags->cpus, "CPUs"));
  one(update->add_option("-m,--memory", flags->memory, "memory; more than the VM has: from the next start on"));
  one(update->add_option("--pids-limit", flags->pids_limit, "most processes at once (-1: no limit)"));
  one(update->add_option("--restart", flags->restart, "no, on-failure[:RETRIES], always or unless-stopped"));
  on_each(*update, invocation, flags, [flags](Runtime& runtime, const std::string& name) -> Result<> {
    UpdateOptions options = TRY(update_options(*flags));
    for (const auto& warning : TRY(runtime.update(name, options))) fmt::print(stderr, "diatom: {}\n", warning);
    return {};
  });
}

}  // namespace diatom::cli
