#include "cli/pull.h"

#include <fmt/core.h>
#include <unistd.h>

#include <memory>

#include "cli/cancel_on_signal.h"
#include "cli/image_verbs.h"
#include "cli/options.h"
#include "cli/transfer_flags.h"
#include "oci/reference.h"

namespace diatom::cli {

namespace {

struct Flags {
  bool all_tags = false;
  std::string platform;
  std::string policy = "always";
  AccessFlags access;
  ProgressFlags progress;
  std::string name;
};

void announce(Progress& progress, const oci::Reference& name) {
  std::string what = name.digest.empty() ? name.tag : name.canonical();
  progress.line(fmt::format("{}: Pulling from {}", what, name.repository));
}

void conclude(Progress& progress, const PulledImage& image, const std::string& shown) {
  if (!image.digest.empty()) progress.line("Digest: " + image.digest);
  progress.line(
      fmt::format("Status: {} for {}", image.fetched ? "Downloaded newer image" : "Image is up to date", shown));
}

// Whether a name has a tag or a digest of its own.
bool names_one_image(std::string_view name) {
  std::string_view last = name.substr(name.rfind('/') + 1);
  return last.find_first_of(":@") != std::string_view::npos;
}

std::string canonical(const std::string& reference) {
  auto name = oci::Reference::parse(reference);
  return name ? name->canonical() : reference;
}

Result<int> pull_all(const Flags& flags, const PullOptions& given, ProgressMode mode) {
  oci::Reference name = TRY(oci::Reference::parse(flags.name));
  if (names_one_image(flags.name))
    return fail(Errc::invalid_argument, fmt::format("pull {}: --all-tags takes no tag", flags.name),
                "name the repository alone");
  Images images = TRY(Images::open());
  CancelOnSignal guard(images);
  Progress progress(mode, Transfer::pull, STDOUT_FILENO);
  PullOptions options = given;
  options.on_progress = progress.handler();
  progress.line("Pulling every tag of " + name.repository);
  auto pulled = TRY(images.pull_all_tags(flags.name, options));
  progress.finish();
  for (const PulledImage& image : pulled) conclude(progress, image, image.reference);
  name.tag.clear();
  if (mode != ProgressMode::json) fmt::print("{}/{}\n", name.registry, name.repository);
  return 0;
}

Result<int> pull(const Flags& flags) {
  PullOptions options;
  options.policy = TRY(parse_pull_policy(flags.policy));
  options.platform = flags.platform;
  ProgressMode mode = TRY(progress_mode(flags.progress, STDOUT_FILENO));
  options.access = TRY(registry_access(flags.access));
  auto loading = begin_loading_registry_client();
  if (flags.all_tags) return pull_all(flags, options, mode);
  Images images = TRY(Images::open());
  PulledImage image = TRY(pull_image(images, flags.name, std::move(options), mode, STDOUT_FILENO));
  // The last line of json is JSON, too: pull_image() has said everything in it.
  if (mode != ProgressMode::json) fmt::print("{}\n", canonical(image.reference));
  return 0;
}

}  // namespace

Result<PulledImage> pull_image(Images& images, const std::string& reference, PullOptions options, ProgressMode mode,
                               int fd) {
  oci::Reference name = TRY(oci::Reference::parse(reference));
  CancelOnSignal guard(images);
  Progress progress(mode, Transfer::pull, fd);
  bool announced = options.policy == PullPolicy::always || options.policy == PullPolicy::newer;
  if (announced && !names_one_image(reference)) progress.line("Using default tag: " + name.tag);
  if (announced) announce(progress, name);
  auto report = progress.handler();
  // With the other policies nothing may be pulled at all: that is known when something happens.
  options.on_progress = [&](const TransferProgress& event) {
    if (!announced) announce(progress, name);
    announced = true;
    if (report) report(event);
  };
  PulledImage image = TRY(images.pull(reference, options));
  progress.finish();
  conclude(progress, image, image.reference);
  if (mode == ProgressMode::json) progress.line(canonical(image.reference));
  return image;
}

void add_pull(CLI::App& parent, Invocation& invocation) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = parent.add_subcommand("pull", "fetch an image from a registry and make it ready to run");
  verb->add_flag("-a,--all-tags", flags->all_tags, "every tag of the repository");
  one(verb->add_option("--platform", flags->platform, "os/arch[/variant] to choose (default: the host's)"));
  one(verb->add_option(
      "--policy", flags->policy,
      "always: what the registry says counts (default); newer: as always, but what is here serves when "
      "nobody answers; missing: ask only when it is not here; never: do not ask"));
  add_access_flags(*verb, flags->access);
  add_progress_flags(*verb, flags->progress);
  verb->add_option("NAME", flags->name, "[REGISTRY/]REPOSITORY[:TAG|@DIGEST]")->required();
  verb->footer("Digests are verified. What is here already is not fetched again.");
  verb->callback([&invocation, flags] { invocation.run = [flags] { return pull(*flags); }; });
}

}  // namespace diatom::cli
