// docker-credential-<name>: programs that keep credentials (github.com/docker/docker-credential-helpers,
// "Development").
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "base/cancel.h"
#include "diatom/registry.h"

namespace diatom::image {

class CredentialHelper {
 public:
  // `cancel` is borrowed. A helper may ask its user something, hence the long deadline.
  CredentialHelper(std::string name, const CancelToken& cancel,
                   std::chrono::milliseconds deadline = std::chrono::minutes(1));
  std::string program() const { return "docker-credential-" + name_; }
  // Empty when it knows none of that server.
  Result<std::optional<Credentials>> get(const std::string& server) const;
  Result<> store(const std::string& server, const Credentials& credentials) const;
  Result<> erase(const std::string& server) const;

 private:
  struct Answer {
    int exit_code = 0;
    std::string output;
  };
  Result<Answer> run(const std::string& verb, const std::string& input) const;

  std::string name_;
  const CancelToken& cancel_;
  std::chrono::milliseconds deadline_;
};

}  // namespace diatom::image
