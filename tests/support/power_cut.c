// LD_PRELOAD: what a disk would hold after a power cut. After each sync of a process the small files of DIATOM_HOME are
// copied to $POWER_CUT/<number>, with each file cut to what it was at its last sync where that is known to matter: the
// database's write-ahead log. (Directories count as synced: that is more than a disk promises, and less than a test
// without it would find.)
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int busy;

static void note_size(int fd, const char* folder) {
  char link[64], path[4096], mark[4200];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0) return;
  path[length] = 0;
  size_t at = (size_t)length;
  if (at < 4 || strcmp(path + at - 4, "-wal") != 0) return;
  struct stat status;
  if (fstat(fd, &status) < 0) return;
  snprintf(mark, sizeof mark, "%s/wal-bytes", folder);
  FILE* out = fopen(mark, "we");
  if (!out) return;
  fprintf(out, "%lld", (long long)status.st_size);
  fclose(out);
}

static void synced(int fd) {
  const char* folder = getenv("POWER_CUT");
  const char* home = getenv("DIATOM_HOME");
  if (!folder || !home || busy) return;
  busy = 1;
  char command[16384];
  snprintf(command, sizeof command, "%s/lock", folder);
  int lock = open(command, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock >= 0) flock(lock, LOCK_EX);
  note_size(fd, folder);
  // Without the preload, or the copy's own syncs would be copied. The database's log may be longer than its synced
  // part.
  snprintf(command, sizeof command,
           "unset LD_PRELOAD; cd '%s' && n=$(ls | grep -c 'done$') && mkdir $n && cp -r --sparse=always '%s'/. $n/ "
           "2>/dev/null; rm -f $n/diatom.db-shm; if [ -f wal-bytes ]; then truncate -s \"<$(cat wal-bytes)\" "
           "$n/diatom.db-wal 2>/dev/null; fi; readlink /proc/%d/fd/%d > $n.done",
           folder, home, (int)getpid(), fd);
  if (system(command) < 0) perror("power_cut");
  if (lock >= 0) close(lock);
  busy = 0;
}

#define WRAP(name)                              \
  int name(int fd) {                            \
    int (*real)(int) = dlsym(RTLD_NEXT, #name); \
    int result = real(fd);                      \
    if (result == 0) synced(fd);                \
    return result;                              \
  }
WRAP(fsync)
WRAP(fdatasync)
