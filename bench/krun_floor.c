// The least that a program can do to run another one in a VM of libkrun's: what `diatom run --engine krun` is measured
// beside (bench/krun_run.py), and what shows that the library, its kernel and /dev/kvm work where the tests run.
//
//   krun_floor CPUS MIB ROOT PROGRAM [ARGUMENT...]     ROOT: a directory
//
// libkrun is that of DIATOM_LIBKRUN. The exit status is the program's. The declarations are our own: what it has to have.
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static void* library;

static void* symbol(const char* name) {
  void* found = dlsym(library, name);
  if (found == NULL) {
    fprintf(stderr, "krun_floor: libkrun has no %s\n", name);
    exit(1);
  }
  return found;
}

static void check(const char* call, int32_t result) {
  if (result >= 0) return;
  fprintf(stderr, "krun_floor: %s: error %d\n", call, -result);
  exit(1);
}

int main(int argc, char** argv) {
  const char* path = getenv("DIATOM_LIBKRUN");
  if (argc < 5 || path == NULL) {
    fprintf(stderr, "usage: DIATOM_LIBKRUN=LIBRARY krun_floor CPUS MIB ROOT PROGRAM [ARGUMENT...]\n");
    return 2;
  }
  library = dlopen(path, RTLD_NOW);
  if (library == NULL) {
    fprintf(stderr, "krun_floor: %s\n", dlerror());
    return 1;
  }
  // The union is C's way to a function from the object pointer that dlsym gives.
  union {
    void* object;
    int32_t (*create_ctx)(void);
    int32_t (*set_vm_config)(uint32_t context, uint8_t cpus, uint32_t ram_mib);
    int32_t (*set_root)(uint32_t context, const char* directory);
    int32_t (*set_exec)(uint32_t context, const char* program, const char* const* arguments, const char* const* environment);
    int32_t (*start_enter)(uint32_t context);
  } call;
  static const char* const environment[] = {"PATH=/bin", NULL};  // NULL would pass on our own

  call.object = symbol("krun_create_ctx");
  int32_t created = call.create_ctx();
  check("krun_create_ctx", created);
  uint32_t context = (uint32_t)created;
  call.object = symbol("krun_set_vm_config");
  check("krun_set_vm_config", call.set_vm_config(context, (uint8_t)atoi(argv[1]), (uint32_t)atoi(argv[2])));
  call.object = symbol("krun_set_root");
  check("krun_set_root", call.set_root(context, argv[3]));
  call.object = symbol("krun_set_exec");
  check("krun_set_exec", call.set_exec(context, argv[4], (const char* const*)argv + 5, environment));
  call.object = symbol("krun_start_enter");
  check("krun_start_enter", call.start_enter(context));  // ends this process when the VM ends
  return 1;
}
