// Of getxattr(2) and its siblings what src/ calls: PyPI's ziglang has no <sys/xattr.h>. For tools/check_macos.py only.
#pragma once

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

ssize_t flistxattr(int fd, char* names, size_t size, int options);
ssize_t fgetxattr(int fd, const char* name, void* value, size_t size, uint32_t position, int options);
int fsetxattr(int fd, const char* name, const void* value, size_t size, uint32_t position, int options);

#ifdef __cplusplus
}
#endif
