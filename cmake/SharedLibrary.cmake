# libdiatom.so: the library for programs of somebody else's. The C API, which holds for as long as the SONAME, and the
# classes of include/diatom, which hold for one version. The diatom program does not use it: it would start slower.
add_library(diatom_shared SHARED ${PROJECT_SOURCE_DIR}/cmake/empty.cc)
add_library(diatom::diatom ALIAS diatom_shared)
set(whole_libraries diatom_capi diatom_runtime diatom_image)
# Whole: nothing in the library calls what is there for others. What nobody can reach goes again.
target_link_libraries(diatom_shared PRIVATE "$<LINK_LIBRARY:WHOLE_ARCHIVE,${whole_libraries}>")
string(REPLACE ";" "," whole_list "${whole_libraries}")
set_property(TARGET diatom_shared PROPERTY LINK_LIBRARY_OVERRIDE "WHOLE_ARCHIVE,${whole_list}")
if(APPLE)
  set(version_script ${PROJECT_SOURCE_DIR}/cmake/libdiatom.exports)
  target_link_options(diatom_shared PRIVATE -Wl,-exported_symbols_list,${version_script} -Wl,-dead_strip
    ${diatom_as_needed})
else()
  set(version_script ${PROJECT_SOURCE_DIR}/cmake/libdiatom.map)
  target_link_options(diatom_shared PRIVATE -Wl,--version-script=${version_script} -Wl,--gc-sections
    ${diatom_as_needed})
endif()
if(NOT APPLE AND NOT DIATOM_SANITIZE)  # their runtime is the program's; macOS's linker wants all by itself
  target_link_options(diatom_shared PRIVATE -Wl,--no-undefined)
endif()
# SOVERSION counts breaks of the C API, and not versions of diatom.
set_target_properties(diatom_shared PROPERTIES OUTPUT_NAME diatom EXPORT_NAME diatom
  VERSION ${PROJECT_VERSION} SOVERSION 0 LINK_DEPENDS ${version_script}
  LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)
target_include_directories(diatom_shared INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
add_dependencies(diatom_shared diatom_monitor diatom_krun)

install(TARGETS diatom_shared EXPORT diatom LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/diatom DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

# find_package(diatom), and pkg-config. Both find the rest from where they lie: `make install` takes any PREFIX.
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/diatom)
install(EXPORT diatom FILE diatom-config.cmake NAMESPACE diatom:: DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/diatom-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/diatom-config-version.cmake DESTINATION ${package_dir})
file(RELATIVE_PATH pc_prefix /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(${PROJECT_SOURCE_DIR}/cmake/diatom.pc.in ${PROJECT_BINARY_DIR}/diatom.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/diatom.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
