#pragma once

#include <filesystem>
#include <string>

#include "base/error.h"
#include "diatom/locations.h"

namespace diatom::store {

// Where everything lies (contract.md, "Data on disk"). Plain joins: nothing is made or looked at.
struct Paths {
  std::filesystem::path home;
  std::filesystem::path run;

  std::filesystem::path database() const { return home / "diatom.db"; }
  std::filesystem::path blobs() const { return home / "blobs" / "sha256"; }
  std::filesystem::path layers() const { return home / "layers"; }
  std::filesystem::path images() const { return home / "images"; }
  std::filesystem::path ingest() const { return home / "ingest"; }
  std::filesystem::path containers() const { return home / "containers"; }
  std::filesystem::path templates() const { return home / "templates"; }
  std::filesystem::path snapshots() const { return home / "snapshots"; }
  std::filesystem::path kernels() const { return home / "kernels"; }
  std::filesystem::path layer_data(const std::string& hex) const { return layers() / (hex + ".data"); }
  std::filesystem::path layer_index(const std::string& hex) const { return layers() / (hex + ".index"); }
  std::filesystem::path image_metadata(const std::string& hex) const { return images() / (hex + ".erofs"); }
  std::filesystem::path container(const std::string& id) const { return containers() / id; }
  // Where the container's monitor listens. Short: an address holds 104 bytes on macOS.
  std::filesystem::path control_socket(const std::string& id) const { return run / (id.substr(0, 20) + ".sock"); }
  // Where an engine may listen for the agent of the container's VM.
  std::filesystem::path agent_socket(const std::string& id) const { return run / (id.substr(0, 20) + ".vm"); }
};

// What is empty: from $DIATOM_HOME and $DIATOM_RUN, else the XDG folders, else (root) /var/lib/diatom and /run/diatom.
// Fails when this user has no home, or a relative path is to be taken from a working directory that has gone.
Result<Paths> find_paths(const Locations& locations = {});

}  // namespace diatom::store
