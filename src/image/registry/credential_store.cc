#include "image/registry/credential_store.h"

#include <unistd.h>

#include <cstdlib>

#include "base/file.h"
#include "image/registry/credential_helper.h"

namespace diatom::image {

namespace {

constexpr uint64_t largest_file = 4 << 20;

fs::path environment_path(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

// Empty for a file that is not there.
Result<std::string> read_if_there(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error)) return std::string();
  return read_file(path, largest_file);
}

std::unexpected<Error> in_file(Error error, const fs::path& path) {
  error.message = path.string() + ": " + error.message;
  return std::unexpected(std::move(error));
}

// A link (people keep such files elsewhere) stays one: what it points to is replaced.
Result<> write_private(const fs::path& path, const std::string& text) {
  std::error_code error;
  fs::path real = fs::weakly_canonical(path, error);
  if (error) real = path;
  TRY(make_directories(real.parent_path()));
  return replace_file(real, text);  // which makes files of mode 0600
}

}  // namespace

fs::path user_config_directory() {
  if (fs::path config = environment_path("XDG_CONFIG_HOME"); !config.empty()) return config;
  fs::path home = environment_path("HOME");
  return home.empty() ? home : home / ".config";
}

std::vector<AuthFile> auth_files(const std::string& auth_file) {
  if (!auth_file.empty()) return {{auth_file}};
  if (fs::path named = environment_path("REGISTRY_AUTH_FILE"); !named.empty()) return {{named}};
  std::vector<AuthFile> files;
  fs::path runtime = environment_path("XDG_RUNTIME_DIR") / "containers";
  if (runtime.is_relative()) runtime = "/run/containers/" + std::to_string(::getuid());
  files.push_back({runtime / "auth.json"});
  if (fs::path config = user_config_directory(); !config.empty()) files.push_back({config / "containers/auth.json"});
  fs::path docker = environment_path("DOCKER_CONFIG");
  fs::path home = environment_path("HOME");
  if (docker.empty() && !home.empty()) docker = home / ".docker";
  if (!docker.empty()) files.push_back({docker / "config.json", AuthFileStyle::docker});
  return files;
}

CredentialStore::CredentialStore(const std::string& auth_file, const CancelToken& cancel)
    : files_(auth_files(auth_file)), cancel_(cancel) {}

Result<std::optional<Credentials>> CredentialStore::find(const std::string& registry,
                                                         const std::string& repository) const {
  for (const auto& file : files_) {
    auto answer = find_credentials(TRY(read_if_there(file.path)), registry, repository);
    if (!answer) return in_file(answer.error(), file.path);
    if (!answer->helper.empty()) {
      auto found = TRY(CredentialHelper(answer->helper, cancel_).get(docker_server_name(registry)));
      if (found) return found;
    }
    if (answer->credentials) return answer->credentials;
  }
  return std::optional<Credentials>();
}

Result<std::string> CredentialStore::store(const std::string& registry, const Credentials& credentials) const {
  const AuthFile* chosen = &files_.back();
  for (const auto& file : files_) {
    auto answer = find_credentials(TRY(read_if_there(file.path)), registry, "");
    if (!answer) return in_file(answer.error(), file.path);
    if (answer->helper.empty() && !answer->credentials) continue;
    chosen = &file;
    break;
  }
  std::string text = TRY(read_if_there(chosen->path));
  AuthAnswer answer = TRY(find_credentials(text, registry, ""));
  if (!answer.helper.empty()) {
    CredentialHelper helper(answer.helper, cancel_);
    TRY(helper.store(docker_server_name(registry), credentials));
    return helper.program();
  }
  std::string with = TRY(add_credentials(text, registry, credentials, chosen->style));
  TRY(write_private(chosen->path, with));
  return chosen->path.string();
}

Result<std::vector<std::string>> CredentialStore::erase(const std::string& registry) const {
  std::vector<std::string> places;
  for (const auto& file : files_) {
    std::string text = TRY(read_if_there(file.path));
    auto answer = find_credentials(text, registry, "");
    if (!answer) return in_file(answer.error(), file.path);
    if (!answer->helper.empty()) {
      CredentialHelper helper(answer->helper, cancel_);
      if (TRY(helper.get(docker_server_name(registry)))) {
        TRY(helper.erase(docker_server_name(registry)));
        places.push_back(helper.program());
      }
    }
    if (auto without = TRY(remove_credentials(text, registry))) {
      TRY(write_private(file.path, *without));
      places.push_back(file.path.string());
    }
  }
  return places;
}

}  // namespace diatom::image
