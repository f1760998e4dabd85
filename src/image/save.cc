// save: one tar that is an OCI image layout (index.json) and a docker archive (manifest.json) over the same blobs.
#include "image/save.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "image/events.h"
#include "image/stored_blob.h"
#include "oci/manifest.h"
#include "oci/reference.h"
#include "rootfs/libarchive.h"
#include "store/content_store.h"

namespace diatom::image {

namespace {

using nlohmann::json;

constexpr size_t copy_block = 1 << 20;

struct Chosen {
  store::ImageRecord record;
  std::string document;  // the manifest
  oci::Manifest manifest;
  std::vector<oci::Reference> names;
};

std::string blob_path(const oci::Digest& digest) { return "blobs/sha256/" + digest.hex(); }

// A tar on its way into a descriptor. The first failure to write is kept: libarchive has only words for it.
class TarWriter {
 public:
  explicit TarWriter(int fd) : fd_(fd), handle_(rootfs::libarchive().write_new()) {
    rootfs::libarchive().write_set_format_pax_restricted(handle_.get());
    rootfs::libarchive().write_set_bytes_per_block(handle_.get(), copy_block);
    rootfs::libarchive().write_set_bytes_in_last_block(handle_.get(), 1);
    rootfs::libarchive().write_open(handle_.get(), this, nullptr, write_callback, nullptr);
  }

  Result<> add(const std::string& path, std::string_view content) {
    TRY(begin(path, content.size()));
    return data(std::as_bytes(std::span(content)));
  }

  Result<> add(const std::string& path, uint64_t size, rootfs::ByteSource& source) {
    TRY(begin(path, size));
    std::vector<std::byte> block(copy_block);
    for (size_t got; (got = TRY(source.read(block))) > 0;) TRY(data(std::span(block).first(got)));
    return {};
  }

  Result<> finish() { return check(rootfs::libarchive().write_close(handle_.get())); }

 private:
  struct Free {
    void operator()(archive* handle) const { rootfs::libarchive().write_free(handle); }
  };
  struct FreeEntry {
    void operator()(archive_entry* entry) const { rootfs::libarchive().entry_free(entry); }
  };

  static la_ssize_t write_callback(archive* handle, void* user, const void* bytes, size_t size) {
    auto* self = static_cast<TarWriter*>(user);
    auto written = write_all(self->fd_, std::span(static_cast<const std::byte*>(bytes), size));
    if (written) return static_cast<la_ssize_t>(size);
    self->error_ = written.error();
    rootfs::libarchive().set_error(handle, EIO, "write failed");
    return -1;
  }

  Result<> check(la_ssize_t result) {
    if (result >= 0) return {};
    if (error_) return fail(error_->code, "save: " + error_->message, error_->hint);
    return fail(Errc::internal, std::string("save: write tar: ") + rootfs::libarchive().error_string(handle_.get()));
  }

  Result<> begin(const std::string& path, uint64_t size) {
    std::unique_ptr<archive_entry, FreeEntry> entry(rootfs::libarchive().entry_new());
    rootfs::libarchive().entry_set_pathname(entry.get(), path.c_str());
    rootfs::libarchive().entry_set_filetype(entry.get(), AE_IFREG);
    rootfs::libarchive().entry_set_perm(entry.get(), 0644);
    rootfs::libarchive().entry_set_mtime(entry.get(), 0, 0);  // the same images give the same archive
    rootfs::libarchive().entry_set_size(entry.get(), static_cast<la_int64_t>(size));
    return check(rootfs::libarchive().write_header(handle_.get(), entry.get()));
  }

  Result<> data(std::span<const std::byte> bytes) {
    return check(rootfs::libarchive().write_data(handle_.get(), bytes.data(), bytes.size()));
  }

  int fd_;
  std::unique_ptr<archive, Free> handle_;
  std::optional<Error> error_;
};

// Every manifest once, whatever it was called by.
Result<std::vector<Chosen>> choose(store::Store& store, const std::vector<std::string>& references) {
  std::vector<Chosen> chosen;
  std::map<std::string, size_t> places;
  for (const std::string& reference : references) {
    store::ImageRecord record = TRY(store.images().find(reference));
    auto [place, added] = places.emplace(record.manifest, chosen.size());
    if (added) {
      Chosen& image = chosen.emplace_back();
      image.document = TRY(store::read_blob(store.paths(), oci::Digest::from_hex(record.manifest)));
      image.manifest = TRY(oci::parse_manifest(image.document));
      image.record = std::move(record);
    }
    // An image that was asked for by its id comes without a name, as with docker.
    Chosen& image = chosen[place->second];
    auto name = oci::Reference::parse(reference);
    if (!name || !name->digest.empty()) continue;
    bool has_it = std::ranges::find(image.record.tags, name->canonical()) != image.record.tags.end();
    bool twice = std::ranges::find(image.names, name->canonical(), &oci::Reference::canonical) != image.names.end();
    if (has_it && !twice) image.names.push_back(*name);
  }
  return chosen;
}

std::string index_json(const std::vector<Chosen>& images) {
  json manifests = json::array();
  for (const Chosen& image : images) {
    json entry = {{"mediaType", image.manifest.media_type.empty() ? std::string(oci::media_type::manifest)
                                                                  : image.manifest.media_type},
                  {"digest", "sha256:" + image.record.manifest},
                  {"size", image.document.size()}};
    if (image.names.empty()) manifests.push_back(entry);
    for (const oci::Reference& name : image.names) {
      entry["annotations"] = {{"io.containerd.image.name", name.canonical()},
                              {"org.opencontainers.image.ref.name", name.tag}};
      manifests.push_back(entry);
    }
  }
  return json{{"schemaVersion", 2}, {"mediaType", oci::media_type::index}, {"manifests", manifests}}.dump();
}

std::string docker_json(const std::vector<Chosen>& images) {
  json list = json::array();
  for (const Chosen& image : images) {
    json layers = json::array();
    for (const oci::Descriptor& layer : image.manifest.layers) layers.push_back(blob_path(layer.digest));
    json tags = json::array();
    for (const oci::Reference& name : image.names) tags.push_back(name.familiar());
    list.push_back({{"Config", blob_path(image.manifest.config.digest)}, {"RepoTags", tags}, {"Layers", layers}});
  }
  return list.dump();
}

}  // namespace

Result<> save_images(store::Store& store, const std::vector<std::string>& references, int out_fd,
                     const CancelToken& cancel) {
  // Nothing that is being read may be swept away by another process.
  FileLock lock = TRY(store.lock_for_adding(cancel));
  std::vector<Chosen> images = TRY(choose(store, references));
  TRY(rootfs::load_libarchive());
  TarWriter tar(out_fd);
  // The small ones first: a reader of a stream knows what comes.
  TRY(tar.add("oci-layout", R"({"imageLayoutVersion":"1.0.0"})"));
  TRY(tar.add("index.json", index_json(images)));
  TRY(tar.add("manifest.json", docker_json(images)));
  std::set<std::string> done;
  for (const Chosen& image : images) {
    if (done.insert(image.record.manifest).second)
      TRY(tar.add(blob_path(oci::Digest::from_hex(image.record.manifest)), image.document));
    std::vector<oci::Descriptor> blobs = {image.manifest.config};
    blobs.insert(blobs.end(), image.manifest.layers.begin(), image.manifest.layers.end());
    for (const oci::Descriptor& blob : blobs) {
      if (!done.insert(blob.digest.hex()).second) continue;
      auto source = TRY(open_stored_blob(store.paths(), blob, cancel));
      TRY(tar.add(blob_path(blob.digest), blob.size, *source));
    }
  }
  TRY(tar.finish());
  // What was asked for is done: a full disk under the store is no failure of it.
  for (const Chosen& image : images) {
    std::string id = "sha256:" + image.record.id;
    [[maybe_unused]] auto ignored = store.events().record(image_event(store.paths(), "save", id, id, image.record.id));
  }
  return {};
}

}  // namespace diatom::image
