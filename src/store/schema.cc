#include "store/schema.h"

#include <iterator>

namespace diatom::store {

const char* const migrations[] = {
    // 1: images from files, containers in the foreground.
    R"sql(
CREATE TABLE layers (
  diff_id TEXT PRIMARY KEY,        -- hex; layers/<diff_id>.data and .index
  data_bytes INTEGER NOT NULL,
  tar_bytes INTEGER NOT NULL,
  entries INTEGER NOT NULL
) STRICT;
CREATE TABLE images (
  id TEXT PRIMARY KEY,             -- hex digest of the config; images/<id>.erofs
  manifest TEXT NOT NULL,          -- hex digest
  metadata_bytes INTEGER NOT NULL,
  loaded_ns INTEGER NOT NULL
) STRICT;
CREATE TABLE image_layers (
  image TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE,
  position INTEGER NOT NULL,       -- 0 is the lowest
  diff_id TEXT NOT NULL REFERENCES layers(diff_id),
  blob TEXT NOT NULL,              -- hex digest of the layer as it was packed
  PRIMARY KEY (image, position)
) STRICT;
CREATE TABLE tags (
  name TEXT PRIMARY KEY,           -- canonical: docker.io/library/busybox:latest
  image TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE
) STRICT;
CREATE INDEX tags_image ON tags(image);
CREATE TABLE containers (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  image TEXT NOT NULL,             -- an image's id; the image itself may have been removed by force
  image_name TEXT NOT NULL,
  state TEXT NOT NULL,
  spec TEXT NOT NULL,              -- JSON
  engine TEXT NOT NULL,
  accelerator TEXT NOT NULL,
  kernel TEXT NOT NULL,
  auto_remove INTEGER NOT NULL,
  created_ns INTEGER NOT NULL,
  started_ns INTEGER NOT NULL DEFAULT 0,
  finished_ns INTEGER NOT NULL DEFAULT 0,
  exit_code INTEGER NOT NULL DEFAULT 0,
  signal INTEGER NOT NULL DEFAULT 0,
  oom_killed INTEGER NOT NULL DEFAULT 0,
  error TEXT NOT NULL DEFAULT ''
) STRICT;
)sql",
    // 2: an image may have come by several manifests (the same layers, packed otherwise): each name keeps its own. What
    // registries call an image.
    R"sql(
CREATE TABLE manifests (
  digest TEXT PRIMARY KEY,         -- hex
  image TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE
) STRICT;
CREATE INDEX manifests_image ON manifests(image);
CREATE TABLE packings (            -- what was verified: the blob holds the layer
  manifest TEXT NOT NULL REFERENCES manifests(digest) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  diff_id TEXT NOT NULL,
  blob TEXT NOT NULL,
  PRIMARY KEY (manifest, position)
) STRICT;
CREATE INDEX packings_blob ON packings(blob);
ALTER TABLE tags ADD COLUMN manifest TEXT NOT NULL DEFAULT '';
INSERT INTO manifests SELECT manifest, id FROM images;
INSERT INTO packings SELECT manifest, position, diff_id, blob FROM image_layers JOIN images ON images.id = image;
UPDATE tags SET manifest = (SELECT manifest FROM images WHERE images.id = tags.image);
ALTER TABLE image_layers DROP COLUMN blob;
CREATE TABLE image_digests (
  repository TEXT NOT NULL,        -- canonical: docker.io/library/busybox
  digest TEXT NOT NULL,            -- hex: of its manifest, or of the index that names it
  image TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE,
  PRIMARY KEY (repository, digest, image)
) STRICT;
CREATE INDEX image_digests_image ON image_digests(image);
)sql",
    // 3: containers with a monitor of their own.
    R"sql(
ALTER TABLE containers ADD COLUMN wanted TEXT NOT NULL DEFAULT '';     -- the spec as it was asked for, JSON
ALTER TABLE containers ADD COLUMN pid INTEGER NOT NULL DEFAULT 0;      -- of the VMM; 0 = none
ALTER TABLE containers ADD COLUMN address TEXT NOT NULL DEFAULT '';    -- on its network
ALTER TABLE containers ADD COLUMN ports TEXT NOT NULL DEFAULT '[]';    -- as they are bound, JSON
ALTER TABLE containers ADD COLUMN health TEXT NOT NULL DEFAULT '{}';   -- JSON
ALTER TABLE containers ADD COLUMN restarts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE containers ADD COLUMN stopped INTEGER NOT NULL DEFAULT 0;  -- by somebody's word: unless-stopped stays so
)sql",
    // 4: what happened.
    R"sql(
CREATE TABLE events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  time_ns INTEGER NOT NULL,
  type TEXT NOT NULL,              -- "container", "image"
  action TEXT NOT NULL,
  actor TEXT NOT NULL,             -- an id, or an image's name
  attributes TEXT NOT NULL         -- JSON: an object of texts
) STRICT;
CREATE INDEX events_time ON events(time_ns);
)sql",
    // 5: VMs that were restored.
    R"sql(
ALTER TABLE containers ADD COLUMN start_kind TEXT NOT NULL DEFAULT '';  -- "warm", "cold"
ALTER TABLE containers ADD COLUMN stages TEXT NOT NULL DEFAULT '{}';  -- JSON: of the last run, and when each was reached
)sql",
};
static_assert(std::size(migrations) == newest_version);

const char* const newest_schema = R"sql(
CREATE TABLE layers (
  diff_id TEXT PRIMARY KEY,        -- hex; layers/<diff_id>.data and .index
  data_bytes INTEGER NOT NULL,
  tar_bytes INTEGER NOT NULL,
  entries INTEGER NOT NULL
) STRICT;
CREATE TABLE images (
  id TEXT PRIMARY KEY,             -- hex digest of the config; images/<id>.erofs
  manifest TEXT NOT NULL,          -- hex digest
  metadata_bytes INTEGER NOT NULL,
  loaded_ns INTEGER NOT NULL
) STRICT;
CREATE TABLE image_layers (
  image TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE,
  position INTEGER NOT NULL,       -- 0 is the lowest
  diff_id TEXT NOT NULL REFERENCES layers(diff_id),
  PRIMARY KEY (image, position)
) STRICT;
CREATE TABLE manifests (           -- an image may have come by several
  digest TEXT PRIMARY KEY,         -- hex
  image TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE
) STRICT;
CREATE INDEX manifests_image ON manifests(image);
CREATE TABLE packings (            -- what was verified: the blob holds the layer
  manifest TEXT NOT NULL REFERENCES manifests(digest) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  diff_id TEXT NOT NULL,
  blob TEXT NOT NULL,
  PRIMARY KEY (manifest, position)
) STRICT;
CREATE INDEX packings_blob ON packings(blob);
CREATE TABLE tags (
  name TEXT PRIMARY KEY,           -- canonical: docker.io/library/busybox:latest
  image TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE,
  manifest TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX tags_image ON tags(image);
CREATE TABLE image_digests (
  repository TEXT NOT NULL,        -- canonical: docker.io/library/busybox
  digest TEXT NOT NULL,            -- hex: of its manifest, or of the index that names it
  image TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE,
  PRIMARY KEY (repository, digest, image)
) STRICT;
CREATE INDEX image_digests_image ON image_digests(image);
CREATE TABLE containers (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  image TEXT NOT NULL,             -- an image's id; the image itself may have been removed by force
  image_name TEXT NOT NULL,
  state TEXT NOT NULL,
  spec TEXT NOT NULL,              -- JSON
  engine TEXT NOT NULL,
  accelerator TEXT NOT NULL,
  kernel TEXT NOT NULL,
  auto_remove INTEGER NOT NULL,
  created_ns INTEGER NOT NULL,
  started_ns INTEGER NOT NULL DEFAULT 0,
  finished_ns INTEGER NOT NULL DEFAULT 0,
  exit_code INTEGER NOT NULL DEFAULT 0,
  signal INTEGER NOT NULL DEFAULT 0,
  oom_killed INTEGER NOT NULL DEFAULT 0,
  error TEXT NOT NULL DEFAULT '',
  wanted TEXT NOT NULL DEFAULT '',      -- the spec as it was asked for, JSON
  pid INTEGER NOT NULL DEFAULT 0,       -- of the VMM; 0 = none
  address TEXT NOT NULL DEFAULT '',     -- on its network
  ports TEXT NOT NULL DEFAULT '[]',     -- as they are bound, JSON
  health TEXT NOT NULL DEFAULT '{}',    -- JSON
  restarts INTEGER NOT NULL DEFAULT 0,
  stopped INTEGER NOT NULL DEFAULT 0,   -- by somebody's word: unless-stopped stays so
  start_kind TEXT NOT NULL DEFAULT '',  -- "warm", "cold"
  stages TEXT NOT NULL DEFAULT '{}'     -- JSON: of the last run, and when each was reached
) STRICT;
CREATE TABLE events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  time_ns INTEGER NOT NULL,
  type TEXT NOT NULL,              -- "container", "image"
  action TEXT NOT NULL,
  actor TEXT NOT NULL,             -- an id, or an image's name
  attributes TEXT NOT NULL         -- JSON: an object of texts
) STRICT;
CREATE INDEX events_time ON events(time_ns);
)sql";

}  // namespace diatom::store
