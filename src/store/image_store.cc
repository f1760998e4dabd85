#include "store/image_store.h"

#include <fcntl.h>

#include <set>

#include "base/file.h"
#include "oci/reference.h"

namespace diatom::store {

namespace {

// A file's name up to its extension is what the database knows it by. What is not called as we call things is not ours:
// DIATOM_HOME may point to a folder that has others' files in it.
void remove_unnamed(const fs::path& directory, const std::set<std::string>& named) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error))
    if (std::string name = entry.path().stem().string(); oci::is_sha256_hex(name) && !named.contains(name)) {
      std::error_code ignored;  // it is tried again at the next sweep
      fs::remove_all(entry.path(), ignored);
    }
}

// mkstemp(3) made the names, or they are the locks of layers.
void remove_ingested(const fs::path& directory) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    std::error_code ignored;
    bool ours = entry.path().filename().string().size() == 6 || oci::is_sha256_hex(entry.path().stem().string());
    if (ours && entry.is_regular_file(ignored)) fs::remove(entry.path(), ignored);
  }
}

std::set<std::string> as_set(std::vector<std::string> list) { return {list.begin(), list.end()}; }

}  // namespace

Result<std::vector<std::string>> ImageStore::column(std::string_view sql,
                                                    std::initializer_list<std::string_view> parameters) {
  Statement query = TRY(database_.prepare(sql));
  for (std::string_view parameter : parameters) query.bind(parameter);
  std::vector<std::string> values;
  while (TRY(query.step())) values.push_back(query.text(0));
  return values;
}

Result<std::optional<LayerRecord>> ImageStore::layer(const std::string& diff_id) {
  Statement query = TRY(database_.prepare("SELECT data_bytes, tar_bytes, entries FROM layers WHERE diff_id = ?"));
  if (!TRY(query.bind(diff_id).step())) return std::optional<LayerRecord>();
  return std::optional(LayerRecord{diff_id, static_cast<uint64_t>(query.number(0)),
                                   static_cast<uint64_t>(query.number(1)), static_cast<uint64_t>(query.number(2)), ""});
}

Result<bool> ImageStore::is_recorded(const std::string& diff_id, const std::string& blob) {
  Statement query = TRY(database_.prepare("SELECT 1 FROM packings WHERE blob = ? AND diff_id = ? LIMIT 1"));
  return query.bind(blob).bind(diff_id).step();
}

// Once for an image, at its end: by then most of it has been written out already (Ingest::commit).
Result<> ImageStore::sync_content(const ImageRecord& image) {
  // The newest first: it takes the older ones along, where the file system has a journal.
  std::vector<fs::path> files = {paths_.image_metadata(image.id), paths_.blobs() / image.manifest,
                                 paths_.blobs() / image.id};
  for (const LayerRecord& layer : image.layers) {
    if (layer.on_disk) continue;
    files.push_back(paths_.blobs() / layer.blob);
    if (TRY(this->layer(layer.diff_id))) continue;  // recorded, so it is on the disk
    files.push_back(paths_.layer_data(layer.diff_id));
    files.push_back(paths_.layer_index(layer.diff_id));
  }
  for (const fs::path& file : files) {
    UniqueFd fd = TRY(open_file(file, O_RDONLY));
    TRY(sync_fd(fd.get()));
  }
  for (const fs::path& directory : {paths_.blobs(), paths_.layers(), paths_.images()}) TRY(sync_directory(directory));
  return {};
}

// Events are the last to be written, so that their times are in the order of the commits.
Result<> ImageStore::commit(Database::Transaction transaction, const std::vector<Event>& events) {
  for (const Event& event : events) TRY(events_.append(event));
  TRY(transaction.commit());
  if (!events.empty()) events_.notify();
  return {};
}

Result<> ImageStore::put(const ImageRecord& image, const std::vector<Event>& events) {
  TRY(sync_content(image));
  Database::Transaction transaction = TRY(database_.begin());
  Statement insert = TRY(database_.prepare(
      "INSERT INTO images VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET manifest = excluded.manifest, "
      "metadata_bytes = excluded.metadata_bytes, loaded_ns = excluded.loaded_ns"));
  insert.bind(image.id).bind(image.manifest).bind(static_cast<int64_t>(image.metadata_bytes)).bind(image.loaded_ns);
  TRY(insert.run());
  Statement manifest = TRY(database_.prepare("INSERT OR IGNORE INTO manifests VALUES (?, ?)"));
  TRY(manifest.bind(image.manifest).bind(image.id).run());
  for (size_t i = 0; i < image.layers.size(); ++i) {
    const LayerRecord& layer = image.layers[i];
    Statement put_layer = TRY(database_.prepare(
        "INSERT INTO layers VALUES (?, ?, ?, ?) ON CONFLICT (diff_id) DO UPDATE SET data_bytes = excluded.data_bytes, "
        "tar_bytes = excluded.tar_bytes, entries = excluded.entries"));
    put_layer.bind(layer.diff_id).bind(static_cast<int64_t>(layer.data_bytes));
    TRY(put_layer.bind(static_cast<int64_t>(layer.tar_bytes)).bind(static_cast<int64_t>(layer.entries)).run());
    auto position = static_cast<int64_t>(i);
    Statement link = TRY(database_.prepare("INSERT OR IGNORE INTO image_layers VALUES (?, ?, ?)"));
    TRY(link.bind(image.id).bind(position).bind(layer.diff_id).run());
    Statement packing = TRY(database_.prepare("INSERT OR IGNORE INTO packings VALUES (?, ?, ?, ?)"));
    TRY(packing.bind(image.manifest).bind(position).bind(layer.diff_id).bind(layer.blob).run());
  }
  for (const std::string& tag : image.tags) TRY(write_tag(tag, image));
  for (const RegistryDigest& digest : image.digests) TRY(write_digest(digest, image.id));
  return commit(std::move(transaction), events);
}

Result<> ImageStore::set_tag(const std::string& canonical, const ImageRecord& image, const std::vector<Event>& events) {
  Database::Transaction transaction = TRY(database_.begin());
  TRY(write_tag(canonical, image));
  return commit(std::move(transaction), events);
}

Result<> ImageStore::add_digest(const RegistryDigest& digest, const std::string& id, const std::vector<Event>& events) {
  Database::Transaction transaction = TRY(database_.begin());
  TRY(write_digest(digest, id));
  return commit(std::move(transaction), events);
}

Result<> ImageStore::write_tag(const std::string& canonical, const ImageRecord& image) {
  Statement name = TRY(
      database_.prepare("INSERT INTO tags (name, image, manifest) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
                        "image = excluded.image, manifest = excluded.manifest"));
  return name.bind(canonical).bind(image.id).bind(image.manifest).run();
}

Result<> ImageStore::write_digest(const RegistryDigest& digest, const std::string& id) {
  Statement insert =
      TRY(database_.prepare("INSERT OR IGNORE INTO image_digests SELECT ?, ?, id FROM images WHERE id = ?"));
  return insert.bind(digest.repository).bind(digest.digest).bind(id).run();
}

Result<std::vector<std::string>> ImageStore::repositories_with_blob(const std::string& registry,
                                                                    const std::string& blob, size_t limit) {
  return column(
      "SELECT DISTINCT substr(repository, length(?1) + 2) FROM image_digests JOIN images ON images.id = image "
      "WHERE substr(repository, 1, length(?1) + 1) = ?1 || '/' AND (images.id = ?2 OR EXISTS "
      "(SELECT 1 FROM manifests JOIN packings ON packings.manifest = manifests.digest "
      "WHERE manifests.image = images.id AND blob = ?2)) ORDER BY 1 LIMIT " +
          std::to_string(limit),
      {registry, blob});
}

Result<std::optional<ImageRecord>> ImageStore::find_manifest(const std::string& digest) {
  Database::Transaction moment = TRY(database_.begin_read());
  auto ids = TRY(column("SELECT image FROM manifests WHERE digest = ?", {digest}));
  if (ids.empty()) return std::optional<ImageRecord>();
  return std::optional(TRY(read(ids.front(), digest)));
}

Result<ImageRecord> ImageStore::read(const std::string& id, const std::string& manifest) {
  Database::Transaction moment = TRY(database_.begin_read());
  ImageRecord image;
  image.id = id;
  Statement query = TRY(database_.prepare("SELECT manifest, metadata_bytes, loaded_ns FROM images WHERE id = ?"));
  if (!TRY(query.bind(id).step())) return fail(Errc::not_found, "find image sha256:" + id + ": it has gone");
  image.manifest = manifest.empty() ? query.text(0) : manifest;
  image.metadata_bytes = static_cast<uint64_t>(query.number(1));
  image.loaded_ns = query.number(2);
  image.tags = TRY(column("SELECT name FROM tags WHERE image = ? ORDER BY name", {id}));
  Statement digests = TRY(
      database_.prepare("SELECT repository, digest FROM image_digests WHERE image = ? ORDER BY repository, digest"));
  digests.bind(id);
  while (TRY(digests.step())) image.digests.push_back({digests.text(0), digests.text(1)});
  Statement layers = TRY(database_.prepare(
      "SELECT diff_id, data_bytes, tar_bytes, entries, blob FROM image_layers JOIN layers USING (diff_id) "
      "JOIN packings USING (position, diff_id) WHERE image = ? AND manifest = ? ORDER BY position"));
  layers.bind(id).bind(image.manifest);
  while (TRY(layers.step()))
    image.layers.push_back({layers.text(0), static_cast<uint64_t>(layers.number(1)),
                            static_cast<uint64_t>(layers.number(2)), static_cast<uint64_t>(layers.number(3)),
                            layers.text(4)});
  return image;
}

Result<std::vector<ImageRecord>> ImageStore::list() {
  Database::Transaction moment = TRY(database_.begin_read());
  std::vector<ImageRecord> images;
  for (const std::string& id : TRY(column("SELECT id FROM images ORDER BY loaded_ns DESC, id")))
    images.push_back(TRY(read(id)));
  return images;
}

Result<ImageRecord> ImageStore::find(std::string_view reference) {
  Database::Transaction moment = TRY(database_.begin_read());
  std::string shown(reference.substr(0, 200));
  auto named = oci::Reference::parse(reference);
  if (named && named->digest.empty()) {
    Statement tag = TRY(database_.prepare("SELECT image, manifest FROM tags WHERE name = ?"));
    if (TRY(tag.bind(named->canonical()).step())) return read(tag.text(0), tag.text(1));
  } else if (named) {  // a tag beside a digest says nothing more
    auto ids = TRY(
        column("SELECT image FROM image_digests JOIN images ON images.id = image WHERE repository = ? AND digest = ? "
               "ORDER BY loaded_ns DESC",
               {named->name(), named->digest.hex()}));
    // The digest may be an index's, which has no blobs of its own.
    auto by_manifest = TRY(find_manifest(named->digest.hex()));
    if (!ids.empty()) return by_manifest ? std::move(*by_manifest) : read(ids.front());
  }
  std::string_view prefix = reference.starts_with("sha256:") ? reference.substr(7) : reference;
  if (!prefix.empty() && prefix.size() <= 64 && oci::is_hex(prefix)) {
    auto ids = TRY(column("SELECT id FROM images WHERE substr(id, 1, length(?1)) = ?1 LIMIT 2", {prefix}));
    if (ids.size() == 1) return read(ids.front());
    if (ids.size() > 1)
      return fail(Errc::invalid_argument, "find image \"" + shown + "\": more than one id begins like this",
                  "write more of it");
  }
  // What is neither a name nor an id is worth saying so.
  if (!named && !oci::is_hex(prefix)) return std::unexpected(named.error());
  return fail(Errc::not_found, "find image \"" + shown + "\": it is not in the store",
              "`diatom image ls` lists what is; `diatom image load` adds one");
}

Result<> ImageStore::remove_tag(const std::string& canonical, const std::vector<Event>& events) {
  std::string repository = TRY(oci::Reference::parse(canonical)).name();
  Database::Transaction transaction = TRY(database_.begin());
  auto ids = TRY(column("SELECT image FROM tags WHERE name = ?", {canonical}));
  Statement statement = TRY(database_.prepare("DELETE FROM tags WHERE name = ?"));
  TRY(statement.bind(canonical).run());
  for (const std::string& id : ids) {
    Statement digests = TRY(database_.prepare(
        "DELETE FROM image_digests WHERE image = ?1 AND repository = ?2 AND NOT EXISTS "
        "(SELECT 1 FROM tags WHERE tags.image = ?1 AND substr(name, 1, length(?2) + 1) = ?2 || ':')"));
    TRY(digests.bind(id).bind(repository).run());
  }
  return commit(std::move(transaction), events);
}

Result<> ImageStore::remove_digest(const RegistryDigest& digest, const std::string& id,
                                   const std::vector<Event>& events) {
  Database::Transaction transaction = TRY(database_.begin());
  Statement statement =
      TRY(database_.prepare("DELETE FROM image_digests WHERE repository = ? AND digest = ? AND image = ?"));
  TRY(statement.bind(digest.repository).bind(digest.digest).bind(id).run());
  return commit(std::move(transaction), events);
}

Result<> ImageStore::remove(const std::string& id, const std::vector<Event>& events) {
  Database::Transaction transaction = TRY(database_.begin());
  Statement image = TRY(database_.prepare("DELETE FROM images WHERE id = ?"));
  TRY(image.bind(id).run());
  TRY(database_.execute("DELETE FROM layers WHERE diff_id NOT IN (SELECT diff_id FROM image_layers)"));
  return commit(std::move(transaction), events);
}

Result<> ImageStore::sweep() {
  TRY(
      database_.execute("DELETE FROM manifests WHERE digest NOT IN (SELECT manifest FROM tags UNION "
                        "SELECT manifest FROM images UNION SELECT digest FROM image_digests)"));
  remove_ingested(paths_.ingest());
  remove_unnamed(paths_.images(), as_set(TRY(column("SELECT id FROM images"))));
  remove_unnamed(paths_.layers(), as_set(TRY(column("SELECT diff_id FROM layers"))));
  remove_unnamed(paths_.blobs(), as_set(TRY(column("SELECT id FROM images UNION SELECT digest FROM manifests "
                                                   "UNION SELECT blob FROM packings"))));
  return {};
}

}  // namespace diatom::store
