/* The C API of diatom: OCI containers, each in a microVM of its own. (docs/embedding.md walks through it.)
 *
 * Errors. A function returns DIATOM_OK or the kind of its error, and then sets *error, which says more; `error` may be
 * NULL where the kind will do. Free it with diatom_error_free(). No exception leaves the library and nothing here ends
 * the process: an argument that is NULL where it may not be is DIATOM_INVALID_ARGUMENT. (The memory of this process
 * running out in a thread of the library's own is the one exception.)
 *
 * Results. Where a result has parts it is JSON text, in UTF-8, with the field names that `diatom inspect`, `ps --json`,
 * `run --json` and others print; docs/format/documents.md lists them. New versions add fields. A result may be NULL
 * where it is not wanted. What a function hands out is the caller's, to be freed with diatom_free().
 *
 * Options. `options` is a JSON object, or NULL for the defaults, so that no struct crosses this boundary. A field that
 * this version does not know is refused by its name: DIATOM_INVALID_ARGUMENT.
 *
 * Text is UTF-8 and ends with a NUL. Descriptors are borrowed for the call, and -1 means none: that stream is not
 * joined.
 *
 * Threads. A runtime is for one thread at a time; a second one that uses it meanwhile, or a callback that does, is
 * refused with DIATOM_INVALID_ARGUMENT. Runtimes are cheap: open one for each thread. Only diatom_cancel() may be
 * called at any time, and from signal handlers. Do not fork a process that goes on to use a runtime of its parent's.
 * The library starts no threads that outlive a call, keeps no state beside the runtimes, and leaves signals and
 * their handlers as they are but where an option says so.
 *
 * Versions. libdiatom.so.0 keeps every function that is declared here as it is. Later versions only add functions,
 * options and fields: DIATOM_API_VERSION says what these headers have, diatom_api_version() what the library has.
 */
#ifndef DIATOM_DIATOM_H
#define DIATOM_DIATOM_H

#include <stddef.h>
#include <stdint.h>

#include "diatom/export.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DIATOM_API_VERSION 1
DIATOM_API int diatom_api_version(void);
DIATOM_API const char* diatom_version(void); /* "0.1.0"; never freed */

/* ---- Errors. */

typedef enum diatom_status {
  DIATOM_OK = 0,
  DIATOM_NOT_FOUND = 1,
  DIATOM_ALREADY_EXISTS = 2,
  DIATOM_INVALID_ARGUMENT = 3,
  DIATOM_IMAGE_PULL = 4,
  DIATOM_ENGINE_UNAVAILABLE = 5,
  DIATOM_START_FAILED = 6, /* diatom_error_exit_code() is 125 to 127, as of docker's run */
  DIATOM_GUEST = 7,
  DIATOM_TIMEOUT = 8,
  DIATOM_UNSUPPORTED = 9,
  DIATOM_CANCELLED = 10,
  DIATOM_INTERNAL = 11
} diatom_status; /* take one that is not here for DIATOM_INTERNAL */

typedef struct diatom_error diatom_error;

/* A kind ("not_found"), what was being done to what and why it failed, and what to do next (may be empty). Of NULL
 * these are DIATOM_OK, "ok", "", "" and 0. Texts live as long as the error. */
DIATOM_API diatom_status diatom_error_status(const diatom_error* error);
DIATOM_API const char* diatom_error_kind(const diatom_error* error);
DIATOM_API const char* diatom_error_message(const diatom_error* error);
DIATOM_API const char* diatom_error_hint(const diatom_error* error);
DIATOM_API int diatom_error_exit_code(const diatom_error* error);
DIATOM_API void diatom_error_free(diatom_error* error); /* NULL will do */

/* Frees what a function handed out. NULL will do. */
DIATOM_API void diatom_free(void* memory);

/* ---- The runtime. */

typedef struct diatom_runtime diatom_runtime;

/* Options: home, run, monitor: where the store, the sockets and the program diatom-monitor are, instead of
 * $DIATOM_HOME, $DIATOM_RUN, $DIATOM_MONITOR and the defaults. */
DIATOM_API diatom_status diatom_open(const char* options, diatom_runtime** runtime, diatom_error** error);
/* Containers that run go on. NULL will do. Not while a call or diatom_cancel() is under way. */
DIATOM_API void diatom_close(diatom_runtime* runtime);
/* Ends the call that is under way, and each later one, with DIATOM_CANCELLED: for good, so that none is missed. Of a
 * pull, load or create nothing is left then; a program that runs already goes on. From any thread, and from signal
 * handlers. */
DIATOM_API void diatom_cancel(diatom_runtime* runtime);

/* JSON as `diatom info`, `version`, `doctor` print it with --format json or --json. */
DIATOM_API diatom_status diatom_info(diatom_runtime* runtime, char** json, diatom_error** error);
DIATOM_API diatom_status diatom_version_info(diatom_runtime* runtime, char** json, diatom_error** error);
DIATOM_API diatom_status diatom_doctor(diatom_runtime* runtime, char** json, diatom_error** error);
DIATOM_API diatom_status diatom_disk_usage(diatom_runtime* runtime, char** json, diatom_error** error);
/* Removes what is kept only so that the next create is faster. */
DIATOM_API diatom_status diatom_templates_prune(diatom_runtime* runtime, uint64_t* freed_bytes, diatom_error** error);

/* Each event as docker's API has it, in the order in which they happened. Anything but 0 ends the reading. */
typedef int (*diatom_event_callback)(void* user, const char* json);
/* Options: since, until (RFC 3339, seconds since 1970, or a duration such as "10m" before now), only_new, follow,
 * filters ({"type": ["container"], "event": ["start", "die"]}; also container, image, label). Returns when there is no
 * more: with follow at `until`, when the callback says so, or DIATOM_CANCELLED. */
DIATOM_API diatom_status diatom_events(diatom_runtime* runtime, const char* options, diatom_event_callback callback,
                                       void* user, diatom_error** error);

/* Options: username, password, identity_token, tls_verify, auth_file, cert_dir. */
DIATOM_API diatom_status diatom_login(diatom_runtime* runtime, const char* registry, const char* options, char** json,
                                      diatom_error** error);
DIATOM_API diatom_status diatom_logout(diatom_runtime* runtime, const char* registry, const char* options, char** json,
                                       diatom_error** error);

/* ---- Images. By name, id or unique prefix of one. */

/* A step of a transfer: {"id", "phase", "progressDetail": {"current", "total"}}. It comes from threads of the
 * library's, but never from two at once; it must not block for long. */
typedef void (*diatom_progress_callback)(void* user, const char* json);

/* Options: policy ("always", the default; "newer", "missing", "never"), platform, all_tags, and those of
 * diatom_login(). `progress` may be NULL. */
DIATOM_API diatom_status diatom_image_pull(diatom_runtime* runtime, const char* reference, const char* options,
                                           diatom_progress_callback progress, void* user, char** json,
                                           diatom_error** error);
/* Options: those of diatom_login(). */
DIATOM_API diatom_status diatom_image_push(diatom_runtime* runtime, const char* reference, const char* options,
                                           diatom_progress_callback progress, void* user, char** json,
                                           diatom_error** error);
DIATOM_API diatom_status diatom_image_list(diatom_runtime* runtime, char** json, diatom_error** error);
DIATOM_API diatom_status diatom_image_inspect(diatom_runtime* runtime, const char* reference, char** json,
                                              diatom_error** error);
DIATOM_API diatom_status diatom_image_history(diatom_runtime* runtime, const char* reference, char** json,
                                              diatom_error** error);
DIATOM_API diatom_status diatom_image_tag(diatom_runtime* runtime, const char* source, const char* target,
                                          diatom_error** error);
/* Options: force. */
DIATOM_API diatom_status diatom_image_remove(diatom_runtime* runtime, const char* reference, const char* options,
                                             char** json, diatom_error** error);
/* Options: all, until, labels, not_labels (lists of "KEY" or "KEY=VALUE"). */
DIATOM_API diatom_status diatom_image_prune(diatom_runtime* runtime, const char* options, char** json,
                                            diatom_error** error);
/* A tar that is an OCI layout and a docker archive. `references` ends with NULL. */
DIATOM_API diatom_status diatom_image_save(diatom_runtime* runtime, const char* const* references, int fd,
                                           diatom_error** error);
/* `path`: an OCI layout (folder or tar) or a docker archive; "-" is standard input. */
DIATOM_API diatom_status diatom_image_load(diatom_runtime* runtime, const char* path, char** json,
                                           diatom_error** error);
/* `path`: the tar of a root file system. Options: reference, changes, message, platform. */
DIATOM_API diatom_status diatom_image_import(diatom_runtime* runtime, const char* path, const char* options,
                                             char** json, diatom_error** error);

/* ---- Containers. By name, id or unique prefix of one. */

/* `document`: docs/format/container.md; its image is pulled as its pull_policy says. The result has the fields id and
 * warnings. */
DIATOM_API diatom_status diatom_container_create(diatom_runtime* runtime, const char* document,
                                                 diatom_progress_callback progress, void* user, char** json,
                                                 diatom_error** error);
/* Returns when the program has been executed, or with the reason why not. */
DIATOM_API diatom_status diatom_container_start(diatom_runtime* runtime, const char* container, diatom_error** error);

/* The next four join a program's streams to descriptors and return when it has ended. `exit_code`: 128 + n when signal
 * n ended it; `json` also has signal, oom_killed, error, detached (left by the detach keys; it goes on) and
 * output_error (some output could not be written, and why). Options, beside those that are named: forward_signals
 * (pass this process's signals on; the caller must have no other thread that takes them), detach_keys. */

/* From its first byte on. */
DIATOM_API diatom_status diatom_container_start_attached(diatom_runtime* runtime, const char* container,
                                                         const char* options, int stdin_fd, int stdout_fd,
                                                         int stderr_fd, int* exit_code, char** json,
                                                         diatom_error** error);
/* Creates and starts. Option: detach, to return once the program has been executed; nothing is joined then. */
DIATOM_API diatom_status diatom_container_run(diatom_runtime* runtime, const char* document, const char* options,
                                              int stdin_fd, int stdout_fd, int stderr_fd,
                                              diatom_progress_callback progress, void* user, int* exit_code,
                                              char** json, diatom_error** error);
/* From now on. */
DIATOM_API diatom_status diatom_container_attach(diatom_runtime* runtime, const char* container, const char* options,
                                                 int stdin_fd, int stdout_fd, int stderr_fd, int* exit_code,
                                                 char** json, diatom_error** error);
/* Another program. `argv` ends with NULL. Options: env (an object), working_dir, user, tty, privileged. */
DIATOM_API diatom_status diatom_container_exec(diatom_runtime* runtime, const char* container, const char* const* argv,
                                               const char* options, int stdin_fd, int stdout_fd, int stderr_fd,
                                               int* exit_code, char** json, diatom_error** error);
/* Returns when it has been executed. Its output is nobody's. Options: those of diatom_container_exec(). */
DIATOM_API diatom_status diatom_container_exec_detached(diatom_runtime* runtime, const char* container,
                                                        const char* const* argv, const char* options,
                                                        diatom_error** error);

/* Options: timeout ("10s", until SIGKILL), signal. One that does not run is a success. */
DIATOM_API diatom_status diatom_container_stop(diatom_runtime* runtime, const char* container, const char* options,
                                               diatom_error** error);
DIATOM_API diatom_status diatom_container_restart(diatom_runtime* runtime, const char* container, const char* options,
                                                  diatom_error** error);
/* `signal`: "KILL", "SIGTERM", "9"; NULL: KILL. */
DIATOM_API diatom_status diatom_container_kill(diatom_runtime* runtime, const char* container, const char* signal,
                                               diatom_error** error);
DIATOM_API diatom_status diatom_container_pause(diatom_runtime* runtime, const char* container, diatom_error** error);
DIATOM_API diatom_status diatom_container_resume(diatom_runtime* runtime, const char* container, diatom_error** error);
/* The window of its program's terminal. (Joined to a terminal, its size is passed on by itself: forward_signals.) */
DIATOM_API diatom_status diatom_container_resize(diatom_runtime* runtime, const char* container, uint16_t rows,
                                                 uint16_t columns, diatom_error** error);
DIATOM_API diatom_status diatom_container_rename(diatom_runtime* runtime, const char* container, const char* name,
                                                 diatom_error** error);

/* Copies of a container that runs, all from one moment (Runtime::fork). `count`: from 1 on; `name`: of the only one, or
 * the beginning of all names; NULL: made up. The result is a list of their ids. On an error those that were started go
 * on. */
DIATOM_API diatom_status diatom_container_fork(diatom_runtime* runtime, const char* container, uint32_t count,
                                               const char* name, char** json, diatom_error** error);
/* Saves a container that runs, with its memory; it goes on. `name` may be NULL. The result is the snapshot. */
DIATOM_API diatom_status diatom_snapshot_create(diatom_runtime* runtime, const char* container, const char* name,
                                                char** json, diatom_error** error);
DIATOM_API diatom_status diatom_snapshot_list(diatom_runtime* runtime, char** json, diatom_error** error);
DIATOM_API diatom_status diatom_snapshot_remove(diatom_runtime* runtime, const char* snapshot, uint64_t* freed_bytes,
                                                diatom_error** error);
/* A new container, which goes on from there; `name` may be NULL. The result has its Id. */
DIATOM_API diatom_status diatom_snapshot_restore(diatom_runtime* runtime, const char* snapshot, const char* name,
                                                 char** json, diatom_error** error);

/* Options: cpu, memory, pids_limit, restart, as in a container document; what is missing stays. The result has
 * warnings. */
DIATOM_API diatom_status diatom_container_update(diatom_runtime* runtime, const char* container, const char* options,
                                                 char** json, diatom_error** error);
/* `condition`: "not-running" (also NULL), "next-exit", "removed". */
DIATOM_API diatom_status diatom_container_wait(diatom_runtime* runtime, const char* container, const char* condition,
                                               int* exit_code, char** json, diatom_error** error);
/* Options: force. */
DIATOM_API diatom_status diatom_container_remove(diatom_runtime* runtime, const char* container, const char* options,
                                                 diatom_error** error);
/* Removes those that do not run. Options: until, labels, not_labels. */
DIATOM_API diatom_status diatom_container_prune(diatom_runtime* runtime, const char* options, char** json,
                                                diatom_error** error);

/* A list of what diatom_container_inspect() has. Options: all (also those that do not run). */
DIATOM_API diatom_status diatom_container_list(diatom_runtime* runtime, const char* options, char** json,
                                               diatom_error** error);
DIATOM_API diatom_status diatom_container_inspect(diatom_runtime* runtime, const char* container, char** json,
                                                  diatom_error** error);

/* Options: tail (lines), since, until, follow (until the container ends), timestamps, stdout, stderr. */
DIATOM_API diatom_status diatom_container_logs(diatom_runtime* runtime, const char* container, const char* options,
                                               int stdout_fd, int stderr_fd, diatom_error** error);
/* Bytes of the program's stdout (`stream` 1) or stderr (2), not lines. Anything but 0 ends the reading. */
typedef int (*diatom_log_callback)(void* user, int stream, const char* bytes, size_t size);
DIATOM_API diatom_status diatom_container_read_logs(diatom_runtime* runtime, const char* container, const char* options,
                                                    diatom_log_callback callback, void* user, diatom_error** error);

/* Of several at once. `containers` ends with NULL. Options: deadline ("5s"). A list in their order; of one that cannot
 * be measured there is an object with kind and message of its error instead. */
DIATOM_API diatom_status diatom_container_stats(diatom_runtime* runtime, const char* const* containers,
                                                const char* options, char** json, diatom_error** error);
DIATOM_API diatom_status diatom_container_top(diatom_runtime* runtime, const char* container, char** json,
                                              diatom_error** error);

/* ---- Files of a container, running or not. Paths in it are taken as from its root. */

/* As docker's cp; a directory goes into one that is there, and becomes one that is not; "/." behind the source means
 * its contents. Nothing outside of the destination is written, whatever the container says. Options: archive (owners
 * and privileges are those of the source; else what goes in is root's, and what comes out is yours), follow_link (of
 * a link that is the source itself, what it leads to). The result has bytes and warnings. */
DIATOM_API diatom_status diatom_container_copy_from(diatom_runtime* runtime, const char* container, const char* path,
                                                    const char* host_path, const char* options, char** json,
                                                    diatom_error** error);
DIATOM_API diatom_status diatom_container_copy_to(diatom_runtime* runtime, const char* container, const char* host_path,
                                                  const char* path, const char* options, char** json,
                                                  diatom_error** error);
/* The same as a tar, to a descriptor or from it, with the owners that are in it. It is unpacked into a directory that
 * is there. */
DIATOM_API diatom_status diatom_container_read_archive(diatom_runtime* runtime, const char* container, const char* path,
                                                       const char* options, int fd, char** json, diatom_error** error);
DIATOM_API diatom_status diatom_container_write_archive(diatom_runtime* runtime, const char* container,
                                                        const char* path, int fd, char** json, diatom_error** error);
/* Option: follow_link. */
DIATOM_API diatom_status diatom_container_stat_path(diatom_runtime* runtime, const char* container, const char* path,
                                                    const char* options, char** json, diatom_error** error);
/* The whole root file system as a tar, without what is mounted over it. */
DIATOM_API diatom_status diatom_container_export(diatom_runtime* runtime, const char* container, int fd, char** json,
                                                 diatom_error** error);
/* What differs from its image. */
DIATOM_API diatom_status diatom_container_diff(diatom_runtime* runtime, const char* container, char** json,
                                               diatom_error** error);
/* An image of it, with its changes as a layer. Options: reference (its name), author, message, changes (a list, in a
 * Dockerfile's words), pause (its programs stand still meanwhile; true). The result has id and warnings. */
DIATOM_API diatom_status diatom_container_commit(diatom_runtime* runtime, const char* container, const char* options,
                                                 char** json, diatom_error** error);

#ifdef __cplusplus
}
#endif

#endif
