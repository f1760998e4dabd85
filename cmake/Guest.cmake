# What the guest runs: the kernel that tools/fetch_kernel.py unpacked, and initramfs images with the agent.
# share/diatom/guest/{kernel,version,initramfs.cpio} for Debian's kernel; agent.ext4, a disk, for a kernel that has its
# drivers built in and takes no initramfs (libkrunfw's).
set(DIATOM_KERNEL_DIR ${PROJECT_SOURCE_DIR}/.cache/kernel CACHE PATH "where tools/fetch_kernel.py left the kernel")
set(guest_dir ${PROJECT_BINARY_DIR}/share/diatom/guest)
file(MAKE_DIRECTORY ${guest_dir})

set(initramfs_tool ${PROJECT_SOURCE_DIR}/tools/make_initramfs.py)
set(agent_disk_tool ${PROJECT_SOURCE_DIR}/tools/make_agent_disk.sh)
add_custom_command(OUTPUT ${guest_dir}/agent.ext4
  COMMAND ${agent_disk_tool} ${guest_dir}/agent.ext4 $<TARGET_FILE:diatom_agent>
  DEPENDS diatom_agent ${agent_disk_tool} VERBATIM)
# What libkrun shares with its guests: the agent, and where the first init mounts things.
foreach(folder dev proc sys run tmp newroot)
  file(MAKE_DIRECTORY ${guest_dir}/krun/${folder})
endforeach()
add_custom_command(OUTPUT ${guest_dir}/krun/agent
  COMMAND ${CMAKE_COMMAND} -E copy_if_different $<TARGET_FILE:diatom_agent> ${guest_dir}/krun/agent
  DEPENDS diatom_agent VERBATIM)
set(guest_files ${guest_dir}/agent.ext4 ${guest_dir}/krun/agent)

if(EXISTS ${DIATOM_KERNEL_DIR}/version)
  add_custom_command(OUTPUT ${guest_dir}/initramfs.cpio ${guest_dir}/kernel ${guest_dir}/version
    COMMAND ${initramfs_tool} ${guest_dir}/initramfs.cpio $<TARGET_FILE:diatom_agent> ${DIATOM_KERNEL_DIR}
    COMMAND ${CMAKE_COMMAND} -E copy_if_different ${DIATOM_KERNEL_DIR}/kernel ${DIATOM_KERNEL_DIR}/version ${guest_dir}
    DEPENDS diatom_agent ${initramfs_tool} ${DIATOM_KERNEL_DIR}/version VERBATIM)
  list(APPEND guest_files ${guest_dir}/initramfs.cpio)
else()
  message(STATUS "no guest kernel in ${DIATOM_KERNEL_DIR}: run tools/fetch_kernel.py ${DIATOM_KERNEL_DIR}")
endif()
add_custom_target(guest ALL DEPENDS ${guest_files})
install(DIRECTORY ${guest_dir}/ DESTINATION ${CMAKE_INSTALL_DATADIR}/diatom/guest USE_SOURCE_PERMISSIONS)
