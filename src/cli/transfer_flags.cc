#include "cli/transfer_flags.h"

#include <fmt/core.h>

#include "cli/options.h"
#include "cli/prompt.h"

namespace diatom::cli {

void add_access_flags(CLI::App& verb, AccessFlags& flags) {
  verb.add_flag("--tls-verify", flags.tls_verify, "check certificates; =false also allows plain HTTP (default true)");
  one(verb.add_option("--creds", flags.credentials, "USER[:PASSWORD], instead of those that `login` stored"));
  one(verb.add_option("--authfile", flags.auth_file, "file with credentials, as containers-auth.json(5)"));
  one(verb.add_option("--cert-dir", flags.cert_dir, "folder with *.crt (CAs), *.cert and *.key (of a client)"));
}

Result<RegistryAccess> registry_access(const AccessFlags& flags) {
  RegistryAccess access;
  access.tls_verify = flags.tls_verify;
  access.auth_file = flags.auth_file;
  access.cert_dir = flags.cert_dir;
  if (flags.credentials.empty()) return access;
  size_t colon = flags.credentials.find(':');
  Credentials credentials;
  credentials.username = flags.credentials.substr(0, colon);
  if (credentials.username.empty())
    return fail(Errc::invalid_argument, "parse creds: the user is missing", "write --creds USER[:PASSWORD]");
  credentials.password = colon == std::string::npos ? TRY(ask_secret("Password of " + credentials.username))
                                                    : flags.credentials.substr(colon + 1);
  access.credentials = std::move(credentials);
  return access;
}

void add_progress_flags(CLI::App& verb, ProgressFlags& flags) {
  verb.add_flag("-q,--quiet", flags.quiet, "no progress, only the name at the end");
  one(verb.add_option("--progress", flags.mode, "auto, tty, plain, json or none (default auto)"));
}

Result<ProgressMode> progress_mode(const ProgressFlags& flags, int fd) {
  ProgressMode mode = TRY(parse_progress_mode(flags.mode));
  return flags.quiet ? ProgressMode::none : resolve_progress_mode(mode, fd);
}

}  // namespace diatom::cli
