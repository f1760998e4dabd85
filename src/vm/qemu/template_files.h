// What a template is on the disk, whoever made it, and whether it is still what was made (docs/warm-start.md).
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/json.h"
#include "vm/engine.h"

namespace diatom::vm {

// Of what these files hold, and of what the agent does before it waits for the host.
inline constexpr int template_format = 5;
inline constexpr std::string_view template_prefix = "vm-";

fs::path template_memory(const fs::path& folder);
fs::path template_state(const fs::path& folder);
fs::path template_disk(const fs::path& folder, const std::string& serial);
fs::path template_lock(const fs::path& folder);     // held by who makes it
fs::path template_failure(const fs::path& folder);  // why it could not be made

// What was looked at is what is used, whatever has its name by then.
struct TemplateFiles {
  UniqueFd memory;
  UniqueFd state;
  TemplateRecord record;                  // without its name, its use, what it takes and what has failed
  std::map<std::string, UniqueFd> disks;  // that it has written to, by serial
};
// For clone_file(): that very file.
fs::path path_of(const UniqueFd& file);
// Empty, where anything is not as it was when it was recorded: another's, open to others, or written to since.
std::optional<TemplateFiles> open_template(const fs::path& folder);
// The last that is done to a new one.
Result<> record_template(const fs::path& folder, const TemplateRecord& record, const std::vector<std::string>& disks);
// Not whole any more.
void spoil_template(const fs::path& folder);

struct TemplateFailure {
  std::string reason;
  int64_t count = 0;     // how often it has failed
  int64_t retry_ns = 0;  // when it is to be tried again
};
void record_failure(const fs::path& folder, const std::string& reason);
std::optional<TemplateFailure> find_failure(const fs::path& folder);

// template.json, and the file of a failure. Pure and total: what makes no sense says nothing.
struct TemplateDocument {
  TemplateRecord record;
  Json files;  // how they were when they were recorded
};
TemplateDocument parse_template_document(std::string_view text);
std::string print_template_document(const TemplateDocument& document);
std::optional<TemplateFailure> parse_template_failure(std::string_view text);

// The folders' names below `templates`, also of those that could not be made.
Result<std::vector<std::string>> template_names(const fs::path& templates);

}  // namespace diatom::vm
