#include "image/registry/auth_file.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/base64.h"

namespace diatom::image {

namespace {

using json = nlohmann::ordered_json;  // a file keeps the order of its fields

constexpr std::string_view docker_hub = "docker.io";
constexpr std::string_view docker_hub_server = "https://index.docker.io/v1/";

Result<json> parse(std::string_view text) {
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) return json::object();
  json document = json::parse(text, nullptr, false);
  if (!document.is_object()) return fail(Errc::invalid_argument, "read credentials: the file is no JSON object");
  return document;
}

const json* member(const json& object, std::string_view name) {
  if (!object.is_object()) return nullptr;
  auto found = object.find(name);
  return found == object.end() ? nullptr : &*found;
}

std::string text_of(const json& object, std::string_view name) {
  const json* field = member(object, name);
  return field != nullptr && field->is_string() ? field->get<std::string>() : "";
}

// The host of a key as docker and podman have written it over the years: with a scheme, with "/v1/".
std::string_view host_of_key(std::string_view key) {
  for (std::string_view scheme : {"https://", "http://"})
    if (key.starts_with(scheme)) key.remove_prefix(scheme.size());
  while (key.ends_with('/')) key.remove_suffix(1);
  for (std::string_view version : {"/v1", "/v2"})
    if (key.ends_with(version)) key.remove_suffix(version.size());
  if (key == "index.docker.io" || key == "registry-1.docker.io") return docker_hub;
  return key;
}

// The value of the key that stands for the registry as a whole: the exact one before its other spellings.
const json* of_registry(const json* table, std::string_view registry) {
  if (table == nullptr || !table->is_object()) return nullptr;
  for (std::string_view exact : {registry == docker_hub ? docker_hub_server : registry, registry})
    if (const json* found = member(*table, exact)) return found;
  for (const auto& [key, value] : table->items())
    if (host_of_key(key) == registry) return &value;
  return nullptr;
}

std::optional<Credentials> decode_entry(const json& entry) {
  Credentials credentials;
  credentials.identity_token = text_of(entry, "identitytoken");
  credentials.username = text_of(entry, "username");
  credentials.password = text_of(entry, "password");
  if (std::string encoded = text_of(entry, "auth"); !encoded.empty()) {
    auto decoded = base64_decode(encoded);
    size_t colon = decoded ? decoded->find(':') : std::string::npos;
    if (colon != std::string::npos) {
      credentials.username = decoded->substr(0, colon);
      credentials.password = decoded->substr(colon + 1);
      while (credentials.password.ends_with('\0')) credentials.password.pop_back();  // docker reads it so, too
    }
  }
  if (!credentials.identity_token.empty()) credentials.password.clear();
  if (credentials.identity_token.empty() && credentials.username.empty()) return std::nullopt;
  return credentials;
}

const json* find_entry(const json& document, std::string_view registry, std::string_view repository) {
  const json* auths = member(document, "auths");
  if (auths == nullptr) return nullptr;
  std::string key = std::string(registry) + "/" + std::string(repository);
  for (; key.size() > registry.size(); key.resize(key.rfind('/')))
    if (const json* found = member(*auths, key)) return found;
  return of_registry(auths, registry);
}

}  // namespace

std::string docker_server_name(std::string_view registry) {
  return std::string(registry == docker_hub ? docker_hub_server : registry);
}

Result<AuthAnswer> find_credentials(std::string_view text, std::string_view registry, std::string_view repository) {
  json document = TRY(parse(text));
  AuthAnswer answer;
  if (const json* helper = of_registry(member(document, "credHelpers"), registry); helper && helper->is_string())
    answer.helper = helper->get<std::string>();
  if (answer.helper.empty()) answer.helper = text_of(document, "credsStore");
  if (const json* entry = find_entry(document, registry, repository)) answer.credentials = decode_entry(*entry);
  return answer;
}

Result<std::string> add_credentials(std::string_view text, std::string_view registry, const Credentials& credentials,
                                    AuthFileStyle style) {
  json document = TRY(parse(text));
  json entry = json::object();
  entry["auth"] = base64_encode(credentials.username + ":" + credentials.password);
  if (!credentials.identity_token.empty()) entry["identitytoken"] = credentials.identity_token;
  json& auths = document["auths"];
  if (!auths.is_object()) auths = json::object();
  auths[style == AuthFileStyle::docker ? docker_server_name(registry) : std::string(registry)] = std::move(entry);
  return document.dump(1, '\t', false, json::error_handler_t::replace) + "\n";
}

Result<std::optional<std::string>> remove_credentials(std::string_view text, std::string_view registry) {
  json document = TRY(parse(text));
  auto auths = document.find("auths");
  if (auths == document.end() || !auths->is_object()) return std::optional<std::string>();
  std::vector<std::string> going;
  for (const auto& [key, value] : auths->items())
    if (host_of_key(key) == registry) going.push_back(key);
  if (going.empty()) return std::optional<std::string>();
  for (const auto& key : going) auths->erase(key);
  return std::optional(document.dump(1, '\t', false, json::error_handler_t::replace) + "\n");
}

}  // namespace diatom::image
