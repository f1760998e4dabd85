# For zig-toolchain.cmake: the headers of the libraries that this host has, of those libraries alone. /usr/include itself
# would bring glibc's.
set(headers ${PROJECT_BINARY_DIR}/headers)
file(MAKE_DIRECTORY ${headers})
set(host_headers CLI archive.h archive_entry.h curl fmt isa-l isa-l.h nghttp2 nlohmann openssl/configuration.h
  openssl/opensslconf.h slirp sqlite3.h zdict.h zstd.h zstd_errors.h)
foreach(header IN LISTS host_headers)
  file(GLOB found /usr/include/${header} /usr/include/*-linux-gnu/${header})
  foreach(one IN LISTS found)
    get_filename_component(folder ${headers}/${header} DIRECTORY)
    file(MAKE_DIRECTORY ${folder})
    file(CREATE_LINK ${one} ${headers}/${header} SYMBOLIC)
  endforeach()
endforeach()
file(GLOB openssl RELATIVE /usr/include/openssl /usr/include/openssl/*.h)
foreach(header IN LISTS openssl)
  file(CREATE_LINK /usr/include/openssl/${header} ${headers}/openssl/${header} SYMBOLIC)
endforeach()
include_directories(SYSTEM ${headers} ${CMAKE_CURRENT_LIST_DIR}/include)

foreach(target fmt::fmt nlohmann_json::nlohmann_json LibArchive::LibArchive OpenSSL::Crypto PkgConfig::ISAL
    PkgConfig::NGHTTP2 PkgConfig::ZSTD SQLite::SQLite3 Slirp::Slirp Threads::Threads)
  add_library(${target} INTERFACE IMPORTED)
endforeach()
