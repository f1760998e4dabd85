// `--format`: the templates of docker's command line (Go's text/template) over JSON values.
//
// There are {{.Field}}, {{.A.B}}, {{$variable}}, {{index .X 0 "key"}}, pipes, parentheses, if/else if/else, range,
// with,
// {{- trimming -}}, comments, and docker's and Go's common functions (template_functions.cc has the table). Values are
// printed as Go prints them: true, 12, [a b], map[k:v]. What Go passes over in silence is an error here: a field that
// is not there names those that are.
//
// Total and bounded: any text is a template or an error (invalid_argument, with the position and the text there), and
// executing one ends after a fixed number of steps and bytes.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json.h"

namespace diatom::cli {

namespace template_ast {
struct Tree;
}

class Template {
 public:
  // In the text outside of {{…}}, \t and \n stand for a tab and a line end, as in docker's listings.
  static Result<Template> parse(std::string_view text);
  Result<std::string> execute(const Json& value) const;
  // Whether {{.name…}} occurs anywhere.
  bool mentions(std::string_view name) const;

  Template(Template&&) noexcept;
  Template& operator=(Template&&) noexcept;
  ~Template();

 private:
  explicit Template(std::unique_ptr<template_ast::Tree> parsed);
  std::unique_ptr<template_ast::Tree> parsed_;
};

}  // namespace diatom::cli
