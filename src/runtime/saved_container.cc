#include "runtime/saved_container.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/platform/platform.h"
#include "channel/json_fields.h"
#include "runtime/create.h"
#include "vm/engine.h"

namespace diatom {

namespace {

constexpr uint64_t most_bytes = 16 << 20;

constexpr auto saved_fields = [](auto& field, auto& saved) {
  field("name", saved.info.name);
  field("container", saved.info.container);
  field("container_name", saved.info.container_name);
  field("image", saved.info.image);
  field("image_name", saved.info.image_name);
  field("created_ns", saved.info.created_ns);
  field("vcpus", saved.info.vcpus);
  field("memory_bytes", saved.info.memory_bytes);
  field("spec", saved.wanted);
};

fs::path document_path(const fs::path& folder) { return folder / "snapshot.json"; }

}  // namespace

std::string print_saved(const SavedContainer& saved) { return channel::encode_fields(saved, saved_fields); }

Result<SavedContainer> parse_saved(std::string_view text) {
  return channel::decode_fields<SavedContainer>("a snapshot", text, saved_fields);
}

Result<> record_saved(const fs::path& folder, const SavedContainer& saved) {
  UniqueFd file = TRY(open_file(document_path(folder), O_WRONLY | O_CREAT | O_TRUNC));
  return write_all(file.get(), print_saved(saved));
}

Result<SavedContainer> read_saved(const fs::path& folder) {
  return parse_saved(TRY(read_file(document_path(folder), most_bytes)));
}

fs::path saved_folder(const store::Paths& paths, const std::string& id) { return paths.container(id) / "saved"; }

bool is_saved_folder(const fs::path& folder) { return ::access(folder.c_str(), F_OK) == 0; }

Result<CreatedContainer> create_from_saved(store::Store& store, const ContainerSpec& spec, const SavedContainer& saved,
                                           const fs::path& folder) {
  ContainerSpec wanted = spec;
  wanted.engine = TRY(vm::read_saved_machine(folder)).engine;  // no other can go on from there
  auto fill = [&](const fs::path& directory) -> Result<> {
    if (!wanted.read_only) TRY(platform::clone_file(folder / "upper", directory / "upper.ext4"));
    TRY(make_directories(directory / "saved"));
    // The same files, so that all that go on from them share what they have not written.
    for (const char* name : vm::saved_machine_files)
      if (::link((folder / name).c_str(), (directory / "saved" / name).c_str()) < 0)
        return fail_errno("link to " + (folder / name).string());
    return {};
  };
  return create_container(store, wanted, Origin{.image = "sha256:" + saved.info.image, .fill = fill});
}

}  // namespace diatom
