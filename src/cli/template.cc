#include "cli/template.h"

#include <fmt/core.h>

#include <deque>

#include "cli/template_ast.h"

namespace diatom::cli {

namespace {

using namespace template_ast;  // NOLINT: this file is the other half of that namespace

constexpr size_t most_steps = 300'000;
constexpr size_t most_bytes = 64 << 20;

size_t bytes_of(const Json& value) {
  if (value.is_string()) return value.get_ref<const std::string&>().size();
  size_t bytes = sizeof(Json);
  if (value.is_structured())
    for (const Json& element : value) bytes += bytes_of(element);
  return bytes;
}

std::string known_fields(const Json& value) {
  std::string names;
  for (const auto& [key, element] : value.items()) names += (names.empty() ? "" : ", ") + key;
  return "there are: " + names;
}

class Executor {
 public:
  Executor(const Tree& tree, const Json& root) : tree_(tree) { variables_.emplace_back("$", &root); }

  Result<> run(const std::vector<Node>& nodes, const Json* dot) {
    size_t variables = variables_.size();
    for (const Node& node : nodes) TRY(run(node, dot));
    variables_.erase(variables_.begin() + static_cast<ptrdiff_t>(variables), variables_.end());
    return {};
  }

  std::string take_output() { return std::move(output_); }

 private:
  Result<> spend(size_t bytes, size_t position) {
    bytes_ += bytes;
    if (++steps_ > most_steps || bytes_ > most_bytes) return fail_at(tree_.text, position, "this goes on for too long");
    return {};
  }

  Result<> run(const Node& node, const Json* dot) {
    if (node.kind == Node::Kind::text) {
      TRY(spend(node.text.size(), 0));
      output_ += node.text;
      return {};
    }
    if (node.kind == Node::Kind::range) return run_range(node, dot);
    size_t variables = variables_.size();
    const Json* value = TRY(evaluate(node.pipeline, dot));
    if (node.kind == Node::Kind::action) {
      if (!node.pipeline.variables.empty()) return {};
      std::string text = go_print(*value);
      TRY(spend(text.size(), node.pipeline.position));
      output_ += text;
      return {};
    }
    bool holds = is_true(*value);
    const Json* inner = node.kind == Node::Kind::with && holds ? value : dot;
    TRY(run(holds ? node.body : node.otherwise, inner));
    variables_.erase(variables_.begin() + static_cast<ptrdiff_t>(variables), variables_.end());
    return {};
  }

  Result<> run_range(const Node& node, const Json* dot) {
    const Json* list = TRY(evaluate_commands(node.pipeline, dot));
    if (!list->is_structured() && !list->is_null())
      return fail_at(tree_.text, node.pipeline.position, fmt::format("range: {} has no elements", go_print(*list)));
    if (list->empty()) return run(node.otherwise, dot);
    size_t variables = variables_.size();
    const auto& names = node.pipeline.variables;
    int64_t number = 0;
    for (auto element = list->begin(); element != list->end(); ++element, ++number) {
      TRY(spend(0, node.pipeline.position));
      if (names.size() == 2) set(node.pipeline, names[0], keep(list->is_object() ? Json(element.key()) : Json(number)));
      if (!names.empty()) set(node.pipeline, names.back(), &*element);
      TRY(run(node.body, &*element));
      variables_.erase(variables_.begin() + static_cast<ptrdiff_t>(variables), variables_.end());
    }
    return {};
  }

  Result<const Json*> evaluate(const Pipeline& pipeline, const Json* dot) {
    const Json* value = TRY(evaluate_commands(pipeline, dot));
    for (const auto& name : pipeline.variables) set(pipeline, name, value);
    return value;
  }

  Result<const Json*> evaluate_commands(const Pipeline& pipeline, const Json* dot) {
    const Json* value = nullptr;
    for (const Command& command : pipeline.commands) value = TRY(evaluate(command, dot, value));
    return value;
  }

  // `piped` is the last argument, when it is there.
  Result<const Json*> evaluate(const Command& command, const Json* dot, const Json* piped) {
    const Operand& first = command.front();
    TRY(spend(0, first.position));
    if (first.kind != Operand::Kind::function) return evaluate(first, dot);
    const Function& function = *find_function(first.name);
    size_t count = command.size() - 1 + (piped ? 1 : 0);
    if (count < function.least || count > function.most)
      return fail_at(tree_.text, first.position, fmt::format("{} does not take {} arguments", function.name, count));
    if (!function.call) return evaluate_logic(command, dot, piped);
    std::vector<const Json*> arguments;
    for (size_t i = 1; i < command.size(); ++i) arguments.push_back(TRY(evaluate(command[i], dot)));
    if (piped) arguments.push_back(piped);
    auto result = function.call(arguments);
    if (!result) return fail_at(tree_.text, first.position, result.error().message);
    TRY(spend(bytes_of(*result), first.position));
    return keep(std::move(*result));
  }

  // `and`: the first false one, or the last; `or`: the first true one, or the last. What comes behind is not looked at.
  Result<const Json*> evaluate_logic(const Command& command, const Json* dot, const Json* piped) {
    bool stops_at = command.front().name == "or";
    const Json* value = nullptr;
    for (size_t i = 1; i < command.size(); ++i) {
      value = TRY(evaluate(command[i], dot));
      if (is_true(*value) == stops_at) return value;
    }
    return piped ? piped : value;
  }

  Result<const Json*> evaluate(const Operand& operand, const Json* dot) {
    const Json* value = dot;
    if (operand.kind == Operand::Kind::literal) return &operand.literal;
    if (operand.kind == Operand::Kind::variable) value = find(operand.name);
    if (operand.kind == Operand::Kind::parenthesis) value = TRY(evaluate(*operand.inner, dot));
    for (const auto& field : operand.fields) {
      if (!value->is_object())
        return fail_at(tree_.text, operand.position,
                       fmt::format("there is no field {}: {} has no fields", field, go_print(*value)));
      auto found = value->find(field);
      if (found == value->end())
        return fail_at(tree_.text, operand.position, fmt::format("there is no field {}", field), known_fields(*value));
      value = &*found;
    }
    return value;
  }

  // The parser has seen to it that the name is there.
  const Json* find(std::string_view name) const {
    for (auto variable = variables_.rbegin(); variable != variables_.rend(); ++variable)
      if (variable->first == name) return variable->second;
    return &nothing_;
  }

  void set(const Pipeline& pipeline, const std::string& name, const Json* value) {
    for (auto variable = variables_.rbegin(); !pipeline.declares && variable != variables_.rend(); ++variable)
      if (variable->first == name) {
        variable->second = value;
        return;
      }
    variables_.emplace_back(name, value);
  }

  const Json* keep(Json value) { return &kept_.emplace_back(std::move(value)); }

  const Tree& tree_;
  std::vector<std::pair<std::string, const Json*>> variables_;
  std::deque<Json> kept_;  // what functions returned: a deque, so that they stay where they are
  Json nothing_;
  std::string output_;
  size_t steps_ = 0;
  size_t bytes_ = 0;
};

}  // namespace

Template::Template(std::unique_ptr<template_ast::Tree> parsed) : parsed_(std::move(parsed)) {}
Template::Template(Template&&) noexcept = default;
Template& Template::operator=(Template&&) noexcept = default;
Template::~Template() = default;

Result<Template> Template::parse(std::string_view text) {
  return Template(std::make_unique<template_ast::Tree>(TRY(template_ast::parse(text))));
}

Result<std::string> Template::execute(const Json& value) const {
  Executor executor(*parsed_, value);
  TRY(executor.run(parsed_->nodes, &value));
  return executor.take_output();
}

bool Template::mentions(std::string_view name) const { return parsed_->first_fields.contains(name); }

}  // namespace diatom::cli
