#include "vm/qemu/template.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "base/clock.h"
#include "support/scratch.h"
#include "vm/engine.h"

namespace diatom::vm {
namespace {

struct Files {
  test::ScratchDirectory scratch;
  QemuTarget target;
  MachineSpec spec;

  Files() {
    for (const char* name : {"qemu", "kernel", "initramfs", "agent"}) write(name, "1");
    target = {.program = (scratch / "qemu").string(), .arch = "amd64", .accelerator = "tcg", .tsc_khz = 1};
    spec.id = "a";
    spec.memory_bytes = 256ULL << 20;
    spec.kernel.image = scratch / "kernel";
    spec.kernel.initramfs = scratch / "initramfs";
    spec.directory = scratch / "a";
    spec.templates = scratch / "templates";
    spec.disks = {{.serial = "root", .extents = {{"/i/a", 4096}}},
                  {.serial = "upper", .extents = {{"/c/a", 1 << 20}}, .read_only = false}};
    spec.network = UserNetwork{.mac = "02:aa:aa:aa:aa:aa", .forwards = {{"tcp", "127.0.0.1", 8080, 80}}};
  }
  void write(const char* name, std::string_view content) const { EXPECT_TRUE(replace_file(scratch / name, content)); }
  std::string key() const { return template_key(target, spec).value_or(""); }
};

TEST(TemplateKey, IsTheSameForAllThatOneTemplateCanStandFor) {
  Files files;
  std::string key = files.key();
  EXPECT_EQ(key.size(), 64U);
  files.spec.id = "b";
  files.spec.directory = "/b";
  files.spec.disks[0].extents = {{"/i/b", 8192}, {"/i/c", 4096}};
  files.spec.disks[1].extents = {{"/c/b", 2 << 20}};
  files.spec.disks[1].ephemeral = true;
  files.spec.network->mac = "02:bb:bb:bb:bb:bb";
  files.spec.network->forwards.clear();
  files.target.tsc_khz = 2;
  EXPECT_EQ(files.key(), key);
}

template <class T>
struct Change {
  const char* what;
  void (*make)(T&);
};

template <class T>
void expect_another_key(std::initializer_list<Change<T>> changes) {
  for (const auto& [what, change] : changes) {
    T files;
    std::string before = files.key();
    change(files);
    EXPECT_NE(files.key(), before) << what;
  }
}

TEST(TemplateKey, IsAnotherForWhateverMakesAnotherVm) {
  expect_another_key<Files>({
      {"vcpus", [](Files& it) { it.spec.vcpus = 2; }},
      {"memory", [](Files& it) { it.spec.memory_bytes <<= 1; }},
      {"network", [](Files& it) { it.spec.network.reset(); }},
      {"address", [](Files& it) { it.spec.network->guest_address = "10.0.2.16"; }},
      {"disks", [](Files& it) { it.spec.disks.pop_back(); }},
      {"read-only", [](Files& it) { it.spec.disks[1].read_only = true; }},
      {"serial", [](Files& it) { it.spec.disks[1].serial = "other"; }},
      {"accelerator", [](Files& it) { it.target.accelerator = "kvm"; }},
      {"acpi", [](Files& it) { it.spec.kernel.needs_acpi = false; }},
      {"serial port", [](Files& it) { it.spec.kernel.has_serial = false; }},
      {"QEMU", [](Files& it) { it.write("qemu", "12"); }},
      {"kernel", [](Files& it) { it.write("kernel", "12"); }},
      {"initramfs", [](Files& it) { it.write("initramfs", "12"); }},
      {"time of the kernel",
       [](Files& it) {
         fs::last_write_time(it.scratch / "kernel", fs::file_time_type::clock::now() - std::chrono::hours(24));
       }},
      {"agent's disk",
       [](Files& it) {
         it.spec.kernel.initramfs.clear();
         it.spec.kernel.agent_disk = it.scratch / "agent";
       }},
  });
}

TEST(TemplateKey, IsNoneWhereAFileIsMissing) {
  Files files;
  files.target.program = "/nowhere/qemu";
  EXPECT_FALSE(template_key(files.target, files.spec));
}

struct Prepared : Files {
  Prepared() {
    write("image", "i");
    spec.disks[0].extents = {{scratch / "image", 4096}};
    spec.disks[1].extents = {{scratch / "upper", 1 << 20}};
    spec.disks[1].format = [](const fs::path&) { return Result<>(); };
    spec.preparation = GuestPreparation{"sha256:1", "text", {}};
  }
  std::string key() const { return prepared_key(target, spec).value_or(""); }
};

TEST(PreparedKey, IsTheSameForAllContainersOfAnImage) {
  Prepared files;
  std::string key = files.key();
  EXPECT_EQ(key.size(), 64U);
  EXPECT_NE(key, files.Files::key());
  files.spec.disks[1].extents[0].path = "/c/b";
  files.spec.disks[1].ephemeral = true;
  files.spec.id = "b";
  files.spec.network->mac = "02:bb:bb:bb:bb:bb";
  EXPECT_EQ(files.key(), key);
}

TEST(PreparedKey, IsAnotherForAnotherImageOrPreparation) {
  expect_another_key<Prepared>({
      {"what the template itself depends on", [](Prepared& it) { it.write("qemu", "12"); }},
      {"the image's file", [](Prepared& it) { it.write("image", "j"); }},
      {"another file of it", [](Prepared& it) { it.spec.disks[0].extents.push_back({it.scratch / "kernel", 512}); }},
      {"what is prepared", [](Prepared& it) { it.spec.preparation->text = "other"; }},
  });
}

TEST(PreparedTemplate, IsForAVmWhoseDisksAreNew) {
  Prepared files;
  auto found = Template::find(files.target, files.spec).value();
  if (found.empty()) GTEST_SKIP() << "nobody knows which run of the host's kernel this is";
  EXPECT_EQ(found.size(), 2U);
  files.write("upper", "somebody has written to it");
  EXPECT_EQ(Template::find(files.target, files.spec).value().size(), 1U);
  files.spec.disks.pop_back();  // a read-only container
  EXPECT_EQ(Template::find(files.target, files.spec).value().size(), 2U);
  files.spec.preparation.reset();
  EXPECT_EQ(Template::find(files.target, files.spec).value().size(), 1U);
}

TEST(Template, IsNotThereAtFirst) {
  Files files;
  auto found = Template::find(files.target, files.spec).value();
  if (found.empty()) GTEST_SKIP() << "nobody knows which run of the host's kernel this is";
  const Template& wanted = found.front();
  EXPECT_FALSE(wanted.is_settled());
  EXPECT_FALSE(wanted.open());
  EXPECT_FALSE(fs::exists(files.spec.templates));
}

TEST(Template, ThatCannotBeMadeIsNotTriedAgainForAWhile) {
  Files files;  // its QEMU is no program
  auto found = Template::find(files.target, files.spec).value();
  if (found.empty()) GTEST_SKIP() << "nobody knows which run of the host's kernel this is";
  const Template& wanted = found.front();
  CancelToken cancel;
  EXPECT_FALSE(wanted.build(files.target, files.spec, cancel));
  EXPECT_TRUE(wanted.is_settled());
  EXPECT_FALSE(wanted.open());
  EXPECT_TRUE(wanted.build(files.target, files.spec, cancel));  // somebody else has tried
  auto listed = list_templates(files.spec.templates).value();
  ASSERT_EQ(listed.size(), 1U);
  EXPECT_FALSE(listed[0].whole);
  EXPECT_NE(listed[0].failure, "");
  int64_t first_pause = listed[0].retry_ns - wall_clock_ns();
  EXPECT_GT(first_pause, 0);

  EXPECT_TRUE(forget_template_failures(files.spec.templates));
  EXPECT_FALSE(wanted.is_settled());
  EXPECT_FALSE(wanted.build(files.target, files.spec, cancel));
  wanted.reject("not taken");
  listed = list_templates(files.spec.templates).value();
  EXPECT_EQ(listed[0].failure, "not taken");
  EXPECT_GT(listed[0].retry_ns - wall_clock_ns(), first_pause);

  EXPECT_TRUE(prune_templates(files.spec.templates));
  EXPECT_TRUE(fs::is_empty(files.spec.templates));
  EXPECT_FALSE(wanted.is_settled());
}

TEST(Template, MakesRoomForItself) {
  Files files;
  auto found = Template::find(files.target, files.spec).value();
  if (found.empty()) GTEST_SKIP() << "nobody knows which run of the host's kernel this is";
  const Template& wanted = found.front();
  EXPECT_FALSE(wanted.build(files.target, files.spec, CancelToken()));
  std::string own = list_templates(files.spec.templates).value().at(0).name;
  EXPECT_TRUE(prune_templates(files.spec.templates));
  std::string kin = own.substr(0, own.rfind('-'));
  std::string start = kin.substr(0, kin.rfind('-'));
  std::set<std::string> left;
  auto put = [&](const std::string& name, int hours_ago) {
    EXPECT_TRUE(make_directories(files.spec.templates / name));
    fs::last_write_time(files.spec.templates / name, fs::file_time_type::clock::now() - std::chrono::hours(hours_ago));
  };
  put("vm-00000000-01234567-0123", 0);  // of an earlier run of the host's
  put(kin + "-0123", 0);                // of another kernel, QEMU or agent
  for (int i = 0; i < 20; ++i) put(start + fmt::format("-{:08}-0123", i), i);
  EXPECT_TRUE(replace_file(files.spec.templates / "upper-1.ext4", ""));
  EXPECT_FALSE(wanted.build(files.target, files.spec, CancelToken()));
  auto names = list_directory(files.spec.templates).value();
  for (const auto& file : names)
    if (!file.ends_with(".lock") && !file.starts_with(own)) left.insert(file);
  std::set<std::string> expected = {"upper-1.ext4"};
  for (int i = 0; i < 15; ++i) expected.insert(start + fmt::format("-{:08}-0123", i));
  EXPECT_EQ(left, expected);
}

TEST(PreparedTemplate, MakesNoRoomByRemovingWhatItIsMadeFrom) {
  Prepared files;
  auto found = Template::find(files.target, files.spec).value();
  if (found.empty()) GTEST_SKIP() << "nobody knows which run of the host's kernel this is";
  EXPECT_FALSE(found.back().build(files.target, files.spec, CancelToken()));
  std::string base = list_templates(files.spec.templates).value().at(0).name;
  EXPECT_TRUE(make_directories(files.spec.templates / base));
  fs::last_write_time(files.spec.templates / base, fs::file_time_type::clock::now() - std::chrono::hours(100));
  std::string start = base.substr(0, base.find('-', base.find('-') + 1));
  for (int i = 0; i < 20; ++i)
    EXPECT_TRUE(make_directories(files.spec.templates / (start + fmt::format("-{:08}-0123", i))));
  EXPECT_FALSE(found.front().build(files.target, files.spec, CancelToken()));
  EXPECT_TRUE(fs::exists(files.spec.templates / base));
}

TEST(Template, ThatIsBeingMadeIsNotRemoved) {
  test::ScratchDirectory scratch;
  auto lock = FileLock::acquire(scratch / "vm-1-2-3.lock");
  ASSERT_TRUE(lock);
  EXPECT_EQ(remove_template(scratch.path(), "vm-1-2-3").error().code, Errc::already_exists);
  EXPECT_EQ(prune_templates(scratch.path()).value(), 0U);
  EXPECT_EQ(remove_template(scratch.path(), "vm-1-2-4").error().code, Errc::not_found);
  EXPECT_EQ(remove_template(scratch.path(), "../x").error().code, Errc::not_found);
}

}  // namespace
}  // namespace diatom::vm
