#include <fmt/core.h>
#include <unistd.h>

#include <memory>

#include "cli/cancel_on_signal.h"
#include "cli/image_verbs.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/transfer_flags.h"
#include "oci/reference.h"

namespace diatom::cli {

namespace {

struct Flags {
  bool all_tags = false;
  AccessFlags access;
  ProgressFlags progress;
  std::string name;
};

// The names to send, canonical: that one, or every tag of the repository that is here.
Result<std::vector<std::string>> names_to_push(Images& images, const oci::Reference& name, bool all_tags) {
  if (!all_tags) return std::vector{name.canonical()};
  std::vector<std::string> names;
  for (const ImageInfo& image : TRY(images.list()))
    for (const auto& tag : image.tags) {
      auto other = oci::Reference::parse(tag);
      if (other && other->registry == name.registry && other->repository == name.repository)
        names.push_back(other->canonical());
    }
  if (names.empty())
    return fail(Errc::not_found, fmt::format("push {}: there is no image of that name", name.repository),
                "`diatom images` lists them");
  return names;
}

Result<int> push(const Flags& flags) {
  oci::Reference name = TRY(oci::Reference::parse(flags.name));
  ProgressMode mode = TRY(progress_mode(flags.progress, STDOUT_FILENO));
  PushOptions options;
  options.access = TRY(registry_access(flags.access));
  Images images = TRY(Images::open());
  auto names = TRY(names_to_push(images, name, flags.all_tags));
  CancelOnSignal guard(images);
  Progress progress(mode, Transfer::push, STDOUT_FILENO);
  options.on_progress = progress.handler();
  progress.line(fmt::format("The push refers to repository [{}/{}]", name.registry, name.repository));
  for (const auto& each : names) {
    PushedImage pushed = TRY(images.push(each, options));
    progress.finish();
    std::string tag = TRY(oci::Reference::parse(each)).tag;
    progress.line(fmt::format("{}: digest: {} size: {}", tag, pushed.digest, pushed.size_bytes));
    if (flags.progress.quiet) fmt::print("{}\n", each);
  }
  return 0;
}

}  // namespace

void add_push(CLI::App& parent, Invocation& invocation) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = parent.add_subcommand("push", "send an image to the registry in its name");
  verb->add_flag("-a,--all-tags", flags->all_tags, "every tag of the repository that is here");
  add_access_flags(*verb, flags->access);
  add_progress_flags(*verb, flags->progress);
  verb->add_option("NAME", flags->name, "[REGISTRY/]REPOSITORY[:TAG]")->required();
  verb->footer("Layers that the registry has are not sent again; the image's digest stays what it is.");
  verb->callback([&invocation, flags] { invocation.run = [flags] { return push(*flags); }; });
}

void add_tag(CLI::App& parent, Invocation& invocation) {
  struct Names {
    std::string source;
    std::string target;
  };
  auto names = std::make_shared<Names>();
  CLI::App* verb = parent.add_subcommand("tag", "give an image another name");
  verb->add_option("SOURCE", names->source, "name or id")->required();
  verb->add_option("TARGET", names->target, "[REGISTRY/]REPOSITORY[:TAG]")->required();
  verb->callback([&invocation, names] {
    invocation.run = [names]() -> Result<int> {
      Images images = TRY(Images::open());
      TRY(images.tag(names->source, names->target));
      return 0;
    };
  });
}

}  // namespace diatom::cli
