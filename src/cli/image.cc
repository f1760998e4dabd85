#include <fmt/core.h>
#include <signal.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <atomic>
#include <memory>

#include "base/size.h"
#include "cli/command.h"
#include "cli/each.h"
#include "cli/json_output.h"
#include "diatom/images.h"

namespace diatom::cli {

namespace {

std::atomic<Images*> loading{nullptr};

// The first Ctrl-C ends a load in an orderly way, a second one at once.
class CancelOnSignal {
 public:
  explicit CancelOnSignal(Images& images) {
    loading = &images;
    struct sigaction action{};
    action.sa_handler = [](int) {
      if (Images* images_to_cancel = loading.load()) images_to_cancel->cancel();
    };
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    for (int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(signal, &action, nullptr);
  }
  CancelOnSignal(const CancelOnSignal&) = delete;
  CancelOnSignal& operator=(const CancelOnSignal&) = delete;
  CancelOnSignal(CancelOnSignal&&) = delete;
  CancelOnSignal& operator=(CancelOnSignal&&) = delete;
  ~CancelOnSignal() {
    for (int signal : {SIGINT, SIGTERM, SIGHUP}) ::signal(signal, SIG_DFL);
    loading = nullptr;
  }
};

struct Flags {
  std::string input = "-";
  bool quiet = false;
  bool json = false;
  bool no_trunc = false;
  bool force = false;
  std::vector<std::string> names;
};

std::string shown_id(const std::string& id, bool whole) { return whole ? id : id.substr(7, 12); }

Result<int> load(const Flags& flags) {
  if (flags.input == "-" && ::isatty(STDIN_FILENO) != 0)
    return fail(Errc::invalid_argument, "image load: standard input is a terminal",
                "pipe an archive in, or name one with --input FILE");
  Images images = TRY(Images::open());
  CancelOnSignal guard(images);
  for (const LoadedImage& image : TRY(images.load(flags.input))) {
    for (const auto& tag : image.tags) fmt::print("Loaded image: {}\n", tag);
    if (image.tags.empty()) fmt::print("Loaded image ID: {}\n", image.id);
  }
  return 0;
}

Result<int> list(const Flags& flags) {
  Images images = TRY(Images::open());
  auto all = TRY(images.list());
  if (flags.json) {
    print_image_list_json(all);
    return 0;
  }
  if (!flags.quiet) fmt::print("{:<40}{:<16}{:<24}{}\n", "NAME", "IMAGE ID", "CREATED", "SIZE");
  for (const ImageInfo& image : all) {
    std::string id = shown_id(image.id, flags.no_trunc);
    if (flags.quiet) {
      fmt::print("{}\n", id);
      continue;
    }
    auto tags = image.tags.empty() ? std::vector<std::string>{"<none>"} : image.tags;
    for (const auto& tag : tags)
      fmt::print("{:<40}{:<16}{:<24}{}\n", tag, id, image.created.substr(0, 19), format_size(image.size_bytes));
  }
  return 0;
}

Result<int> inspect(const Flags& flags) {
  Images images = TRY(Images::open());
  std::vector<ImageInfo> found;
  for (const auto& name : flags.names) found.push_back(TRY(images.inspect(name)));
  print_images_json(found);
  return 0;
}

Result<int> remove(const Flags& flags) {
  Images images = TRY(Images::open());
  return for_each_name(flags.names, [&](const std::string& name) -> Result<> {
    RemovedImage removed = TRY(images.remove(name, flags.force));
    for (const auto& tag : removed.untagged) fmt::print("Untagged: {}\n", tag);
    if (!removed.deleted.empty()) fmt::print("Deleted: {}\n", removed.deleted);
    return {};
  });
}

using Action = Result<int> (*)(const Flags&);

CLI::App* add_verb(CLI::App& parent, Invocation& invocation, const std::shared_ptr<Flags>& flags, const char* name,
                   const char* help, Action action) {
  CLI::App* verb = parent.add_subcommand(name, help);
  verb->callback([&invocation, flags, action] { invocation.run = [flags, action] { return action(*flags); }; });
  return verb;
}

void add_list(CLI::App& parent, Invocation& invocation, const std::shared_ptr<Flags>& flags, const char* name) {
  CLI::App* verb = add_verb(parent, invocation, flags, name, "list the images of the store", list);
  verb->add_flag("-q,--quiet", flags->quiet, "ids only");
  verb->add_flag("--json", flags->json, "print JSON");
  verb->add_flag("--no-trunc", flags->no_trunc, "whole ids");
}

void add_remove(CLI::App& parent, Invocation& invocation, const std::shared_ptr<Flags>& flags, const char* name) {
  CLI::App* verb = add_verb(parent, invocation, flags, name, "remove images", remove);
  verb->add_flag("-f,--force", flags->force, "also with several names, or with containers made from it");
  verb->add_option("IMAGE", flags->names, "name or id")->required();
}

}  // namespace

void add_image_commands(CLI::App& app, Invocation& invocation) {
  auto flags = std::make_shared<Flags>();
  CLI::App* image = app.add_subcommand("image", "load, list, inspect and remove images");
  image->require_subcommand(1);
  for (CLI::App* parent : {image, &app}) {
    CLI::App* verb = add_verb(*parent, invocation, flags, "load",
                              "load images from an OCI layout or a docker archive: a tar, a folder, or stdin", load);
    verb->add_option("-i,--input", flags->input, "file or folder; - is stdin (the default)");
    verb->add_flag("-q,--quiet", flags->quiet, "no progress (there is none yet), only what was loaded");
  }
  add_list(*image, invocation, flags, "ls");
  add_list(app, invocation, flags, "images");
  CLI::App* inspected = add_verb(*image, invocation, flags, "inspect", "everything about images, as JSON", inspect);
  inspected->add_option("IMAGE", flags->names, "name or id")->required();
  add_remove(*image, invocation, flags, "rm");
  add_remove(app, invocation, flags, "rmi");
}

}  // namespace diatom::cli
