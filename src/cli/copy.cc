#include <fmt/core.h>
#include <unistd.h>

#include <memory>

#include "base/text.h"
#include "cli/cancel_on_signal.h"
#include "cli/container_verbs.h"
#include "cli/human_time.h"
#include "cli/options.h"
#include "cli/output_file.h"
#include "diatom/runtime.h"

namespace diatom::cli {

namespace {

struct Flags {
  CopyOptions options;
  bool quiet = false;
  std::vector<std::string> paths;
  std::string output;
};

struct Place {
  std::string container;  // empty: this host
  std::string path;
};

// docker's: "CONTAINER:PATH"; a path that begins with "/" or "." is the host's, whatever colons it has.
Place parse_place(const std::string& text) {
  size_t colon = text.find(':');
  if (text.starts_with('/') || text.starts_with('.') || colon == std::string::npos || colon == 0) return {"", text};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

void print_warnings(const std::vector<std::string>& warnings) {
  for (const auto& warning : warnings) fmt::print(stderr, "diatom: warning: {}\n", printable(warning, uncut));
}

Result<CopyResult> copy_out(Runtime& runtime, const Place& from, const Place& to, const Flags& flags) {
  if (to.path != "-") return runtime.copy_from(from.container, from.path, to.path, flags.options);
  if (::isatty(STDOUT_FILENO) != 0)
    return fail(Errc::invalid_argument, "cp: standard output is a terminal",
                "redirect the tar, or name a place for it");
  return runtime.read_archive(from.container, from.path, STDOUT_FILENO, flags.options);
}

Result<CopyResult> copy_in(Runtime& runtime, const Place& from, const Place& to, const Flags& flags) {
  if (from.path != "-") return runtime.copy_to(to.container, from.path, to.path, flags.options);
  if (::isatty(STDIN_FILENO) != 0)
    return fail(Errc::invalid_argument, "cp: standard input is a terminal", "pipe a tar in, or name a source");
  return runtime.write_archive(to.container, STDIN_FILENO, to.path);
}

Result<int> copy(const Flags& flags) {
  Place from = parse_place(flags.paths[0]);
  Place to = parse_place(flags.paths[1]);
  if (from.container.empty() == to.container.empty())
    return fail(Errc::invalid_argument,
                from.container.empty() ? "cp: neither place is in a container" : "cp: both places are in containers",
                "diatom cp CONTAINER:SRC DST, or diatom cp SRC CONTAINER:DST");
  Runtime runtime = TRY(Runtime::open());
  CancelOnSignal guard(runtime);
  bool out = !from.container.empty();
  CopyResult result = TRY(out ? copy_out(runtime, from, to, flags) : copy_in(runtime, from, to, flags));
  print_warnings(result.warnings);
  if (!flags.quiet && result.bytes > 0 && ::isatty(STDERR_FILENO) != 0)
    fmt::print(stderr, "Successfully copied {} to {}\n", human_size(result.bytes), flags.paths[1]);
  return 0;
}

Result<int> export_root(const Flags& flags) {
  bool to_stdout = flags.output.empty() || flags.output == "-";
  if (to_stdout && ::isatty(STDOUT_FILENO) != 0)
    return fail(Errc::invalid_argument, "export: standard output is a terminal", "redirect it, or use --output FILE");
  Runtime runtime = TRY(Runtime::open());
  CancelOnSignal guard(runtime);
  if (to_stdout) {
    print_warnings(TRY(runtime.export_root(flags.paths[0], STDOUT_FILENO)).warnings);
    return 0;
  }
  OutputFile file = TRY(OutputFile::create(flags.output));
  print_warnings(TRY(runtime.export_root(flags.paths[0], file.fd())).warnings);
  TRY(file.commit());
  return 0;
}

}  // namespace

void add_copy(CLI::App& parent, Invocation& invocation) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = parent.add_subcommand("cp", "copy files between a container, running or not, and this host");
  verb->add_flag("-a,--archive", flags->options.archive, "with the owners that the files have");
  verb->add_flag("-L,--follow-link", flags->options.follow_link, "of a link as SRC, what it leads to");
  verb->add_flag("-q,--quiet", flags->quiet, "do not say how much was copied (nor is it when stderr is no terminal)");
  verb->add_option("SRC DST", flags->paths,
                   "one of them CONTAINER:PATH; \"/.\" behind SRC: its contents; - is a tar on stdin or stdout")
      ->required()
      ->expected(2);
  verb->callback([&invocation, flags] { invocation.run = [flags] { return copy(*flags); }; });
}

void add_export(CLI::App& parent, Invocation& invocation) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = parent.add_subcommand("export", "write the root file system of a container as a tar");
  one(verb->add_option("-o,--output", flags->output, "file (default: stdout); it is there when it is whole"));
  verb->add_option("CONTAINER", flags->paths, "name or id")->required()->expected(1);
  verb->callback([&invocation, flags] { invocation.run = [flags] { return export_root(*flags); }; });
}

}  // namespace diatom::cli
