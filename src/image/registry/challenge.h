// WWW-Authenticate (RFC 9110, 11.6.1): what a server wants to see before it answers.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace diatom::image {

struct Challenge {
  std::string scheme;                         // lower case: "bearer", "basic"
  std::string token68;                        // instead of parameters, as Negotiate has it
  std::map<std::string, std::string> params;  // names in lower case; of two with one name the first counts
  bool operator==(const Challenge&) const = default;
};

// The challenges of one header field, of which each may have several. Total: text that is no challenge ends the list,
// and what was read before it stays. At most 16 challenges of 16 parameters.
std::vector<Challenge> parse_challenges(std::string_view header);
std::string print_challenge(const Challenge& challenge);

// The one to answer: Bearer (with a realm) before Basic. Empty when there is none that we know.
std::optional<Challenge> choose_challenge(std::span<const Challenge> challenges);

// What a token is for: "repository:library/busybox:pull,push" (docker's token scope grammar), several at once.
class Scopes {
 public:
  Scopes() = default;
  explicit Scopes(std::string_view text) { add(text); }  // separated by spaces
  void add(std::string_view text);
  std::vector<std::string> texts() const;  // one a resource, in order
  std::string key() const;                 // all of them
  bool empty() const { return actions_.empty(); }
  bool operator==(const Scopes&) const = default;

 private:
  std::map<std::string, std::set<std::string>> actions_;  // by "type:name"
};

}  // namespace diatom::image
