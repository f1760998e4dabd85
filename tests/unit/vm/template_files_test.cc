#include "vm/qemu/template_files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/scratch.h"

namespace diatom::vm {
namespace {

struct Made {
  test::ScratchDirectory scratch;
  fs::path folder = scratch / "vm-1-2-3";

  Made() {
    EXPECT_TRUE(make_directories(folder));
    EXPECT_TRUE(replace_file(template_memory(folder), std::string(8192, 'm')));
    EXPECT_TRUE(replace_file(template_state(folder), "state"));
    TemplateRecord record;
    record.vcpus = 2;
    record.memory_bytes = 8192;
    record.network = true;
    record.upper_bytes = 64ULL << 30;
    record.kernel = "6.1";
    record.created_ns = 5;
    EXPECT_TRUE(replace_file(template_disk(folder, "upper"), "disk"));
    record.image = "sha256:1";
    EXPECT_TRUE(record_template(folder, record, {"upper"}));
  }
  void write(const fs::path& path, off_t at) const {
    auto file = open_file(path, O_WRONLY);
    ASSERT_TRUE(file);
    EXPECT_EQ(::pwrite(file->get(), "x", 1, at), 1);
  }
};

TEST(TemplateFiles, AreOpenedAsTheyWereRecorded) {
  Made made;
  auto files = open_template(made.folder);
  ASSERT_TRUE(files);
  EXPECT_EQ(file_size(files->memory.get()).value(), 8192U);
  EXPECT_EQ(files->record.vcpus, 2U);
  EXPECT_TRUE(files->record.network);
  EXPECT_EQ(files->record.upper_bytes, 64ULL << 30);
  EXPECT_EQ(files->record.kernel, "6.1");
  EXPECT_EQ(files->record.created_ns, 5);
  EXPECT_EQ(files->record.image, "sha256:1");
  EXPECT_EQ(files->disks.size(), 1U);
  ASSERT_TRUE(files->disks["upper"]);
  EXPECT_EQ(read_file(path_of(files->disks["upper"])).value(), "disk");
}

TEST(TemplateFiles, AreNotOpenedWhereAnythingIsNotAsItWas) {
  using Change = void (*)(const Made&);
  const std::pair<const char*, Change> changes[] = {
      {"memory written to", [](const Made& it) { it.write(template_memory(it.folder), 4096); }},
      {"memory written to, and its time set back",
       [](const Made& it) {
         auto time = fs::last_write_time(template_memory(it.folder));
         it.write(template_memory(it.folder), 4096);
         fs::last_write_time(template_memory(it.folder), time);
       }},
      {"disk written to", [](const Made& it) { it.write(template_disk(it.folder, "upper"), 0); }},
      {"disk missing", [](const Made& it) { fs::remove(template_disk(it.folder, "upper")); }},
      {"memory cut short", [](const Made& it) { fs::resize_file(template_memory(it.folder), 4096); }},
      {"memory of another",
       [](const Made& it) { EXPECT_TRUE(replace_file(template_memory(it.folder), std::string(8192, 'm'))); }},
      {"memory for others", [](const Made& it) { fs::permissions(template_memory(it.folder), fs::perms(0604)); }},
      {"memory has two names",
       [](const Made& it) { fs::create_hard_link(template_memory(it.folder), it.folder / "other"); }},
      {"memory is a link",
       [](const Made& it) {
         fs::rename(template_memory(it.folder), it.folder / "other");
         fs::create_symlink(it.folder / "other", template_memory(it.folder));
       }},
      {"memory is a fifo",
       [](const Made& it) {
         fs::remove(template_memory(it.folder));
         EXPECT_EQ(::mkfifo(template_memory(it.folder).c_str(), 0600), 0);
       }},
      {"no memory", [](const Made& it) { fs::remove(template_memory(it.folder)); }},
      {"state written to", [](const Made& it) { it.write(template_state(it.folder), 1); }},
      {"no state", [](const Made& it) { fs::remove(template_state(it.folder)); }},
      {"a folder for others", [](const Made& it) { fs::permissions(it.folder, fs::perms(0702)); }},
      {"a folder that is a link",
       [](const Made& it) {
         fs::rename(it.folder, it.scratch / "other");
         fs::create_directory_symlink(it.scratch / "other", it.folder);
       }},
      {"no record", [](const Made& it) { spoil_template(it.folder); }},
  };
  for (const auto& [what, change] : changes) {
    Made made;
    change(made);
    EXPECT_FALSE(open_template(made.folder)) << what;
  }
}

TEST(TemplateFiles, AreNotOpenedWithARecordThatIsNone) {
  for (std::string_view record :
       {"", "{", "[]", "{}", R"({"files": 1})", R"({"files": {"memory": []}, "vcpus": "x"})"}) {
    Made made;
    EXPECT_TRUE(replace_file(made.folder / "template.json", record));
    EXPECT_FALSE(open_template(made.folder)) << record;
  }
}

TEST(TemplateFailure, IsTriedAgainLaterEachTime) {
  test::ScratchDirectory scratch;
  fs::path folder = scratch / "vm-1-2-3";
  EXPECT_FALSE(find_failure(folder));
  int64_t before = 0;
  for (int i = 0; i < 12; ++i) {
    record_failure(folder, "no room");
    auto failure = find_failure(folder);
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->reason, "no room");
    EXPECT_GT(failure->retry_ns, before);
    before = failure->retry_ns;
  }
  EXPECT_TRUE(replace_file(template_failure(folder), "QEMU ended"));
  EXPECT_FALSE(find_failure(folder));
}

TEST(TemplateFailure, IsWaitedForNoLongerThanItsPauseWhateverItSays) {
  for (const char* text : {R"({"count": 1, "time_ns": 9223372036854775807})", R"({"count": 1, "time_ns": -9})",
                           R"({"count": 9223372036854775807, "time_ns": 18446744073709551615})"}) {
    auto failure = parse_template_failure(text);
    ASSERT_TRUE(failure) << text;
    EXPECT_LE(failure->retry_ns, wall_clock_ns() + std::chrono::nanoseconds(std::chrono::hours(1)).count()) << text;
    EXPECT_LT(failure->count, 10'000) << text;
  }
}

}  // namespace
}  // namespace diatom::vm
