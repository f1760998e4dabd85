#pragma once

#include <memory>
#include <optional>

#include "base/cancel.h"
#include "base/file.h"
#include "store/container_store.h"
#include "store/database.h"
#include "store/event_store.h"
#include "store/image_store.h"
#include "store/paths.h"

namespace diatom::store {

// All that is kept below $DIATOM_HOME. Several processes may have it open at once. Not for use by two threads.
class Store {
 public:
  // Makes the folders and the database where they are missing.
  static Result<std::unique_ptr<Store>> open(Paths paths);

  const Paths& paths() const { return paths_; }
  ImageStore& images() { return images_; }
  ContainerStore& containers() { return containers_; }
  EventStore& events() { return events_; }
  // Records that are read and changed in it are nobody else's meanwhile. Not to be held while files are written.
  Result<Database::Transaction> begin() { return database_.begin(); }

  // Held while content is added: nothing that no image names yet is swept away meanwhile. What earlier ones left
  // behind is swept first, when nobody else is at it.
  Result<FileLock> lock_for_adding(const CancelToken& cancel);
  // What images take on the disk: blobs, layers, metadata.
  Result<uint64_t> content_bytes() const;
  // Removes what no image needs; later, if somebody is adding just now.
  Result<> sweep();

 private:
  Store(Paths paths, Database database)
      : paths_(std::move(paths)),
        database_(std::move(database)),
        events_(database_, paths_),
        images_(database_, paths_, events_),
        containers_(database_, paths_) {}

  Paths paths_;
  Database database_;
  EventStore events_;
  ImageStore images_;
  ContainerStore containers_;
};

}  // namespace diatom::store
