#include <fmt/core.h>
#include <unistd.h>

#include <memory>

#include "cli/command.h"
#include "cli/options.h"
#include "cli/prompt.h"
#include "diatom/registry.h"

namespace diatom::cli {

namespace {

struct Flags {
  std::string user;
  std::string password;
  bool password_stdin = false;
  RegistryAccess access;
  std::string server;
};

Result<Credentials> ask_credentials(const Flags& flags) {
  Credentials credentials;
  credentials.username = flags.user;
  credentials.password = flags.password;
  if (flags.password_stdin) {
    if (!flags.password.empty())
      return fail(Errc::invalid_argument, "login: --password and --password-stdin exclude each other");
    if (flags.user.empty())
      return fail(Errc::invalid_argument, "login: --password-stdin needs a user", "add --username NAME");
    credentials.password = TRY(read_secret_from_stdin());
  }
  if (!flags.password.empty())
    fmt::print(stderr, "WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n");
  bool must_ask = credentials.username.empty() || (credentials.password.empty() && !flags.password_stdin);
  if (must_ask && ::isatty(STDIN_FILENO) == 0)
    return fail(Errc::invalid_argument, "login: there is nobody to ask, standard input is no terminal",
                "use --username NAME --password-stdin");
  if (credentials.username.empty()) credentials.username = TRY(ask("Username"));
  if (credentials.password.empty() && !flags.password_stdin) credentials.password = TRY(ask_secret("Password"));
  if (credentials.username.empty() || credentials.password.empty())
    return fail(Errc::invalid_argument, "login: the user or the password is empty");
  return credentials;
}

Result<int> log_in(const Flags& flags) {
  Credentials credentials = TRY(ask_credentials(flags));
  LoginResult result = TRY(login(flags.server, credentials, flags.access));
  if (result.stored_in.starts_with('/'))
    fmt::print(stderr, "The password is stored unencrypted in {}; a credential helper would keep it safer.\n",
               result.stored_in);
  fmt::print("Login Succeeded\n");
  return 0;
}

Result<int> log_out(const Flags& flags) {
  std::string shown = flags.server.empty() ? "docker.io" : flags.server;
  auto result = logout(flags.server, flags.access);
  if (!result && result.error().code == Errc::not_found) {  // docker does not mind
    fmt::print("Not logged in to {}\n", shown);
    return 0;
  }
  fmt::print("Removing login credentials for {}\n", TRY(std::move(result)).registry);
  return 0;
}

}  // namespace

void add_login_commands(CLI::App& app, Invocation& invocation) {
  auto flags = std::make_shared<Flags>();
  auto add = [&](const char* name, const char* help, Result<int> (*action)(const Flags&)) {
    CLI::App* verb = app.add_subcommand(name, help);
    verb->add_option("SERVER", flags->server, "the registry (default docker.io)");
    one(verb->add_option("--authfile", flags->access.auth_file, "file with credentials, as containers-auth.json(5)"));
    verb->callback([&invocation, flags, action] { invocation.run = [flags, action] { return action(*flags); }; });
    return verb;
  };
  CLI::App* verb =
      add("login", "check credentials with a registry and keep them, where docker and podman find them", log_in);
  one(verb->add_option("-u,--username", flags->user, "user"));
  one(verb->add_option("-p,--password", flags->password, "password; others can see it in the list of processes"));
  verb->add_flag("--password-stdin", flags->password_stdin, "read the password from standard input");
  verb->add_flag("--tls-verify", flags->access.tls_verify,
                 "check certificates; =false also allows plain HTTP (default true)");
  one(verb->add_option("--cert-dir", flags->access.cert_dir,
                       "folder with *.crt (CAs), *.cert and *.key (of a client)"));
  add("logout", "forget the credentials of a registry", log_out);
}

}  // namespace diatom::cli
