// SHA-256 (FIPS 180-4) through OpenSSL, which uses SHA-NI or the Armv8 instructions where the CPU has them.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace diatom {

class Sha256 {
 public:
  Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  Sha256(Sha256&&) noexcept = default;
  Sha256& operator=(Sha256&&) noexcept = default;
  ~Sha256() = default;

  void update(std::span<const std::byte> data);
  std::array<std::byte, 32> finish();  // once; the object is spent afterwards
  std::string finish_hex();            // the same as 64 lower-case hex digits

 private:
  struct State;
  struct Free {
    void operator()(State* state) const;
  };
  std::unique_ptr<State, Free> state_;
};

std::string sha256_hex(std::string_view data);

}  // namespace diatom
