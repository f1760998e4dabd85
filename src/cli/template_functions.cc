// docker's functions (cli/templates) and Go's own, as far as people use them.
#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "cli/template_ast.h"

namespace diatom::cli::template_ast {

namespace {

constexpr size_t widest = 1000;
constexpr size_t any_number = SIZE_MAX;

std::unexpected<Error> wrong(std::string what) { return fail(Errc::invalid_argument, std::move(what)); }

Result<std::string> as_text(const Json& value) {
  if (!value.is_string()) return wrong(fmt::format("{} is no text", go_print(value)));
  return value.get<std::string>();
}

Result<int64_t> as_integer(const Json& value) {
  if (!value.is_number_integer()) return wrong(fmt::format("{} is no whole number", go_print(value)));
  return value.get<int64_t>();
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

Result<Json> call_json(Arguments arguments) { return Json(print_json(*arguments[0])); }

Result<Json> call_lower(Arguments arguments) {
  std::string text = TRY(as_text(*arguments[0]));
  std::ranges::transform(text, text.begin(), lower);
  return Json(std::move(text));
}

Result<Json> call_upper(Arguments arguments) {
  std::string text = TRY(as_text(*arguments[0]));
  std::ranges::transform(text, text.begin(), upper);
  return Json(std::move(text));
}

Result<Json> call_title(Arguments arguments) {
  std::string text = TRY(as_text(*arguments[0]));
  bool begins = true;
  for (char& c : text) {
    if (begins) c = upper(c);
    begins = c == ' ' || c == '\t' || c == '\n';
  }
  return Json(std::move(text));
}

Result<Json> call_join(Arguments arguments) {
  const Json& list = *arguments[0];
  std::string separator = TRY(as_text(*arguments[1]));
  if (!list.is_array() && !list.is_null()) return wrong(fmt::format("join: {} is no list", go_print(list)));
  std::string text;
  for (size_t i = 0; i < list.size(); ++i) text += (i == 0 ? "" : separator) + go_print(list[i]);
  return Json(std::move(text));
}

Result<Json> call_split(Arguments arguments) {
  std::string text = TRY(as_text(*arguments[0]));
  std::string separator = TRY(as_text(*arguments[1]));
  if (separator.empty()) return wrong("split: the separator is empty");
  Json list = Json::array();
  size_t begin = 0;
  for (size_t end = text.find(separator); end != std::string::npos; end = text.find(separator, begin)) {
    list.push_back(text.substr(begin, end - begin));
    begin = end + separator.size();
  }
  list.push_back(text.substr(begin));
  return list;
}

Result<Json> call_pad(Arguments arguments) {
  std::string text = TRY(as_text(*arguments[0]));
  int64_t before = TRY(as_integer(*arguments[1]));
  int64_t behind = TRY(as_integer(*arguments[2]));
  auto spaces = [](int64_t count) {
    return std::string(static_cast<size_t>(std::clamp<int64_t>(count, 0, widest)), ' ');
  };
  return Json(text.empty() ? text : spaces(before) + text + spaces(behind));
}

Result<Json> call_truncate(Arguments arguments) {
  std::string text = TRY(as_text(*arguments[0]));
  int64_t length = TRY(as_integer(*arguments[1]));
  if (length >= 0 && static_cast<size_t>(length) < text.size()) text.resize(static_cast<size_t>(length));
  return Json(std::move(text));
}

Result<Json> index_one(const Json& value, const Json& key) {
  if (value.is_null() && key.is_string()) return Json("");
  if (value.is_object()) {
    // As Go, which gives a map's zero value for what is not there: labels are asked for in this way.
    auto found = value.find(TRY(as_text(key)));
    return found == value.end() ? Json("") : *found;
  }
  if (!value.is_array()) return wrong(fmt::format("index: {} has no elements", go_print(value)));
  int64_t index = TRY(as_integer(key));
  if (index < 0 || static_cast<size_t>(index) >= value.size())
    return wrong(fmt::format("index: {} is out of range, there are {}", index, value.size()));
  return value[static_cast<size_t>(index)];
}

Result<Json> call_index(Arguments arguments) {
  Json value = *arguments[0];
  for (const Json* key : arguments.subspan(1)) value = TRY(index_one(value, *key));
  return value;
}

Result<Json> call_len(Arguments arguments) {
  const Json& value = *arguments[0];
  if (value.is_string()) return Json(value.get_ref<const std::string&>().size());
  if (value.is_structured() || value.is_null()) return Json(value.size());
  return wrong(fmt::format("len: {} has no length", go_print(value)));
}

Result<Json> call_not(Arguments arguments) { return Json(!is_true(*arguments[0])); }

Result<Json> call_eq(Arguments arguments) {
  return Json(std::ranges::any_of(arguments.subspan(1), [&](const Json* other) { return *other == *arguments[0]; }));
}
Result<Json> call_ne(Arguments arguments) { return Json(*arguments[0] != *arguments[1]); }

Result<> check_ordered(Arguments arguments) {
  const Json &a = *arguments[0], &b = *arguments[1];
  if ((a.is_number() && b.is_number()) || (a.is_string() && b.is_string())) return {};
  return wrong(fmt::format("{} and {} have no order", go_print(a), go_print(b)));
}
Result<Json> call_lt(Arguments arguments) {
  TRY(check_ordered(arguments));
  return Json(*arguments[0] < *arguments[1]);
}
Result<Json> call_le(Arguments arguments) {
  TRY(check_ordered(arguments));
  return Json(*arguments[0] <= *arguments[1]);
}
Result<Json> call_gt(Arguments arguments) {
  TRY(check_ordered(arguments));
  return Json(*arguments[0] > *arguments[1]);
}
Result<Json> call_ge(Arguments arguments) {
  TRY(check_ordered(arguments));
  return Json(*arguments[0] >= *arguments[1]);
}

// A space between two operands of which neither is a text: Go's Sprint.
Result<Json> call_print(Arguments arguments) {
  std::string text;
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (i > 0 && !arguments[i]->is_string() && !arguments[i - 1]->is_string()) text += ' ';
    text += go_print(*arguments[i]);
  }
  return Json(std::move(text));
}

Result<Json> call_println(Arguments arguments) {
  std::string text;
  for (size_t i = 0; i < arguments.size(); ++i) text += (i == 0 ? "" : " ") + go_print(*arguments[i]);
  return Json(text + "\n");
}

struct Verb {
  bool left = false;
  bool zeros = false;
  bool sign = false;
  size_t width = 0;
  size_t precision = std::string::npos;
  char letter = '\0';
};

// Behind the "%"; moves `at` behind the verb.
Result<Verb> parse_verb(std::string_view format, size_t& at) {
  Verb verb;
  for (; at < format.size(); ++at) {
    if (format[at] == '-')
      verb.left = true;
    else if (format[at] == '0')
      verb.zeros = true;
    else if (format[at] == '+')
      verb.sign = true;
    else
      break;
  }
  auto number = [&](size_t& out) {
    out = 0;
    for (; at < format.size() && format[at] >= '0' && format[at] <= '9'; ++at)
      out = std::min(out * 10 + static_cast<size_t>(format[at] - '0'), widest + 1);
    return out <= widest;
  };
  bool fits = number(verb.width);
  if (at < format.size() && format[at] == '.') {
    ++at;
    fits = number(verb.precision) && fits;
  }
  if (!fits) return wrong("printf: wider than 1000");
  if (at == format.size()) return wrong("printf: the verb is missing");
  verb.letter = format[at++];
  return verb;
}

Result<std::string> print_verb(const Verb& verb, const Json& value) {
  switch (verb.letter) {
    case 's':
    case 'v': {
      std::string text = go_print(value);
      return verb.letter == 's' ? text.substr(0, verb.precision) : text;
    }
    case 'q':
      return print_json(Json(TRY(as_text(value))));
    case 't':
      if (!value.is_boolean()) break;
      return go_print(value);
    case 'd': {
      int64_t number = TRY(as_integer(value));
      return (verb.sign && number >= 0 ? "+" : "") + std::to_string(number);
    }
    case 'x': {
      if (value.is_string()) {
        std::string hex;
        for (char c : value.get<std::string>()) hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
        return hex;
      }
      return fmt::format("{:x}", TRY(as_integer(value)));
    }
    case 'f':
      if (!value.is_number()) break;
      return fmt::format("{:.{}f}", value.get<double>(), verb.precision == std::string::npos ? 6 : verb.precision);
    default:
      return wrong(fmt::format("printf: there is no verb %{}; there are s d v q t x f", verb.letter));
  }
  return wrong(fmt::format("printf: %{} does not fit {}", verb.letter, go_print(value)));
}

Result<Json> call_printf(Arguments arguments) {
  std::string format = TRY(as_text(*arguments[0]));
  std::string text;
  size_t next = 1;
  for (size_t at = 0; at < format.size();) {
    char c = format[at++];
    if (c != '%') {
      text += c;
      continue;
    }
    Verb verb = TRY(parse_verb(format, at));
    if (verb.letter == '%') {
      text += '%';
      continue;
    }
    if (next == arguments.size()) return wrong("printf: there are more verbs than values");
    const Json& value = *arguments[next++];
    std::string printed = TRY(print_verb(verb, value));
    size_t padding = verb.width > printed.size() ? verb.width - printed.size() : 0;
    if (verb.left)
      text += printed + std::string(padding, ' ');
    else if (verb.zeros && value.is_number())
      text.append(printed, 0, printed.starts_with('-')).append(padding, '0').append(printed, printed.starts_with('-'));
    else
      text += std::string(padding, ' ') + printed;
  }
  if (next != arguments.size()) return wrong("printf: there are more values than verbs");
  return Json(std::move(text));
}

// `and` and `or` do not evaluate what does not matter: the executor knows them by name.
constexpr Function functions[] = {
    {"and", 1, any_number, nullptr},
    {"eq", 2, any_number, call_eq},
    {"ge", 2, 2, call_ge},
    {"gt", 2, 2, call_gt},
    {"index", 1, any_number, call_index},
    {"join", 2, 2, call_join},
    {"json", 1, 1, call_json},
    {"le", 2, 2, call_le},
    {"len", 1, 1, call_len},
    {"lower", 1, 1, call_lower},
    {"lt", 2, 2, call_lt},
    {"ne", 2, 2, call_ne},
    {"not", 1, 1, call_not},
    {"or", 1, any_number, nullptr},
    {"pad", 3, 3, call_pad},
    {"print", 0, any_number, call_print},
    {"printf", 1, any_number, call_printf},
    {"println", 0, any_number, call_println},
    {"split", 2, 2, call_split},
    {"title", 1, 1, call_title},
    {"truncate", 2, 2, call_truncate},
    {"upper", 1, 1, call_upper},
};

}  // namespace

const Function* find_function(std::string_view name) {
  const Function* found = std::ranges::find(functions, name, &Function::name);
  return found == std::end(functions) ? nullptr : found;
}

std::string function_names() {
  std::string names;
  for (const Function& function : functions) names += (names.empty() ? "" : ", ") + std::string(function.name);
  return names;
}

bool is_true(const Json& value) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number()) return value.get<double>() != 0;
  if (value.is_string()) return !value.get_ref<const std::string&>().empty();
  return !value.empty();
}

std::string go_print(const Json& value) {
  if (value.is_null()) return "<nil>";
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_float()) return fmt::format("{}", value.get<double>());
  if (value.is_array()) {
    std::string text;
    for (const Json& element : value) text += (text.empty() ? "" : " ") + go_print(element);
    return "[" + text + "]";
  }
  if (value.is_object()) {
    std::map<std::string, const Json*> sorted;  // as Go prints maps
    for (const auto& [key, element] : value.items()) sorted.emplace(key, &element);
    std::string text;
    for (const auto& [key, element] : sorted) text += (text.empty() ? "" : " ") + key + ":" + go_print(*element);
    return "map[" + text + "]";
  }
  return print_json(value);
}

}  // namespace diatom::cli::template_ast
