// A parsed template, and the functions that it may call. Internal to template*.cc.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "cli/template.h"

namespace diatom::cli::template_ast {

struct Pipeline;

struct Operand {
  enum class Kind { dot, variable, literal, function, parenthesis };
  Kind kind = Kind::dot;
  size_t position = 0;
  std::string name;  // of a variable or a function
  Json literal;
  std::unique_ptr<Pipeline> inner;  // parenthesis
  std::vector<std::string> fields;  // .A.B behind it
};

using Command = std::vector<Operand>;  // a function and its arguments, or one operand

struct Pipeline {
  size_t position = 0;
  std::vector<std::string> variables;  // that it sets; two of a range
  bool declares = false;               // by :=, rather than =
  std::vector<Command> commands;
};

struct Node {
  enum class Kind { text, action, choice, range, with };
  Kind kind = Kind::text;
  std::string text;
  Pipeline pipeline;
  std::vector<Node> body;
  std::vector<Node> otherwise;
};

struct Tree {
  std::string text;
  std::vector<Node> nodes;
  std::set<std::string, std::less<>> first_fields;  // every .Name that stands first
};

Result<Tree> parse(std::string_view text);

// "template: at 3, near ".Foo}}": what".
std::unexpected<Error> fail_at(std::string_view text, size_t position, std::string_view what, std::string hint = {});

using Arguments = std::span<const Json* const>;
struct Function {
  std::string_view name;
  size_t least;
  size_t most;
  Result<Json> (*call)(Arguments);  // its error's message is what fail_at() is to say
};
const Function* find_function(std::string_view name);
std::string function_names();

bool is_true(const Json& value);          // Go's truth: not zero, not empty
std::string go_print(const Json& value);  // %v

}  // namespace diatom::cli::template_ast
