// Registry logins: asking whether credentials are good, and keeping them.
#include <fmt/format.h>

#include "diatom/registry.h"
#include "image/registry/credential_store.h"
#include "image/registry/requester.h"
#include "oci/reference.h"

namespace diatom {

namespace {

using namespace image;

// "docker.io" for "", "index.docker.io" and the server name that docker has for it.
Result<std::string> registry_name(std::string text) {
  for (std::string_view scheme : {"https://", "http://"})
    if (text.starts_with(scheme)) text.erase(0, scheme.size());
  while (text.ends_with('/')) text.pop_back();
  for (std::string_view version : {"/v1", "/v2"})
    if (text.ends_with(version)) text.resize(text.size() - version.size());
  if (text.empty() || text == "index.docker.io" || text == "registry-1.docker.io") return std::string("docker.io");
  auto reference = oci::Reference::parse(text + "/x");
  if (!reference || reference->registry != text)
    return fail(Errc::invalid_argument, "read registry \"" + text + "\": it is no host", "write host or host:port");
  return text;
}

// GET /v2/ with these credentials. Returns a refresh token, where the registry gives one.
Result<std::string> try_credentials(const std::string& registry, const Credentials& credentials,
                                    const RegistryAccess& access) {
  CancelToken never;
  SessionPool sessions(never);
  auto configs = TRY(plan_endpoints(registry, access, false));
  auto given = [&credentials]() -> Result<std::optional<Credentials>> { return credentials; };
  Endpoint endpoint(std::move(configs.back()), sessions, given);
  endpoint.authorizer.want_identity_token();
  ApiCall call;
  call.what = "log in to " + registry;
  RetryBudget budget(never);
  auto refuse = [&](Error error) {
    error.code = Errc::invalid_argument;
    error.hint = "check the user name and the password; some registries want an access token as the password";
    return std::unexpected(std::move(error));
  };
  auto answer = send(sessions, endpoint, call, budget);
  if (!answer) {
    bool refused = answer.error().hint.find("credentials do not hold") != std::string::npos;
    return refused ? refuse(answer.error()) : std::unexpected(answer.error());
  }
  if (answer->head.status == 200) return endpoint.authorizer.identity_token();
  long status = answer->head.status;
  Error error = explain_answer(endpoint, call, *answer);
  if (status == 401 || status == 403) return refuse(std::move(error));
  if (status == 404) error.hint = registry + " is no registry of the API's version 2";
  return std::unexpected(std::move(error));
}

}  // namespace

Result<LoginResult> login(const std::string& name, const Credentials& credentials, const RegistryAccess& access) {
  std::string registry = TRY(registry_name(name));
  if (credentials.identity_token.empty() && (credentials.username.empty() || credentials.password.empty()))
    return fail(Errc::invalid_argument, "log in to " + registry + ": a user name and a password are needed");
  if (credentials.username.find(':') != std::string::npos)
    return fail(Errc::invalid_argument, "log in to " + registry + ": a user name has no colon");
  std::string identity_token = TRY(try_credentials(registry, credentials, access));
  Credentials kept = credentials;
  if (!identity_token.empty()) {  // better than a password: it can be taken back
    kept.identity_token = std::move(identity_token);
    kept.password.clear();
  }
  CancelToken never;
  return LoginResult{registry, TRY(CredentialStore(access.auth_file, never).store(registry, kept))};
}

Result<LoginResult> logout(const std::string& name, const RegistryAccess& access) {
  std::string registry = TRY(registry_name(name));
  CancelToken never;
  auto places = TRY(CredentialStore(access.auth_file, never).erase(registry));
  if (places.empty()) return fail(Errc::not_found, "log out of " + registry + ": no credentials are stored");
  std::string where = places.front();
  for (size_t i = 1; i < places.size(); ++i) where += ", " + places[i];
  return LoginResult{registry, where};
}

}  // namespace diatom
