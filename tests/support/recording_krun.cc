// A stand-in for libkrun that writes down what is asked of it. Beside its own file FILE it leaves FILE.record, a line
// for each call with its arguments, and reads FILE.script, a line for each wish:
//   fail NAME CODE   that call returns -CODE
//   exit CODE        what krun_start_enter ends the process with (0)
//   die SIGNAL       or by what signal
//   wait             or not at all, until somebody ends it
// RECORDING_KRUN is the release that it has the functions of: 8, 16, 19 of version 1; 200 is version 2.
#include <dlfcn.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

namespace {

struct Recorder {
  FILE* record = nullptr;
  std::map<std::string, int> failures;
  int exit_code = 0;
  int signal = 0;
  bool waits = false;

  Recorder() {
    Dl_info info{};
    ::dladdr(reinterpret_cast<void*>(&anchor), &info);
    std::string file = info.dli_fname;
    record = std::fopen((file + ".record").c_str(), "w");
    std::ifstream script(file + ".script");
    for (std::string line, word; std::getline(script, line);) {
      std::istringstream words(line);
      words >> word;
      if (word == "fail") {
        int code = 0;
        words >> word >> code;
        failures[word] = -code;
      } else if (word == "exit") {
        words >> exit_code;
      } else if (word == "die") {
        words >> signal;
      } else if (word == "wait") {
        waits = true;
      }
    }
  }
  static void anchor() {}
};

Recorder& recorder() {
  static Recorder it;
  return it;
}

__attribute__((constructor)) void begin() { recorder(); }

std::string words_of(const char* const* list) {
  std::string text = "[";
  for (; list != nullptr && *list != nullptr; ++list) text += (text.size() > 1 ? " " : "") + std::string(*list);
  return text + "]";
}

__attribute__((format(printf, 2, 3))) int32_t note(const char* name, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::fprintf(recorder().record, "%s ", name);
  std::vfprintf(recorder().record, format, arguments);
  std::fputc('\n', recorder().record);
  std::fflush(recorder().record);
  va_end(arguments);
  auto failure = recorder().failures.find(name);
  return failure == recorder().failures.end() ? 0 : failure->second;
}

[[noreturn]] void become_vm() {
  if (recorder().waits)
    for (;;) ::pause();
  if (recorder().signal != 0) ::raise(recorder().signal);
  ::_exit(recorder().exit_code);
}

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT int32_t krun_set_log_level(uint32_t level) { return note("krun_set_log_level", "%u", level); }
EXPORT int32_t krun_create_ctx() {
  int32_t result = note("krun_create_ctx", "-");
  return result < 0 ? result : 7;
}
EXPORT int32_t krun_set_vm_config(uint32_t ctx, uint8_t vcpus, uint32_t mib) {
  return note("krun_set_vm_config", "%u %u %u", ctx, vcpus, mib);
}
EXPORT int32_t krun_set_exec(uint32_t ctx, const char* program, const char* const* arguments, const char* const* env) {
  return note("krun_set_exec", "%u %s %s %s", ctx, program, words_of(arguments).c_str(), words_of(env).c_str());
}
EXPORT int32_t krun_set_console_output(uint32_t ctx, const char* path) {
  return note("krun_set_console_output", "%u %s", ctx, path);
}
EXPORT int32_t krun_add_vsock_port(uint32_t ctx, uint32_t port, const char* path) {
  return note("krun_add_vsock_port", "%u %u %s", ctx, port, path);
}
EXPORT int32_t krun_start_enter(uint32_t ctx) {
  int32_t result = note("krun_start_enter", "%u", ctx);
  if (result < 0) return result;
  become_vm();
}
#if RECORDING_KRUN < 200
EXPORT int32_t krun_set_root(uint32_t ctx, const char* path) { return note("krun_set_root", "%u %s", ctx, path); }
EXPORT int32_t krun_add_virtiofs(uint32_t ctx, const char* tag, const char* path) {
  return note("krun_add_virtiofs", "%u %s %s", ctx, tag, path);
}
EXPORT int32_t krun_set_port_map(uint32_t ctx, const char* const* map) {
  return note("krun_set_port_map", "%u %s", ctx, words_of(map).c_str());
}
EXPORT int32_t krun_set_gpu_options(uint32_t ctx, uint32_t flags) {
  return note("krun_set_gpu_options", "%u %u", ctx, flags);
}
#endif
#if RECORDING_KRUN >= 16
EXPORT int32_t krun_add_disk2(uint32_t ctx, const char* id, const char* path, uint32_t format, bool read_only) {
  return note("krun_add_disk2", "%u %s %s %u %d", ctx, id, path, format, read_only);
}
EXPORT int32_t krun_add_net_unixstream(uint32_t ctx, const char* path, int fd, uint8_t* mac, uint32_t features,
                                       uint32_t flags) {
  struct stat status{};
  bool socket = ::fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
  return note("krun_add_net_unixstream", "%u %s %s %02x:%02x:%02x:%02x:%02x:%02x %u %u", ctx,
              path == nullptr ? "-" : path, socket ? "socket" : "no socket", mac[0], mac[1], mac[2], mac[3], mac[4],
              mac[5], features, flags);
}
EXPORT int32_t krun_set_gpu_options2(uint32_t ctx, uint32_t flags, uint64_t bytes) {
  return note("krun_set_gpu_options2", "%u %u %llu", ctx, flags, static_cast<unsigned long long>(bytes));
}
#endif
#if RECORDING_KRUN >= 19 && RECORDING_KRUN < 200
EXPORT int32_t krun_add_disk3(uint32_t ctx, const char* id, const char* path, uint32_t format, bool read_only,
                              bool direct, uint32_t sync) {
  return note("krun_add_disk3", "%u %s %s %u %d %d %u", ctx, id, path, format, read_only, direct, sync);
}
EXPORT int32_t krun_disable_implicit_vsock(uint32_t ctx) { return note("krun_disable_implicit_vsock", "%u", ctx); }
EXPORT int32_t krun_add_vsock(uint32_t ctx, uint32_t features) {
  return note("krun_add_vsock", "%u %u", ctx, features);
}
EXPORT int32_t krun_has_feature(uint64_t feature) { return feature <= 2 ? 1 : 0; }
EXPORT int32_t krun_get_max_vcpus() { return 8; }
#endif
