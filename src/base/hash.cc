#include "base/hash.h"

// The functions below EVP: what EVP loads before its first hash (configuration, providers) takes longer than creating a
// container. OpenSSL calls them deprecated, and keeps them.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

namespace diatom {

struct Sha256::State : SHA256_CTX {};

void Sha256::Free::operator()(State* state) const { delete state; }

Sha256::Sha256() : state_(new State) { ::SHA256_Init(state_.get()); }

void Sha256::update(std::span<const std::byte> data) { ::SHA256_Update(state_.get(), data.data(), data.size()); }

std::array<std::byte, 32> Sha256::finish() {
  std::array<std::byte, 32> digest{};
  ::SHA256_Final(reinterpret_cast<unsigned char*>(digest.data()), state_.get());
  return digest;
}

std::string Sha256::finish_hex() {
  static constexpr char digits[] = "0123456789abcdef";
  std::string hex;
  hex.reserve(64);
  for (std::byte b : finish()) {
    hex += digits[std::to_integer<unsigned>(b) >> 4];
    hex += digits[std::to_integer<unsigned>(b) & 15];
  }
  return hex;
}

std::string sha256_hex(std::string_view data) {
  Sha256 hash;
  hash.update(std::as_bytes(std::span(data)));
  return hash.finish_hex();
}

}  // namespace diatom
