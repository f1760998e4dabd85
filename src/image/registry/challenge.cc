#include "image/registry/challenge.h"

#include <algorithm>

namespace diatom::image {

namespace {

constexpr size_t most_challenges = 16;
constexpr size_t most_params = 16;
constexpr size_t most_scopes = 16;

bool is_token_char(char c) {  // RFC 9110, 5.6.2
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}
bool is_token68_char(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view("-._~+/").find(c) != std::string_view::npos;
}
bool is_space(char c) { return c == ' ' || c == '\t'; }

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  size_t at() const { return at_; }
  void go_back(size_t at) { at_ = at; }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool skip_space() {
    size_t before = at_;
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
    return at_ > before;
  }
  void skip_commas() {
    while (at_ < text_.size() && (is_space(text_[at_]) || text_[at_] == ',')) ++at_;
  }
  template <class Accepts>
  std::string_view run(Accepts accepts) {
    size_t begin = at_;
    while (at_ < text_.size() && accepts(text_[at_])) ++at_;
    return text_.substr(begin, at_ - begin);
  }
  std::optional<std::string> quoted() {
    if (!take('"')) return std::nullopt;
    std::string value;
    while (at_ < text_.size() && text_[at_] != '"') {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      value += text_[at_++];
    }
    if (!take('"')) return std::nullopt;
    return value;
  }

 private:
  std::string_view text_;
  size_t at_ = 0;
};

// name=value; nothing is consumed when there is none, for it may be the scheme of the next challenge.
bool read_param(Reader& reader, Challenge& challenge) {
  size_t begin = reader.at();
  std::string name = lower(reader.run(is_token_char));
  reader.skip_space();
  if (name.empty() || !reader.take('=')) {
    reader.go_back(begin);
    return false;
  }
  reader.skip_space();
  std::optional<std::string> value;
  if (reader.peek() == '"') {
    value = reader.quoted();
  } else if (std::string_view word = reader.run(is_token_char); !word.empty()) {
    value = std::string(word);
  }
  reader.skip_space();
  bool ended = reader.peek() == ',' || reader.peek() == '\0';
  if (!value || !ended) {
    reader.go_back(begin);
    return false;
  }
  challenge.params.try_emplace(std::move(name), std::move(*value));
  return true;
}

bool read_token68(Reader& reader, Challenge& challenge) {
  size_t begin = reader.at();
  std::string text(reader.run(is_token68_char));
  if (!text.empty()) text += reader.run([](char c) { return c == '='; });
  reader.skip_space();
  if (text.empty() || (reader.peek() != ',' && reader.peek() != '\0')) {
    reader.go_back(begin);
    return false;
  }
  challenge.token68 = std::move(text);
  return true;
}

}  // namespace

std::vector<Challenge> parse_challenges(std::string_view header) {
  std::vector<Challenge> challenges;
  header = header.substr(0, header.find('\0'));
  Reader reader(header);
  while (challenges.size() < most_challenges) {
    reader.skip_commas();
    Challenge challenge;
    challenge.scheme = lower(reader.run(is_token_char));
    if (challenge.scheme.empty()) break;
    bool more = reader.skip_space();
    if (!more && reader.peek() != ',' && reader.peek() != '\0') break;
    if (more && !read_param(reader, challenge)) {
      // A scheme without parameters may be followed by a comma, or have a token68.
      if (reader.peek() != ',' && reader.peek() != '\0' && !read_token68(reader, challenge)) break;
    } else if (more) {
      while (challenge.params.size() < most_params) {
        size_t before = reader.at();
        reader.skip_commas();
        if (read_param(reader, challenge)) continue;
        reader.go_back(before);
        break;
      }
    }
    challenges.push_back(std::move(challenge));
  }
  return challenges;
}

std::string print_challenge(const Challenge& challenge) {
  std::string text = challenge.scheme;
  if (!challenge.token68.empty()) return text + " " + challenge.token68;
  std::string_view separator = " ";
  for (const auto& [name, value] : challenge.params) {
    text += separator;
    text += name + "=\"";
    for (char c : value) {
      if (c == '"' || c == '\\') text += '\\';
      text += c;
    }
    text += '"';
    separator = ", ";
  }
  return text;
}

std::optional<Challenge> choose_challenge(std::span<const Challenge> challenges) {
  auto bearer = std::ranges::find_if(challenges,
                                     [](const auto& c) { return c.scheme == "bearer" && c.params.contains("realm"); });
  if (bearer != challenges.end()) return *bearer;
  auto basic = std::ranges::find(challenges, "basic", &Challenge::scheme);
  if (basic != challenges.end()) return *basic;
  return std::nullopt;
}

void Scopes::add(std::string_view text) {
  while (!text.empty()) {
    size_t end = std::min(text.find(' '), text.size());
    std::string_view scope = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    size_t colon = scope.rfind(':');
    if (colon == std::string_view::npos || colon == 0) continue;
    std::string resource(scope.substr(0, colon));
    if (!actions_.contains(resource) && actions_.size() >= most_scopes) continue;
    std::set<std::string>& actions = actions_[resource];
    std::string_view list = scope.substr(colon + 1);
    while (!list.empty() && actions.size() < most_scopes) {
      size_t comma = std::min(list.find(','), list.size());
      if (comma > 0) actions.emplace(list.substr(0, comma));
      list.remove_prefix(std::min(comma + 1, list.size()));
    }
  }
}

std::vector<std::string> Scopes::texts() const {
  std::vector<std::string> out;
  for (const auto& [resource, actions] : actions_) {
    std::string& text = out.emplace_back(resource + ":");
    for (const auto& action : actions) text += (text.ends_with(':') ? "" : ",") + action;
  }
  return out;
}

std::string Scopes::key() const {
  std::string key;
  for (const auto& text : texts()) key += text + " ";
  return key;
}

}  // namespace diatom::image
