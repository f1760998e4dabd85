// What a registry wants to know of its user.
//
// Where nothing is said here, credentials come from $REGISTRY_AUTH_FILE, containers' auth.json and docker's config.json
// (with their credential helpers); certificates from /etc/docker/certs.d and /etc/containers/certs.d; mirrors from our
// own registries.json; proxies from the environment.
#pragma once

#include <optional>
#include <string>

#include "diatom/error.h"
#include "diatom/export.h"

namespace diatom {

struct Credentials {
  std::string username;
  std::string password;
  std::string identity_token;  // an OAuth2 refresh token, instead of a password
};

struct RegistryAccess {
  std::optional<Credentials> credentials;  // instead of those that are stored
  // False: any certificate will do, and plain HTTP where the registry speaks no TLS. Registries on a loopback address
  // are asked in plain HTTP, too, when they do not speak TLS; a certificate that does not hold is refused there as
  // anywhere.
  bool tls_verify = true;
  std::string auth_file;  // instead of $REGISTRY_AUTH_FILE
  std::string cert_dir;   // with *.crt (CAs), and *.cert and *.key of a client
};

struct LoginResult {
  std::string registry;
  std::string stored_in;  // the file or the helper
};

// Asks the registry ("docker.io" when empty) whether the credentials are good, and stores them where docker and podman
// find them. Errors: invalid_argument when the registry refuses them. Blocks.
DIATOM_API Result<LoginResult> login(const std::string& registry, const Credentials& credentials,
                                     const RegistryAccess& access);
// not_found when nothing was stored.
DIATOM_API Result<LoginResult> logout(const std::string& registry, const RegistryAccess& access);

}  // namespace diatom
