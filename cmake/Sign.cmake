# diatom_sign(diatom_krun): macOS lets a program make VMs that is signed with the entitlement for it; a signature without
# an identity (ad hoc) will do. Nothing on other systems.
function(diatom_sign target)
  if(NOT CMAKE_HOST_APPLE)
    return()
  endif()
  # An installed program must be the one that was signed: without another rpath than it was built with.
  set_target_properties(${target} PROPERTIES BUILD_WITH_INSTALL_RPATH ON)
  set(entitlements ${PROJECT_SOURCE_DIR}/cmake/macos/hypervisor.entitlements)
  set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS ${entitlements})
  add_custom_command(TARGET ${target} POST_BUILD
    COMMAND codesign --force --sign - --entitlements ${entitlements} $<TARGET_FILE:${target}> VERBATIM)
endfunction()
