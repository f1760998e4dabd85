# Every dependency is a distribution package; docs/dependencies.md says why each is here.
if(DIATOM_COMPILE_ONLY)
  include(cmake/macos/Dependencies.cmake)
  return()
endif()
if(APPLE)  # Homebrew keeps apart what macOS has a version of its own of
  foreach(prefix /opt/homebrew /usr/local)
    list(APPEND CMAKE_PREFIX_PATH ${prefix} ${prefix}/opt/curl ${prefix}/opt/libarchive ${prefix}/opt/openssl@3
      ${prefix}/opt/sqlite)
  endforeach()
endif()
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
# Of libcrypto we use SHA-256 alone: linked into us it is some 30 KB, and the shared one has 20,000 relocations, which are
# a tenth of the time that `diatom create` takes.
set(OPENSSL_USE_STATIC_LIBS TRUE)
find_package(OpenSSL 3 QUIET)
if(NOT OPENSSL_FOUND)
  set(OPENSSL_USE_STATIC_LIBS FALSE)
  find_package(OpenSSL 3 REQUIRED)
endif()
find_package(SQLite3 REQUIRED)
find_package(LibArchive REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
pkg_check_modules(ISAL REQUIRED IMPORTED_TARGET libisal)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(NGHTTP2 REQUIRED IMPORTED_TARGET libnghttp2)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl>=7.85)  # CURLOPT_PROTOCOLS_STR
# By its files: Debian's slirp.pc asks for the headers of GLib, which its own header does not include.
find_path(SLIRP_INCLUDE_DIR slirp/libslirp.h REQUIRED)
find_library(SLIRP_LIBRARY slirp REQUIRED)
add_library(Slirp::Slirp UNKNOWN IMPORTED)
set_target_properties(Slirp::Slirp PROPERTIES IMPORTED_LOCATION ${SLIRP_LIBRARY}
  INTERFACE_INCLUDE_DIRECTORIES ${SLIRP_INCLUDE_DIR})
