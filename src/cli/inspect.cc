#include <fmt/core.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/image_verbs.h"
#include "cli/json_output.h"
#include "cli/options.h"
#include "cli/template.h"
#include "diatom/images.h"
#include "diatom/runtime.h"
#include "runtime/json/documents.h"

namespace diatom::cli {

namespace {

struct Flags {
  std::string type;
  std::string format;
  bool size = false;
  std::vector<std::string> names;
};

// What a name means: a container, else an image. Each store is opened when it is asked.
class Objects {
 public:
  Objects(std::string type, bool size) : type_(std::move(type)), size_(size) {}

  Result<Json> find(const std::string& name) {
    if (type_ != "image") {
      auto found = container(name);
      if (found || type_ == "container" || found.error().code != Errc::not_found) return found;
    }
    auto found = image(name);
    if (found || type_ == "image" || found.error().code != Errc::not_found) return found;
    return fail(Errc::not_found, fmt::format("inspect {}: there is no container and no image of that name", name));
  }

 private:
  Result<Json> container(const std::string& name) {
    if (!runtime_) runtime_.emplace(TRY(Runtime::open()));
    ContainerInfo info = TRY(runtime_->container(name));
    Json json = container_json(info);
    if (size_) TRY(add_size(json, info));
    return json;
  }
  // docker's SizeRootFs is what the container sees: the image, and what it has written over it.
  Result<> add_size(Json& json, const ContainerInfo& info) {
    for (const auto& one : TRY(runtime_->disk_usage()).each_container)
      if (one.id == info.id) json["SizeRw"] = one.bytes;
    if (!images_) images_.emplace(TRY(Images::open()));
    auto image = images_->inspect(info.image_id);
    json["SizeRootFs"] = json.value("SizeRw", uint64_t{0}) + (image ? image->size_bytes : 0);
    return {};
  }
  Result<Json> image(const std::string& name) {
    if (!images_) images_.emplace(TRY(Images::open()));
    return image_json(TRY(images_->inspect(name)));
  }

  std::string type_;
  bool size_;
  std::optional<Runtime> runtime_;
  std::optional<Images> images_;
};

Result<int> inspect(const Flags& flags) {
  if (!flags.type.empty() && flags.type != "container" && flags.type != "image")
    return fail(Errc::invalid_argument, fmt::format("inspect: there is no type \"{}\"", flags.type),
                "the types are container and image");
  bool each_on_a_line = !flags.format.empty() && flags.format != "json";
  std::optional<Template> line;
  if (each_on_a_line) line.emplace(TRY(Template::parse(flags.format)));
  Objects objects(flags.type, flags.size);
  Json found = Json::array();
  std::optional<Error> last;
  for (const auto& name : flags.names) {
    auto object = objects.find(name);
    if (object && line) {
      fmt::print("{}\n", TRY(line->execute(*object)));
    } else if (object) {
      found.push_back(std::move(*object));
    } else {
      print_error(object.error());
      last = object.error();
    }
  }
  if (!line) fmt::print("{}\n", print_json(found, flags.format == "json" ? -1 : 4));
  return last ? 1 : 0;
}

CLI::App* add(CLI::App& parent, Invocation& invocation, const std::shared_ptr<Flags>& flags, const char* help) {
  CLI::App* verb = parent.add_subcommand("inspect", help);
  one(verb->add_option("-f,--format", flags->format, "json, or a template: {{.Id}}, {{json .Config}}, as docker's"));
  verb->footer("What does not exist is named on stderr, the rest is printed; the exit status is then 1.");
  verb->callback([&invocation, flags] { invocation.run = [flags] { return inspect(*flags); }; });
  return verb;
}

}  // namespace

void add_inspect_command(CLI::App& app, Invocation& invocation) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = add(app, invocation, flags, "print everything about containers and images as JSON");
  verb->add_flag("-s,--size", flags->size, "also what a container takes on the disk: SizeRw, SizeRootFs");
  one(verb->add_option("--type", flags->type, "container or image (default: whichever has the name)"));
  verb->add_option("NAME", flags->names, "names or ids")->required();
}

void add_container_inspect(CLI::App& parent, Invocation& invocation) {
  auto flags = std::make_shared<Flags>();
  flags->type = "container";
  CLI::App* verb = add(parent, invocation, flags, "print everything about containers as JSON");
  verb->add_flag("-s,--size", flags->size, "also what each takes on the disk: SizeRw, SizeRootFs");
  verb->add_option("CONTAINER", flags->names, "names or ids")->required();
}

void add_image_inspect(CLI::App& parent, Invocation& invocation) {
  auto flags = std::make_shared<Flags>();
  flags->type = "image";
  CLI::App* verb = add(parent, invocation, flags, "print everything about images as JSON");
  verb->add_option("IMAGE", flags->names, "names or ids")->required();
}

}  // namespace diatom::cli
