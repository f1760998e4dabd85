// Docker's config.json and containers' auth.json (containers-auth.json(5)), as text in and text out. Errors:
// invalid_argument for what is no JSON object; fields of a wrong type are as if they were not there.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "diatom/registry.h"

namespace diatom::image {

// docker.io is "https://index.docker.io/v1/" to docker and its helpers.
std::string docker_server_name(std::string_view registry);

// What a file says of one registry.
struct AuthAnswer {
  std::string helper;                      // ask docker-credential-<helper>
  std::optional<Credentials> credentials;  // what stands in the file itself
};
// `repository` ("library/busybox") may be empty; an entry of host/namespace goes before that of the host.
Result<AuthAnswer> find_credentials(std::string_view text, std::string_view registry, std::string_view repository);

// How a file writes docker.io.
enum class AuthFileStyle { docker, containers };
// Both keep what they do not know. An empty text is an empty file.
Result<std::string> add_credentials(std::string_view text, std::string_view registry, const Credentials& credentials,
                                    AuthFileStyle style);
// Empty when there was nothing of that registry.
Result<std::optional<std::string>> remove_credentials(std::string_view text, std::string_view registry);

}  // namespace diatom::image
