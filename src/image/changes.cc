#include "image/changes.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "image/config_json.h"

namespace diatom::image {

namespace {

using nlohmann::json;

std::string_view trim(std::string_view text) {
  size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

std::unexpected<Error> refuse(std::string_view change, std::string_view why) {
  return fail(Errc::invalid_argument,
              "apply change \"" + std::string(change.substr(0, 200)) + "\": " + std::string(why),
              "a Dockerfile's instruction, such as 'CMD [\"/bin/sh\"]' or 'ENV KEY=value'");
}

// Words as a Dockerfile has them: separated by blanks, with quotes and backslashes.
Result<std::vector<std::string>> split_words(std::string_view change, std::string_view text) {
  std::vector<std::string> words;
  char quote = 0;
  bool inside = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    bool blank = c == ' ' || c == '\t';
    if (quote == 0 && blank) {
      inside = false;
      continue;
    }
    if (!inside) words.emplace_back();
    inside = true;
    if (c == '\\' && quote != '\'' && i + 1 < text.size())
      words.back() += text[++i];
    else if (quote == 0 && (c == '"' || c == '\''))
      quote = c;
    else if (quote != 0 && c == quote)
      quote = 0;
    else
      words.back() += c;
  }
  if (quote != 0) return refuse(change, "a quotation mark is open");
  return words;
}

// The JSON form, or else words for a shell to make sense of.
json command_of(std::string_view text) {
  json list = json::parse(text, nullptr, false);
  bool exec_form = list.is_array() && std::ranges::all_of(list, [](const json& word) { return word.is_string(); });
  return exec_form ? list : json{"/bin/sh", "-c", std::string(text)};
}

// "KEY=VALUE …", or the old form "KEY all the rest".
Result<std::vector<std::pair<std::string, std::string>>> pairs_of(std::string_view change, std::string_view text) {
  auto words = TRY(split_words(change, text));
  std::vector<std::pair<std::string, std::string>> pairs;
  if (words.front().find('=') == std::string::npos) {
    if (words.size() < 2) return refuse(change, "a value is missing");
    size_t blank = text.find_first_of(" \t");
    pairs.emplace_back(words.front(), trim(text.substr(blank)));
    return pairs;
  }
  for (const std::string& word : words) {
    size_t equals = word.find('=');
    if (equals == std::string::npos || equals == 0) return refuse(change, "\"" + word + "\" is no KEY=VALUE");
    pairs.emplace_back(word.substr(0, equals), word.substr(equals + 1));
  }
  return pairs;
}

// A list as JSON or as words.
Result<std::vector<std::string>> list_of(std::string_view change, std::string_view text) {
  json list = json::parse(text, nullptr, false);
  if (!list.is_array()) return split_words(change, text);
  std::vector<std::string> out;
  for (const json& entry : list) {
    if (!entry.is_string()) return refuse(change, "the list has something that is no string");
    out.push_back(entry.get<std::string>());
  }
  return out;
}

Result<> apply_change(json& config, std::string_view change) {
  std::string_view text = trim(change);
  size_t blank = std::min(text.find_first_of(" \t"), text.size());
  std::string verb(text.substr(0, blank));
  std::ranges::transform(verb, verb.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  std::string_view rest = trim(text.substr(blank));
  if (rest.empty()) return refuse(change, "it says nothing");
  if (verb == "CMD") {
    config["Cmd"] = command_of(rest);
  } else if (verb == "ENTRYPOINT") {
    config["Entrypoint"] = command_of(rest);
  } else if (verb == "ENV") {
    for (const auto& [key, value] : TRY(pairs_of(change, rest))) set_variable(config, key + "=" + value);
  } else if (verb == "LABEL") {
    for (const auto& [key, value] : TRY(pairs_of(change, rest))) object_at(config, "Labels")[key] = value;
  } else if (verb == "EXPOSE") {
    for (const std::string& port : TRY(split_words(change, rest))) {
      std::string number = port.substr(0, port.find('/'));
      if (number.empty() || number.size() > 5 || number.find_first_not_of("0123456789") != std::string::npos)
        return refuse(change, "\"" + port + "\" is no port");
      expose_port(config, port);
    }
  } else if (verb == "VOLUME") {
    for (const std::string& path : TRY(list_of(change, rest))) object_at(config, "Volumes")[path] = json::object();
  } else if (verb == "USER") {
    config["User"] = rest;
  } else if (verb == "WORKDIR") {
    // A relative one goes on from the one before.
    std::string before = config.value("WorkingDir", std::string("/"));
    config["WorkingDir"] =
        rest.starts_with('/') ? std::string(rest) : before + (before.ends_with('/') ? "" : "/") + std::string(rest);
  } else if (verb == "STOPSIGNAL") {
    config["StopSignal"] = rest;
  } else if (verb == "ONBUILD") {
    list_at(config, "OnBuild").push_back(rest);
  } else {
    return refuse(change, "an instruction that changes no config");
  }
  return {};
}

}  // namespace

Result<std::string> apply_changes(const std::string& config_json, const std::vector<std::string>& changes) {
  json document = json::parse(config_json, nullptr, false);
  if (!document.is_object()) return fail(Errc::invalid_argument, "apply changes: the image config is no JSON object");
  json& config = object_at(document, "config");
  for (const std::string& change : changes) TRY(apply_change(config, change));
  return document.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace diatom::image
