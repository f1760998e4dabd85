#include "tools.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>

#include "base/file.h"
#include "base/platform/platform.h"
#include "changes.h"
#include "tar/copy.h"

namespace diatom::agent {

namespace {

constexpr rlim_t most_descriptors = 8192;  // a directory each, on the way down
constexpr int pipe_size = 1 << 20;
constexpr int most_warnings = 20;

bool has(const std::vector<std::string>& words, std::string_view word) {
  return std::ranges::find(words.begin() + 1, words.end(), word) != words.end();
}

void say(std::string_view kind, const std::string& what) {
  [[maybe_unused]] auto ignored = write_all(STDERR_FILENO, std::string(kind) + ": " + what + "\n");
}

void warn(const std::string& what) {
  static int count = 0;
  if (++count <= most_warnings) say("warning", what);
  if (count == most_warnings + 1) say("warning", "and more like these");
}

// What the kernel makes up is nobody's file.
bool holds_files(int fd) {
  struct statfs status{};
  if (::fstatfs(fd, &status) < 0) return false;
  switch (status.f_type) {
    case PROC_SUPER_MAGIC:
    case SYSFS_MAGIC:
    case CGROUP2_SUPER_MAGIC:
    case CGROUP_SUPER_MAGIC:
    case DEVPTS_SUPER_MAGIC:
    case DEBUGFS_MAGIC:
    case TRACEFS_MAGIC:
    case SECURITYFS_MAGIC:
    case BPF_FS_MAGIC:
    case 0x19800202:  // mqueue
      return false;
    default:
      return true;
  }
}

tar::PackOptions pack_options() { return {.enters = holds_files, .on_warning = warn}; }

// PATH [follow]
Result<> pack(const std::vector<std::string>& words) {
  tar::Writer writer(STDOUT_FILENO);
  return tar::pack_path(writer, words.front(), has(words, "follow"), pack_options());
}

// PATH [follow]
Result<> stat(const std::vector<std::string>& words) {
  tar::Entry entry = TRY(tar::describe_path(words.front(), has(words, "follow")));
  if (entry.kind == tar::Kind::regular) entry.extents.emplace();  // its size, and none of its data
  tar::Writer writer(STDOUT_FILENO);
  TRY(writer.add(entry));
  return writer.finish();
}

// PATH [top=NAME] [archive]
Result<> unpack(const std::vector<std::string>& words) {
  constexpr std::string_view top_key = "top=";
  auto top = std::ranges::find_if(words.begin() + 1, words.end(),
                                  [](const std::string& word) { return word.starts_with(top_key); });
  bool copy = top != words.end();
  bool archive = !copy || has(words, "archive");
  tar::UnpackOptions options{.owner = {},
                             .set_owner = true,
                             .change_directories = archive,
                             .keep_privileges = true,
                             .make_devices = true,
                             .follow_links = true,
                             .on_warning = warn};
  if (!archive) options.owner = {0, 0};
  tar::Reader reader(STDIN_FILENO);
  if (!copy) return tar::unpack_stream(reader, words.front(), options);
  return tar::unpack_copy(reader, words.front(), top->substr(top_key.size()), options);
}

// The root file system as image and writable layer make it, without what is mounted over it.
Result<> export_root(const std::vector<std::string>&) {
  UniqueFd root = TRY(open_file("/container", O_RDONLY | O_DIRECTORY));
  tar::Writer writer(STDOUT_FILENO);
  TRY(tar::Packer(writer, pack_options()).add_contents(root.get()));
  return writer.finish();
}

Result<> list(const std::vector<std::string>&) { return list_changes(STDOUT_FILENO); }
Result<> layer(const std::vector<std::string>&) { return pack_changes(STDOUT_FILENO, warn); }

constexpr Tool tools[] = {
    {"pack", true, pack},           {"stat", true, stat},     {"unpack", true, unpack},
    {"export", false, export_root}, {"changes", false, list}, {"layer", false, layer},
};

}  // namespace

const Tool* find_tool(std::string_view name) {
  const auto* found = std::ranges::find(tools, name, &Tool::name);
  return found == std::end(tools) ? nullptr : found;
}

void run_tool(const Tool& tool, const std::vector<std::string>& words) {
  rlimit limit{most_descriptors, most_descriptors};
  ::setrlimit(RLIMIT_NOFILE, &limit);
  ::umask(0);
  for (int fd : {STDIN_FILENO, STDOUT_FILENO}) platform::widen_pipe(fd, pipe_size);
  auto result = tool.run(words);
  if (result) ::_exit(0);
  say(errc_name(result.error().code), result.error().message);
  ::_exit(1);
}

}  // namespace diatom::agent
