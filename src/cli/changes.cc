#include <fmt/core.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cli/cancel_on_signal.h"
#include "cli/container_verbs.h"
#include "cli/options.h"
#include "diatom/runtime.h"
#include "runtime/json/documents.h"

namespace diatom::cli {

namespace {

struct Flags {
  std::vector<std::string> names;
  std::string format;
  CommitOptions options;
};

Result<int> diff(const Flags& flags) {
  if (!flags.format.empty() && flags.format != "json")
    return fail(Errc::invalid_argument, "diff: there is no format \"" + flags.format + "\"", "json, or none");
  Runtime runtime = TRY(Runtime::open());
  CancelOnSignal guard(runtime);
  std::vector<FileChange> changes = TRY(runtime.diff(flags.names.front()));
  if (!flags.format.empty()) {
    fmt::print("{}\n", print_json(changes_json(changes)));
    return 0;
  }
  for (const FileChange& change : changes) {
    char letter = change.kind == FileChange::Kind::added ? 'A' : change.kind == FileChange::Kind::changed ? 'C' : 'D';
    fmt::print("{} {}\n", letter, printable(change.path, uncut));
  }
  return 0;
}

Result<int> commit(Flags& flags) {
  if (flags.names.size() > 1) flags.options.reference = flags.names[1];
  Runtime runtime = TRY(Runtime::open());
  CancelOnSignal guard(runtime);
  CommittedImage image = TRY(runtime.commit(flags.names.front(), flags.options));
  for (const auto& warning : image.warnings) fmt::print(stderr, "diatom: warning: {}\n", printable(warning, uncut));
  fmt::print("{}\n", image.id);
  return 0;
}

}  // namespace

void add_diff(CLI::App& parent, Invocation& invocation) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = parent.add_subcommand("diff", "list what a container has changed: A added, C changed, D deleted");
  one(verb->add_option("--format", flags->format, "json"));
  verb->add_option("CONTAINER", flags->names, "name or id")->required()->expected(1);
  verb->callback([&invocation, flags] { invocation.run = [flags] { return diff(*flags); }; });
}

void add_commit(CLI::App& parent, Invocation& invocation) {
  auto flags = std::make_shared<Flags>();
  CommitOptions& options = flags->options;
  CLI::App* verb = parent.add_subcommand("commit", "make an image of a container and its changes");
  one(verb->add_option("-a,--author", options.author, "\"Jane Doe <jane@example.com>\""));
  many(verb->add_option("-c,--change", options.changes,
                        "change its config in a Dockerfile's words: 'CMD [\"sh\"]', 'ENV A=b' (several times)"));
  one(verb->add_option("-m,--message", options.message, "a comment for its history"));
  verb->add_flag("-p,--pause,!--no-pause", options.pause, "let its programs stand still meanwhile (default)");
  verb->add_option("CONTAINER [REPOSITORY[:TAG]]", flags->names, "the container, and the image's name")
      ->required()
      ->expected(1, 2);
  verb->callback([&invocation, flags] { invocation.run = [flags] { return commit(*flags); }; });
}

}  // namespace diatom::cli
