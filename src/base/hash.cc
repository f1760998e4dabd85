#include "base/hash.h"

#include <openssl/evp.h>

namespace diatom {

void Sha256::Free::operator()(void* context) const { EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context)); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  EVP_DigestInit_ex(static_cast<EVP_MD_CTX*>(context_.get()), EVP_sha256(), nullptr);
}

void Sha256::update(std::span<const std::byte> data) {
  EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_.get()), data.data(), data.size());
}

std::array<std::byte, 32> Sha256::finish() {
  std::array<std::byte, 32> digest{};
  unsigned size = 0;
  EVP_DigestFinal_ex(static_cast<EVP_MD_CTX*>(context_.get()), reinterpret_cast<unsigned char*>(digest.data()), &size);
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
