// Where the content of a registry is asked for: its mirrors, then the registry itself, each with what TLS needs.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "diatom/registry.h"
#include "image/registry/http.h"

namespace diatom::image {

struct EndpointConfig {
  std::string host;       // as users write it, for credentials and certificates: "docker.io", "localhost:5000"
  std::string authority;  // who is talked to: "registry-1.docker.io"
  std::string prefix;     // before the repository's name, "proxy/"; empty or with a slash at its end
  bool mirror = false;
  bool plain_allowed = false;  // HTTP, where TLS is not spoken
  bool loopback = false;       // nobody listens in between
  bool plain_only = false;     // HTTP by word: the mirror's URL says so
  TlsOptions tls;
};

// registries.json: {"registries": {"docker.io": {"mirrors": ["https://mirror:5000/prefix"], "insecure": false}}}.
struct RegistrySettings {
  std::vector<std::string> mirrors;
  bool insecure = false;
};
// Of one registry; defaults when the text does not know it. Errors: invalid_argument names the field.
Result<RegistrySettings> parse_registry_settings(std::string_view text, std::string_view registry);
// The first file that knows the registry counts: $DIATOM_REGISTRIES alone, where it is set; else
// $XDG_CONFIG_HOME/diatom/registries.json, and for root /etc/diatom/registries.json.
Result<RegistrySettings> registry_settings(const std::string& registry);

// The mirror's URL: http or https, host, perhaps port and path.
Result<EndpointConfig> parse_mirror(const std::string& url);

// Mirrors first. Reads settings and certificates (certs.d folders of docker and podman, and access.cert_dir).
Result<std::vector<EndpointConfig>> plan_endpoints(const std::string& registry, const RegistryAccess& access,
                                                   bool with_mirrors);

// *.crt are CAs, *.cert with *.key of the same name a client's (docker's certs.d). A folder that is not there adds
// nothing.
Result<> add_certificates(TlsOptions& tls, const std::filesystem::path& folder);

}  // namespace diatom::image
