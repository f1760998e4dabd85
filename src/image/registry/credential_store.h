// Where a user's credentials are: the files that docker and podman read, in their order, and the helpers they name.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "diatom/registry.h"
#include "image/registry/auth_file.h"

namespace diatom::image {

struct AuthFile {
  std::filesystem::path path;
  AuthFileStyle style = AuthFileStyle::containers;
};

// `auth_file` or $REGISTRY_AUTH_FILE alone, where there is one; else, the first that answers counts:
// $XDG_RUNTIME_DIR/containers/auth.json (/run/containers/<uid>/auth.json without that variable),
// $XDG_CONFIG_HOME/containers/auth.json, and $DOCKER_CONFIG/config.json (~/.docker). None of them needs to exist.
std::vector<AuthFile> auth_files(const std::string& auth_file);

class CredentialStore {
 public:
  // `cancel` is borrowed; it ends a helper early.
  CredentialStore(const std::string& auth_file, const CancelToken& cancel);
  // Empty when nobody knows any. `repository` may be empty.
  Result<std::optional<Credentials>> find(const std::string& registry, const std::string& repository) const;
  // Into the file (or its helper) that answers for the registry now, else the last of them, which is docker's: podman
  // reads that one, too. Returns where.
  Result<std::string> store(const std::string& registry, const Credentials& credentials) const;
  // From every file and helper. Returns the places it was in; empty when there was none.
  Result<std::vector<std::string>> erase(const std::string& registry) const;

 private:
  std::vector<AuthFile> files_;
  const CancelToken& cancel_;
};

// $XDG_CONFIG_HOME, ~/.config; empty when there is no home.
std::filesystem::path user_config_directory();

}  // namespace diatom::image
