#include "vm/krunfw.h"

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "base/file.h"
#include "scratch.h"

namespace diatom::vm {
namespace {

constexpr uint64_t load_address = 0x1000000;

std::string pvh_note(uint32_t descriptor_bytes) {
  uint32_t header[3] = {4, descriptor_bytes, 18};
  std::string note(reinterpret_cast<const char*>(header), sizeof header);
  return note + std::string("Xen\0", 4) + std::string(descriptor_bytes, 'e');
}

Result<std::string> wrap(const std::string& kernel) {
  return wrap_pvh_kernel(std::as_bytes(std::span(kernel)), load_address);
}

TEST(WrapPvhKernel, LoadsTheKernelAndPointsAtItsNote) {
  for (uint32_t descriptor : {4U, 8U}) {
    const std::string kernel = std::string(1000, 'k') + pvh_note(descriptor) + std::string(500, 'l');
    auto image = wrap(kernel);
    ASSERT_TRUE(image) << image.error().message;
    Elf64_Ehdr file;
    Elf64_Phdr parts[2];
    std::memcpy(&file, image->data(), sizeof file);
    ASSERT_EQ(std::memcmp(file.e_ident, ELFMAG, SELFMAG), 0);
    ASSERT_EQ(file.e_phnum, 2);
    std::memcpy(parts, image->data() + file.e_phoff, sizeof parts);
    EXPECT_EQ(file.e_entry, load_address);
    EXPECT_EQ(parts[0].p_type, static_cast<Elf64_Word>(PT_LOAD));
    EXPECT_EQ(parts[0].p_paddr, load_address);
    EXPECT_EQ(image->substr(parts[0].p_offset, parts[0].p_filesz), kernel);
    EXPECT_EQ(parts[1].p_type, static_cast<Elf64_Word>(PT_NOTE));
    EXPECT_EQ(image->substr(parts[1].p_offset, parts[1].p_filesz), pvh_note(descriptor));
    EXPECT_EQ(parts[1].p_paddr, load_address + 1000);
  }
}

TEST(WrapPvhKernel, RefusesAKernelWithoutAWholeNote) {
  const std::string cases[] = {"", "MZ", std::string(4096, '\0'), pvh_note(4).substr(0, 19), pvh_note(8).substr(0, 23)};
  for (const std::string& kernel : cases) {
    auto image = wrap(kernel);
    ASSERT_FALSE(image);
    EXPECT_EQ(image.error().code, Errc::unsupported);
  }
}

class KrunfwTest : public ScratchTest {};

TEST_F(KrunfwTest, IsFoundWhereTheVariableSays) {
  set_variable("DIATOM_LIBKRUNFW", FAKE_KRUNFW);
  EXPECT_EQ(find_libkrunfw(), FAKE_KRUNFW);
  set_variable("DIATOM_LIBKRUNFW", scratch() / "missing.so");
  EXPECT_EQ(find_libkrunfw(), std::nullopt);
}

TEST_F(KrunfwTest, ItsKernelIsWrittenOnce) {
  auto first = extract_krunfw_kernel(FAKE_KRUNFW, scratch());
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_TRUE(read_file(*first).value().starts_with(ELFMAG));
  auto made = fs::last_write_time(*first);
  auto second = extract_krunfw_kernel(FAKE_KRUNFW, scratch());
  ASSERT_TRUE(second);
  EXPECT_EQ(*second, *first);
  EXPECT_EQ(fs::last_write_time(*second), made);
}

TEST_F(KrunfwTest, AnotherLibraryIsRefused) {
  auto missing = extract_krunfw_kernel(scratch() / "missing.so", scratch());
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Errc::not_found);
  auto other = extract_krunfw_kernel("libc.so.6", scratch());
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, Errc::unsupported);
}

}  // namespace
}  // namespace diatom::vm
