// The options that every verb which talks to a registry has.
#pragma once

#include <string>

#include "cli/progress.h"
#include "diatom/registry.h"

namespace CLI {
class App;
}

namespace diatom::cli {

struct AccessFlags {
  bool tls_verify = true;
  std::string credentials;  // USER[:PASSWORD]
  std::string auth_file;
  std::string cert_dir;
};
void add_access_flags(CLI::App& verb, AccessFlags& flags);
// Asks for the password where only the user was given.
Result<RegistryAccess> registry_access(const AccessFlags& flags);

struct ProgressFlags {
  bool quiet = false;
  std::string mode = "auto";
};
void add_progress_flags(CLI::App& verb, ProgressFlags& flags);
Result<ProgressMode> progress_mode(const ProgressFlags& flags, int fd);

}  // namespace diatom::cli
