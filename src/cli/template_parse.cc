#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "cli/template_ast.h"
#include "cli/text.h"

namespace diatom::cli::template_ast {

namespace {

constexpr size_t longest_text = 64 << 10;
constexpr int deepest = 64;

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool begins_word(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool in_word(char c) { return begins_word(c) || is_digit(c); }

void append_utf8(std::string& out, uint32_t point) {
  auto tail = [&](int shift) { out += static_cast<char>(0x80 | ((point >> shift) & 0x3f)); };
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xc0 | (point >> 6));
    tail(0);
  } else {
    out += static_cast<char>(0xe0 | (point >> 12));
    tail(6);
    tail(0);
  }
}

std::string unescape_literal(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    bool escape = text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == 't' || text[i + 1] == 'n');
    out += escape ? (text[++i] == 't' ? '\t' : '\n') : text[i];
  }
  return out;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) { tree_.text = text; }

  Result<Tree> parse() {
    if (text_.size() > longest_text) return error("the template is too long");
    variables_.push_back("$");
    Block block = TRY(parse_block());
    if (block.end != End::text) return fail_at(text_, block.position, "there is nothing open here");
    tree_.nodes = std::move(block.nodes);
    return std::move(tree_);
  }

 private:
  // What closed a list of nodes.
  enum class End { text, end, otherwise };
  struct Block {
    std::vector<Node> nodes;
    End end = End::text;
    size_t position = 0;
  };

  // Counts how deep the parser is in itself.
  class Depth {
   public:
    explicit Depth(int& depth) : depth_(depth) { ++depth_; }
    Depth(const Depth&) = delete;
    Depth& operator=(const Depth&) = delete;
    ~Depth() { --depth_; }

   private:
    int& depth_;
  };

  std::unexpected<Error> error(std::string_view what, std::string hint = {}) const {
    return fail_at(text_, at_, what, std::move(hint));
  }
  bool sees(std::string_view expected) const { return text_.substr(at_).starts_with(expected); }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(std::string_view expected) {
    if (!sees(expected)) return false;
    at_ += expected.size();
    return true;
  }
  void skip_space() {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
  }
  std::string take_word() {
    size_t begin = at_;
    while (at_ < text_.size() && in_word(text_[at_])) ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }

  bool sees_close() const { return sees("}}") || (sees("-}}") && at_ > 0 && is_space(text_[at_ - 1])); }
  Result<> take_close() {
    skip_space();
    if (!sees_close()) return error(at_ == text_.size() ? "}} is missing" : "this was not expected");
    trim_next_ = take("-");
    take("}}");
    return {};
  }

  // Text up to the next action, or the rest.
  void parse_text(std::vector<Node>& nodes) {
    size_t end = std::min(text_.find("{{", at_), text_.size());
    std::string_view text = text_.substr(at_, end - at_);
    at_ = end;
    if (trim_next_) text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
    trim_next_ = false;
    bool trim = sees("{{-") && at_ + 3 < text_.size() && is_space(text_[at_ + 3]);
    if (trim) text = text.substr(0, text.find_last_not_of(" \t\r\n") + 1);
    if (!text.empty()) {
      Node& node = nodes.emplace_back();
      node.text = unescape_literal(text);
    }
    if (take("{{") && trim) take("-");
  }

  Result<Block> parse_block() {
    Depth depth(depth_);
    if (depth_ > deepest) return error("nested too deeply");
    Block block;
    while (true) {
      parse_text(block.nodes);
      if (at_ == text_.size()) {
        block.position = at_;
        // "{{" at the very end is an action without an end.
        if (text_.ends_with("{{") && !text_.empty()) return error("}} is missing");
        return block;
      }
      skip_space();
      block.position = at_;
      if (take("/*")) {
        size_t end = text_.find("*/", at_);
        if (end == std::string_view::npos) return error("the comment has no end");
        at_ = end + 2;
        TRY(take_close());
        continue;
      }
      size_t before = at_;
      std::string word = take_word();
      if (word == "end") {
        TRY(take_close());
        block.end = End::end;
        return block;
      }
      if (word == "else") {
        block.end = End::otherwise;
        return block;
      }
      Node node;
      if (word == "if" || word == "range" || word == "with") {
        node = TRY(parse_control(word));
      } else {
        at_ = before;
        node.kind = Node::Kind::action;
        node.pipeline = TRY(parse_pipeline());
        if (node.pipeline.variables.size() > 1) return fail_at(text_, before, "only range sets two variables");
        TRY(take_close());
      }
      block.nodes.push_back(std::move(node));
    }
  }

  Result<Node> parse_control(std::string_view word) {
    size_t variables = variables_.size();
    size_t opened = at_ - word.size();
    Node node;
    node.kind = word == "if" ? Node::Kind::choice : word == "range" ? Node::Kind::range : Node::Kind::with;
    node.pipeline = TRY(parse_pipeline());
    if (node.pipeline.variables.size() > 1 && node.kind != Node::Kind::range)
      return fail_at(text_, node.pipeline.position, "only range sets two variables");
    TRY(take_close());
    Block body = TRY(parse_block());
    node.body = std::move(body.nodes);
    variables_.resize(variables);
    if (body.end == End::otherwise) TRY(parse_otherwise(node, opened));
    if (body.end == End::text) return fail_at(text_, opened, "{{end}} is missing");
    return node;
  }

  // Behind "else": "if …" goes on as a node of its own, whose {{end}} is this one's, too.
  Result<> parse_otherwise(Node& node, size_t opened) {
    skip_space();
    Depth depth(depth_);
    size_t before = at_;
    std::string word = take_word();
    if (word == "if" || word == "with") {
      if (depth_ > deepest) return error("nested too deeply");
      node.otherwise.push_back(TRY(parse_control(word)));
      return {};
    }
    at_ = before;
    TRY(take_close());
    size_t variables = variables_.size();
    Block block = TRY(parse_block());
    variables_.resize(variables);
    if (block.end == End::text) return fail_at(text_, opened, "{{end}} is missing");
    if (block.end == End::otherwise) return fail_at(text_, block.position, "a second {{else}}");
    node.otherwise = std::move(block.nodes);
    return {};
  }

  // "$x :=", "$k, $v :=" or "$x =", where it stands.
  Result<> parse_declaration(Pipeline& pipeline) {
    size_t before = at_;
    std::vector<std::string> names;
    do {
      skip_space();
      if (peek() != '$') break;
      ++at_;
      names.push_back("$" + take_word());
      skip_space();
    } while (names.size() < 2 && take(","));
    bool declares = take(":=");
    if (names.empty() || !(declares || take("="))) {
      at_ = before;
      return {};
    }
    for (const auto& name : names)
      if (declares)
        variables_.push_back(name);
      else if (std::ranges::find(variables_, name) == variables_.end())
        return error("there is no variable " + name);
    pipeline.variables = std::move(names);
    pipeline.declares = declares;
    return {};
  }

  Result<Pipeline> parse_pipeline() {
    Depth depth(depth_);
    if (depth_ > deepest) return error("nested too deeply");
    Pipeline pipeline;
    skip_space();
    pipeline.position = at_;
    // A variable is there from behind its pipeline on; being early by that much only changes an error's words.
    TRY(parse_declaration(pipeline));
    do {
      pipeline.commands.push_back(TRY(parse_command()));
    } while (take("|"));
    for (size_t i = 1; i < pipeline.commands.size(); ++i)
      if (const Operand& first = pipeline.commands[i].front(); first.kind != Operand::Kind::function)
        return fail_at(text_, first.position, "a pipe leads to a function only");
    return pipeline;
  }

  Result<Command> parse_command() {
    Command command;
    for (skip_space(); at_ < text_.size() && !sees_close() && peek() != '|' && peek() != ')'; skip_space()) {
      Operand operand = TRY(parse_operand());
      char next = peek();
      if (at_ < text_.size() && !is_space(next) && next != '|' && next != ')' && next != '}')
        return error("this was not expected");
      if (!command.empty() && operand.kind == Operand::Kind::function)
        return fail_at(text_, operand.position, "put the inner call in parentheses");
      if (!command.empty() && command.front().kind != Operand::Kind::function)
        return fail_at(text_, command.front().position, "this is no function and takes no arguments");
      command.push_back(std::move(operand));
    }
    if (command.empty()) return error("a value is missing");
    return command;
  }

  Result<Operand> parse_operand() {
    Operand operand;
    operand.position = at_;
    char c = peek();
    if (c == '.') {
      operand.kind = Operand::Kind::dot;
      if (at_ + 1 < text_.size() && !begins_word(text_[at_ + 1])) {
        ++at_;
        return operand;
      }
      TRY(parse_fields(operand));
      if (!operand.fields.empty()) tree_.first_fields.insert(operand.fields.front());
    } else if (c == '$') {
      ++at_;
      operand.kind = Operand::Kind::variable;
      operand.name = "$" + take_word();
      if (std::ranges::find(variables_, operand.name) == variables_.end())
        return fail_at(text_, operand.position, "there is no variable " + operand.name);
      TRY(parse_fields(operand));
      if (operand.name == "$" && !operand.fields.empty()) tree_.first_fields.insert(operand.fields.front());
    } else if (c == '(') {
      ++at_;
      operand.kind = Operand::Kind::parenthesis;
      operand.inner = std::make_unique<Pipeline>(TRY(parse_pipeline()));
      if (!operand.inner->variables.empty()) return fail_at(text_, operand.position, "a variable cannot be set here");
      skip_space();
      if (!take(")")) return error(") is missing");
      TRY(parse_fields(operand));
    } else if (begins_word(c)) {
      TRY(parse_name(operand));
    } else {
      operand.kind = Operand::Kind::literal;
      operand.literal = TRY(parse_literal());
    }
    return operand;
  }

  Result<> parse_fields(Operand& operand) {
    while (peek() == '.') {
      ++at_;
      std::string field = take_word();
      if (field.empty()) return error("a field's name is missing");
      operand.fields.push_back(std::move(field));
    }
    return {};
  }

  Result<> parse_name(Operand& operand) {
    std::string word = take_word();
    operand.kind = Operand::Kind::literal;
    if (word == "true" || word == "false") {
      operand.literal = word == "true";
    } else if (word != "nil") {
      operand.kind = Operand::Kind::function;
      if (!find_function(word))
        return fail_at(text_, operand.position, "there is no function " + word, "there are: " + function_names());
      operand.name = std::move(word);
    }
    return {};
  }

  Result<Json> parse_literal() {
    if (peek() == '"') return parse_string();
    if (take("`")) {
      size_t end = text_.find('`', at_);
      if (end == std::string_view::npos) return error("` is missing");
      std::string raw(text_.substr(at_, end - at_));
      at_ = end + 1;
      return Json(std::move(raw));
    }
    size_t begin = at_;
    size_t end = at_;
    if (peek() == '-' || peek() == '+') ++end;
    while (end < text_.size() && (is_digit(text_[end]) || text_[end] == '.')) ++end;
    std::string_view number = text_.substr(begin, end - begin);
    if (number.starts_with('+')) number.remove_prefix(1);
    at_ = end;
    int64_t whole = 0;
    auto [rest, failed] = std::from_chars(number.data(), number.data() + number.size(), whole);
    if (failed == std::errc{} && rest == number.data() + number.size()) return Json(whole);
    double real = 0;
    auto [real_rest, real_failed] = std::from_chars(number.data(), number.data() + number.size(), real);
    if (real_failed == std::errc{} && real_rest == number.data() + number.size()) return Json(real);
    return fail_at(text_, begin, "this was not expected");
  }

  Result<Json> parse_string() {
    size_t begin = at_++;
    std::string value;
    while (at_ < text_.size() && text_[at_] != '"') {
      if (text_[at_] != '\\') {
        value += text_[at_++];
        continue;
      }
      ++at_;
      TRY(parse_escape(value));
    }
    if (!take("\"")) return fail_at(text_, begin, "the string has no end");
    return Json(std::move(value));
  }

  Result<> parse_escape(std::string& value) {
    static constexpr std::pair<char, char> simple[] = {{'n', '\n'},  {'t', '\t'},  {'r', '\r'}, {'"', '"'},
                                                       {'\\', '\\'}, {'\'', '\''}, {'a', '\a'}, {'b', '\b'},
                                                       {'f', '\f'},  {'v', '\v'}};
    char c = peek();
    for (auto [letter, meaning] : simple)
      if (letter == c) {
        value += meaning;
        ++at_;
        return {};
      }
    size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : 0;
    if (digits > 0 && at_ + 1 + digits <= text_.size()) {
      uint32_t point = 0;
      const char* first = text_.data() + at_ + 1;
      auto [rest, failed] = std::from_chars(first, first + digits, point, 16);
      bool surrogate = point >= 0xd800 && point < 0xe000;
      if (failed == std::errc{} && rest == first + digits && !surrogate) {
        if (c == 'x')
          value += static_cast<char>(point);
        else
          append_utf8(value, point);
        at_ += 1 + digits;
        return {};
      }
    }
    return error("this is no escape");
  }

  std::string_view text_;
  size_t at_ = 0;
  int depth_ = 0;
  bool trim_next_ = false;
  std::vector<std::string> variables_;  // that can be seen here
  Tree tree_;
};

}  // namespace

std::unexpected<Error> fail_at(std::string_view text, size_t position, std::string_view what, std::string hint) {
  if (position >= text.size())
    return fail(Errc::invalid_argument, fmt::format("template: at its end: {}", what), std::move(hint));
  std::string near = ellipsis(printable(text.substr(position)), 40);
  return fail(Errc::invalid_argument, fmt::format("template: at {}, near \"{}\": {}", position + 1, near, what),
              std::move(hint));
}

Result<Tree> parse(std::string_view text) { return Parser(text).parse(); }

}  // namespace diatom::cli::template_ast
