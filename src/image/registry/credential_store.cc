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

// A file that is read, changed and written, by one process of ours at a time: else one of two logins at once would be
// lost. docker and podman take no locks. A link (people keep such files elsewhere) stays one: what it points to is
// replaced.
class LockedFile {
 public:
  static Result<LockedFile> open(const fs::path& path) {
    std::error_code error;
    fs::path real = fs::weakly_canonical(path, error);
    if (error) real = path;
    TRY(make_directories(real.parent_path()));
    fs::path lock = real.string() + ".lock";
    return LockedFile(std::move(real), TRY(FileLock::acquire(lock)), TemporaryPath(lock));
  }
  Result<std::string> read() const { return read_if_there(path_); }
  Result<> write(const std::string& text) const { return replace_file(path_, text); }  // of mode 0600

 private:
  LockedFile(fs::path path, FileLock lock, TemporaryPath lock_file)
      : path_(std::move(path)), lock_(std::move(lock)), lock_file_(std::move(lock_file)) {}
  fs::path path_;
  FileLock lock_;
  TemporaryPath lock_file_;  // goes before the lock does: nothing is left in a folder that is others', too
};

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
  LockedFile file = TRY(LockedFile::open(chosen->path));
  text = TRY(file.read());
  std::string with = TRY(add_credentials(text, registry, credentials, chosen->style));
  TRY(file.write(with));
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
    if (!TRY(remove_credentials(text, registry))) continue;  // nothing to write, perhaps no place to write to
    LockedFile locked = TRY(LockedFile::open(file.path));
    text = TRY(locked.read());
    if (auto without = TRY(remove_credentials(text, registry))) {
      TRY(locked.write(*without));
      places.push_back(file.path.string());
    }
  }
  return places;
}

}  // namespace diatom::image
