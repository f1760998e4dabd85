// Programs whose streams are joined to descriptors, and what programs have printed.
#include <fcntl.h>

#include "base/file.h"
#include "capi/call.h"
#include "capi/options.h"
#include "diatom/service.h"
#include "runtime/json/documents.h"

using namespace diatom;
using namespace diatom::capi;

namespace {

// The caller's descriptors; where there is none, one that nothing comes from and that takes everything.
class Streams {
 public:
  static Result<Streams> open(int stdin_fd, int stdout_fd, int stderr_fd, const JoinWish& wish) {
    Streams streams;
    streams.null_ = TRY(open_file("/dev/null", O_RDWR));
    const std::pair<const char*, int> given[] = {
        {"stdin_fd", stdin_fd}, {"stdout_fd", stdout_fd}, {"stderr_fd", stderr_fd}};
    for (auto [name, fd] : given)
      if (fd != -1) TRY(check_descriptor(name, fd));
    auto or_null = [&](int fd) { return fd != -1 ? fd : streams.null_.get(); };
    streams.streams_ = {.stdin_fd = or_null(stdin_fd),
                        .stdout_fd = or_null(stdout_fd),
                        .stderr_fd = or_null(stderr_fd),
                        .attach_stdin = stdin_fd != -1,
                        .attach_stdout = stdout_fd != -1,
                        .attach_stderr = stderr_fd != -1,
                        .forward_signals = wish.forward_signals,
                        .detach_keys = wish.detach_keys};
    return streams;
  }
  const ProcessStreams& get() const { return streams_; }

 private:
  UniqueFd null_;
  ProcessStreams streams_;
};

Result<> give_end(const AttachResult& result, int* exit_code, char** json) {
  if (exit_code != nullptr && result.exit) *exit_code = result.exit->exit_code;
  return give(json, attach_json(result));
}

// `act`: Runtime&, ProcessStreams → Result<AttachResult>.
Result<> join(diatom_runtime& self, const JoinWish& wish, int stdin_fd, int stdout_fd, int stderr_fd, int* exit_code,
              char** json, auto act) {
  Streams streams = TRY(Streams::open(stdin_fd, stdout_fd, stderr_fd, wish));
  Runtime* containers = TRY(self.runtime());
  return give_end(TRY(act(*containers, streams.get())), exit_code, json);
}

}  // namespace

diatom_status diatom_container_start_attached(diatom_runtime* runtime, const char* container, const char* options,
                                              int stdin_fd, int stdout_fd, int stderr_fd, int* exit_code, char** json,
                                              diatom_error** error) {
  clear(json, exit_code);
  return call(runtime, error, [&](diatom_runtime& self) -> Result<> {
    std::string_view name = TRY(text("container", container));
    JoinWish wish = TRY(parse_join(options_or_none(options)));
    return join(self, wish, stdin_fd, stdout_fd, stderr_fd, exit_code, json,
                [&](Runtime& containers, const ProcessStreams& streams) {
                  return containers.start_attached(name, {}, streams);
                });
  });
}

diatom_status diatom_container_run(diatom_runtime* runtime, const char* document, const char* options, int stdin_fd,
                                   int stdout_fd, int stderr_fd, diatom_progress_callback progress, void* user,
                                   int* exit_code, char** json, diatom_error** error) {
  clear(json, exit_code);
  return call(runtime, error, [&](diatom_runtime& self) -> Result<> {
    std::string_view wanted = TRY(text("document", document));
    ContainerRequest request = TRY(parse_container_request(wanted));
    JoinWish wish = TRY(parse_run(options_or_none(options)));
    Streams streams = TRY(Streams::open(stdin_fd, stdout_fd, stderr_fd, wish));
    RunOptions run;
    run.detach = wish.detach;
    run.streams = streams.get();
    run.streams.attach_stdin = run.streams.attach_stdin && request.container.open_stdin;
    PullOptions pull;
    pull.on_progress = progress_handler(progress, user);
    Runtime* containers = TRY(self.runtime());
    Images* images = TRY(self.images());
    RunResult result = TRY(run_container(*containers, *images, request, run, pull));
    if (exit_code != nullptr && result.end.exit) *exit_code = result.end.exit->exit_code;
    return give(json, run_json(result));
  });
}

diatom_status diatom_container_attach(diatom_runtime* runtime, const char* container, const char* options, int stdin_fd,
                                      int stdout_fd, int stderr_fd, int* exit_code, char** json, diatom_error** error) {
  clear(json, exit_code);
  return call(runtime, error, [&](diatom_runtime& self) -> Result<> {
    std::string_view name = TRY(text("container", container));
    JoinWish wish = TRY(parse_join(options_or_none(options)));
    return join(self, wish, stdin_fd, stdout_fd, stderr_fd, exit_code, json,
                [&](Runtime& containers, const ProcessStreams& streams) { return containers.attach(name, streams); });
  });
}

diatom_status diatom_container_exec(diatom_runtime* runtime, const char* container, const char* const* argv,
                                    const char* options, int stdin_fd, int stdout_fd, int stderr_fd, int* exit_code,
                                    char** json, diatom_error** error) {
  clear(json, exit_code);
  return call(runtime, error, [&](diatom_runtime& self) -> Result<> {
    std::string_view name = TRY(text("container", container));
    ExecWish wish = TRY(parse_exec(options_or_none(options)));
    wish.spec.argv = TRY(list("argv", argv));
    return join(
        self, wish.join, stdin_fd, stdout_fd, stderr_fd, exit_code, json,
        [&](Runtime& containers, const ProcessStreams& streams) { return containers.exec(name, wish.spec, streams); });
  });
}

diatom_status diatom_container_exec_detached(diatom_runtime* runtime, const char* container, const char* const* argv,
                                             const char* options, diatom_error** error) {
  return call(runtime, error, [&](diatom_runtime& self) -> Result<> {
    std::string_view name = TRY(text("container", container));
    ExecWish wish = TRY(parse_exec(options_or_none(options)));
    wish.spec.argv = TRY(list("argv", argv));
    Runtime* containers = TRY(self.runtime());
    return containers->exec_detached(name, wish.spec);
  });
}

diatom_status diatom_container_logs(diatom_runtime* runtime, const char* container, const char* options, int stdout_fd,
                                    int stderr_fd, diatom_error** error) {
  return call(runtime, error, [&](diatom_runtime& self) -> Result<> {
    std::string_view name = TRY(text("container", container));
    LogQuery query = TRY(parse_logs(options_or_none(options)));
    Streams streams = TRY(Streams::open(-1, stdout_fd, stderr_fd, {}));
    Runtime* containers = TRY(self.runtime());
    TRY(containers->logs(name, query, streams.get().stdout_fd, streams.get().stderr_fd));
    return check_cancelled(self);
  });
}

diatom_status diatom_container_read_logs(diatom_runtime* runtime, const char* container, const char* options,
                                         diatom_log_callback callback, void* user, diatom_error** error) {
  return call(runtime, error, [&](diatom_runtime& self) -> Result<> {
    std::string_view name = TRY(text("container", container));
    if (callback == nullptr) return std::unexpected(null_argument("callback"));
    LogQuery query = TRY(parse_logs(options_or_none(options)));
    Runtime* containers = TRY(self.runtime());
    TRY(containers->logs(name, query, [&](LogStream stream, std::string_view bytes) {
      return callback(user, static_cast<int>(stream), bytes.data(), bytes.size()) == 0;
    }));
    return check_cancelled(self);
  });
}
