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

# Nothing is linked: the libraries are not there. (After project(), which has rules of its own.)
foreach(rule ARCHIVE_CREATE CREATE_SHARED_LIBRARY LINK_EXECUTABLE)
  set(CMAKE_CXX_${rule} "<CMAKE_COMMAND> -E touch <TARGET>")
endforeach()
set(CMAKE_CXX_ARCHIVE_FINISH "")

# What nearly every file includes is parsed once: it takes half of the time. No more than that, so that a file which lacks
# an include is found.
function(diatom_precompile name)
  if(name STREQUAL base)
    target_precompile_headers(diatom_base PRIVATE ${PROJECT_SOURCE_DIR}/src/base/file.h)
  elseif(name STREQUAL cli)
    target_precompile_headers(diatom_cli PRIVATE ${PROJECT_SOURCE_DIR}/src/base/file.h <CLI/CLI.hpp> <nlohmann/json.hpp>)
  else()
    target_precompile_headers(diatom_${name} REUSE_FROM diatom_base)
  endif()
endfunction()

foreach(target fmt::fmt nlohmann_json::nlohmann_json LibArchive::LibArchive OpenSSL::Crypto PkgConfig::ISAL
    PkgConfig::NGHTTP2 PkgConfig::ZSTD SQLite::SQLite3 Slirp::Slirp Threads::Threads)
  add_library(${target} INTERFACE IMPORTED)
endforeach()
