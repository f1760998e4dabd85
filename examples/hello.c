/* A container from a C program: created, started, read, run into, stopped and removed.
 *   cc hello.c $(pkg-config --cflags --libs diatom) -o hello && ./hello busybox */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "diatom/diatom.h"

static diatom_runtime* runtime;
static diatom_error* error; /* of the last call */

static void check(diatom_status status) {
  if (status == DIATOM_OK) return;
  fprintf(stderr, "%s: %s\n", diatom_error_kind(error), diatom_error_message(error));
  if (*diatom_error_hint(error) != '\0') fprintf(stderr, "  %s\n", diatom_error_hint(error));
  int code = diatom_error_exit_code(error);
  diatom_error_free(error);
  diatom_close(runtime);
  exit(code != 0 ? code : 1);
}

static int print_log(void* user, int stream, const char* bytes, size_t size) {
  (void)user;
  fprintf(stream == 1 ? stdout : stderr, "log: %.*s", (int)size, bytes);
  return 0;
}

int main(int argc, char** argv) {
  char document[512];
  char* created = NULL;
  const char* name = "greeter-0"; /* {service}-{replica} */
  const char* program[] = {"sh", "-c", "echo hello from exec; exit 3", NULL};
  int exit_code = 0;

  snprintf(document, sizeof document,
           "{\"service\": \"greeter\", \"replica\": 0, \"image\": \"%s\", \"pull_policy\": \"missing\","
           " \"resources\": {\"cpu\": 1, \"memory\": \"256Mi\"},"
           " \"args\": [\"sh\", \"-c\", \"echo hello from the container; exec sleep 600\"]}",
           argc > 1 ? argv[1] : "busybox");

  check(diatom_open(NULL, &runtime, &error));
  check(diatom_container_create(runtime, document, NULL, NULL, &created, &error));
  printf("created %s\n", created);
  diatom_free(created);
  check(diatom_container_start(runtime, name, &error));
  fflush(stdout);
  check(diatom_container_exec(runtime, name, program, NULL, -1, STDOUT_FILENO, STDERR_FILENO, &exit_code, NULL, &error));
  printf("exec ended with %d\n", exit_code);
  check(diatom_container_stop(runtime, name, "{\"timeout\": \"1s\"}", &error));
  check(diatom_container_read_logs(runtime, name, NULL, print_log, NULL, &error));
  check(diatom_container_remove(runtime, name, NULL, &error));
  diatom_close(runtime);
  return 0;
}
