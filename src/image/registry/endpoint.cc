#include "image/registry/endpoint.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "image/registry/credential_store.h"
#include "image/registry/libcurl.h"
#include "image/registry/url.h"

namespace diatom::image {

namespace {

using nlohmann::json;

constexpr size_t most_mirrors = 16;
constexpr uint64_t largest_file = 4 << 20;

Result<RegistrySettings> read_settings(const json& entry, const std::string& registry) {
  auto refuse = [&registry](const char* what) {
    return fail(Errc::invalid_argument, "read registries: \"" + registry + "\": " + what,
                R"(write {"registries": {"docker.io": {"mirrors": ["https://mirror:5000"], "insecure": false}}})");
  };
  RegistrySettings settings;
  if (!entry.is_object()) return refuse("is no object");
  if (auto insecure = entry.find("insecure"); insecure != entry.end()) {
    if (!insecure->is_boolean()) return refuse("\"insecure\" is neither true nor false");
    settings.insecure = insecure->get<bool>();
  }
  if (auto mirrors = entry.find("mirrors"); mirrors != entry.end()) {
    if (!mirrors->is_array() || mirrors->size() > most_mirrors) return refuse("\"mirrors\" is no short list");
    for (const auto& mirror : *mirrors) {
      if (!mirror.is_string()) return refuse("a mirror is no URL");
      settings.mirrors.push_back(mirror.get<std::string>());
    }
  }
  return settings;
}

// Empty: the text does not know the registry.
Result<std::optional<RegistrySettings>> find_settings(std::string_view text, const std::string& registry) {
  json document = json::parse(text, nullptr, false);
  if (!document.is_object()) return fail(Errc::invalid_argument, "read registries: the file is no JSON object");
  auto registries = document.find("registries");
  if (registries == document.end()) return std::optional<RegistrySettings>();
  if (!registries->is_object()) return fail(Errc::invalid_argument, "read registries: \"registries\" is no object");
  auto entry = registries->find(registry);
  if (entry == registries->end()) return std::optional<RegistrySettings>();
  return std::optional(TRY(read_settings(*entry, registry)));
}

std::vector<fs::path> settings_files() {
  if (const char* named = std::getenv("DIATOM_REGISTRIES"); named != nullptr && *named != '\0') return {named};
  std::vector<fs::path> files;
  if (fs::path config = user_config_directory(); !config.empty()) files.push_back(config / "diatom/registries.json");
  if (::geteuid() == 0) files.emplace_back("/etc/diatom/registries.json");
  return files;
}

std::vector<fs::path> certificate_folders(const std::string& host) {
  std::vector<fs::path> folders = {fs::path("/etc/docker/certs.d") / host, fs::path("/etc/containers/certs.d") / host};
  if (fs::path config = user_config_directory(); !config.empty())
    folders.push_back(config / "containers/certs.d" / host);
  return folders;
}

Result<> add_tls(EndpointConfig& endpoint, bool verify, const std::string& cert_dir) {
  endpoint.tls.verify = verify;
  endpoint.loopback = is_loopback(endpoint.authority);
  endpoint.plain_allowed = endpoint.plain_allowed || !verify || endpoint.loopback;
  for (const auto& folder : certificate_folders(endpoint.host)) TRY(add_certificates(endpoint.tls, folder));
  if (cert_dir.empty()) return {};
  std::error_code error;
  if (!fs::is_directory(cert_dir, error))
    return fail(Errc::invalid_argument, "read certificates of " + cert_dir + ": there is no such folder");
  return add_certificates(endpoint.tls, cert_dir);
}

}  // namespace

Result<RegistrySettings> parse_registry_settings(std::string_view text, std::string_view registry) {
  return TRY(find_settings(text, std::string(registry))).value_or(RegistrySettings{});
}

Result<RegistrySettings> registry_settings(const std::string& registry) {
  for (const auto& file : settings_files()) {
    std::error_code error;
    if (!fs::exists(file, error)) continue;
    auto found = find_settings(TRY(read_file(file, largest_file)), registry);
    if (!found) {
      Error wrong = found.error();
      wrong.message = file.string() + ": " + wrong.message;
      return std::unexpected(std::move(wrong));
    }
    if (*found) return **found;
  }
  return RegistrySettings{};
}

Result<EndpointConfig> parse_mirror(const std::string& url) {
  auto origin = url.find("://") == std::string::npos ? std::nullopt : origin_of(url);
  if (!origin || url.find_first_of("?#") != std::string::npos)
    return fail(Errc::invalid_argument, "read mirror \"" + url + "\": it is no URL of http or https",
                "write https://host:port or https://host:port/prefix");
  EndpointConfig endpoint;
  std::string rest = url.substr(url.find("://") + 3);
  size_t slash = std::min(rest.find('/'), rest.size());
  endpoint.host = endpoint.authority = rest.substr(0, slash);
  endpoint.prefix = rest.substr(slash);
  while (endpoint.prefix.starts_with('/')) endpoint.prefix.erase(0, 1);
  while (endpoint.prefix.ends_with('/')) endpoint.prefix.pop_back();
  if (!endpoint.prefix.empty()) endpoint.prefix += '/';
  endpoint.mirror = true;
  endpoint.plain_only = endpoint.plain_allowed = origin->scheme == "http";
  return endpoint;
}

Result<> add_certificates(TlsOptions& tls, const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> files;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    files.push_back(entry->path());
  std::ranges::sort(files);
  for (const auto& file : files) {
    if (file.extension() == ".crt") {
      tls.ca_pem += TRY(read_file(file, largest_file)) + "\n";
    } else if (file.extension() == ".cert") {
      fs::path key = file;
      key.replace_extension(".key");
      if (!fs::exists(key, error))
        return fail(Errc::invalid_argument, "read certificate " + file.string() + ": it has no " + key.string());
      tls.client_cert = file;
      tls.client_key = key;
    }
  }
  return {};
}

Result<std::vector<EndpointConfig>> plan_endpoints(const std::string& registry, const RegistryAccess& access,
                                                   bool with_mirrors) {
  TRY(load_libcurl());  // whoever talks to a registry comes by here first
  RegistrySettings settings = TRY(registry_settings(registry));
  std::vector<EndpointConfig> endpoints;
  bool verify = access.tls_verify && !settings.insecure;
  if (with_mirrors) {
    for (const auto& url : settings.mirrors) {
      EndpointConfig& mirror = endpoints.emplace_back(TRY(parse_mirror(url)));
      TRY(add_tls(mirror, verify, access.cert_dir));
    }
  }
  EndpointConfig& own = endpoints.emplace_back();
  own.host = registry;
  own.authority = registry == "docker.io" ? "registry-1.docker.io" : registry;
  TRY(add_tls(own, verify, access.cert_dir));
  return endpoints;
}

}  // namespace diatom::image
