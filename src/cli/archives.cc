#include <fmt/core.h>
#include <unistd.h>

#include <memory>

#include "cli/cancel_on_signal.h"
#include "cli/image_verbs.h"
#include "cli/options.h"
#include "cli/output_file.h"
#include "diatom/images.h"

namespace diatom::cli {

namespace {

struct LoadFlags {
  std::string input = "-";
  bool quiet = false;
};

struct SaveFlags {
  std::string output;
  std::vector<std::string> names;
};

struct ImportFlags {
  std::string input;
  ImportOptions options;
};

Result<> refuse_terminal(const char* verb) {
  if (::isatty(STDIN_FILENO) == 0) return {};
  return fail(Errc::invalid_argument, fmt::format("{}: standard input is a terminal", verb),
              "pipe an archive in, or name a file");
}

Result<int> load(const LoadFlags& flags) {
  if (flags.input == "-") TRY(refuse_terminal("load"));
  Images images = TRY(Images::open());
  CancelOnSignal guard(images);
  for (const LoadedImage& image : TRY(images.load(flags.input))) {
    for (const auto& tag : image.tags) fmt::print("Loaded image: {}\n", tag);
    if (image.tags.empty()) fmt::print("Loaded image ID: {}\n", image.id);
  }
  return 0;
}

Result<int> save(const SaveFlags& flags) {
  bool to_stdout = flags.output.empty() || flags.output == "-";
  if (to_stdout && ::isatty(STDOUT_FILENO) != 0)
    return fail(Errc::invalid_argument, "save: standard output is a terminal", "redirect it, or use --output FILE");
  Images images = TRY(Images::open());
  CancelOnSignal guard(images);
  if (to_stdout) {
    TRY(images.save(flags.names, STDOUT_FILENO));
    return 0;
  }
  OutputFile file = TRY(OutputFile::create(flags.output));
  TRY(images.save(flags.names, file.fd()));
  TRY(file.commit());
  return 0;
}

Result<int> import(const ImportFlags& flags) {
  if (flags.input == "-") TRY(refuse_terminal("import"));
  Images images = TRY(Images::open());
  CancelOnSignal guard(images);
  fmt::print("{}\n", TRY(images.import_rootfs(flags.input, flags.options)).id);
  return 0;
}

}  // namespace

void add_load(CLI::App& parent, Invocation& invocation) {
  auto flags = std::make_shared<LoadFlags>();
  CLI::App* verb =
      parent.add_subcommand("load", "load images from an OCI layout or a docker archive: a tar, a folder, or stdin");
  one(verb->add_option("-i,--input", flags->input, "file or folder; - is stdin (the default)"));
  verb->add_flag("-q,--quiet", flags->quiet, "no progress (there is none), only what was loaded");
  verb->callback([&invocation, flags] { invocation.run = [flags] { return load(*flags); }; });
}

void add_save(CLI::App& parent, Invocation& invocation) {
  auto flags = std::make_shared<SaveFlags>();
  CLI::App* verb = parent.add_subcommand("save", "write images to a tar: OCI layout and docker archive in one");
  one(verb->add_option("-o,--output", flags->output, "file (default: stdout); it is there when it is whole"));
  verb->add_option("IMAGE", flags->names, "names or ids")->required();
  verb->callback([&invocation, flags] { invocation.run = [flags] { return save(*flags); }; });
}

void add_import(CLI::App& parent, Invocation& invocation) {
  auto flags = std::make_shared<ImportFlags>();
  CLI::App* verb = parent.add_subcommand("import", "make an image from the tar of a root file system");
  many(verb->add_option("-c,--change", flags->options.changes,
                        "set its config in a Dockerfile's words: 'CMD [\"sh\"]', 'ENV A=b' (several times)"));
  one(verb->add_option("-m,--message", flags->options.message, "a comment for its history"));
  one(verb->add_option("--platform", flags->options.platform, "os/arch[/variant] (default: the host's)"));
  verb->add_option("FILE", flags->input, "tar, plain or compressed; - is stdin")->required();
  verb->add_option("NAME", flags->options.reference, "REPOSITORY[:TAG]");
  verb->callback([&invocation, flags] { invocation.run = [flags] { return import(*flags); }; });
}

}  // namespace diatom::cli
