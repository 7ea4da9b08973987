"""Libraries that are loaded before all others and make the machine fail in some way."""

import shutil
import subprocess
import sys

import pytest

NO_LOCKS = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
static int number(void) { return atoi(getenv("NOLOCK")); }
int flock(int fd, int op) { errno = number(); return -1; }
static int go(const char *name, int fd, int cmd, void *a) {
  if (cmd == F_SETLK || cmd == F_SETLKW || cmd == F_GETLK || cmd == F_OFD_SETLK || cmd == F_OFD_SETLKW) {
    errno = number(); return -1;
  }
  int (*real)(int, int, void *) = dlsym(RTLD_NEXT, name);
  return real(fd, cmd, a);
}
int fcntl(int fd, int cmd, ...) { va_list v; va_start(v, cmd); void *a = va_arg(v, void *); va_end(v); return go("fcntl", fd, cmd, a); }
int fcntl64(int fd, int cmd, ...) { va_list v; va_start(v, cmd); void *a = va_arg(v, void *); va_end(v); return go("fcntl64", fd, cmd, a); }
"""
"""A file system without locks, as Lustre is when it is mounted without ``flock``; ``NOLOCK`` is the error's number."""

FAILING_READS = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>
static int fails(int fd) {
  char link[64], path[4096]; const char *name = getenv("FAILING");
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path - 1);
  if (n < 0 || !name) return 0;
  path[n] = 0;
  if (!strstr(path, name)) return 0;
  errno = EIO;
  return 1;
}
ssize_t read(int fd, void *to, size_t n) {
  static ssize_t (*real)(int, void *, size_t); if (!real) real = dlsym(RTLD_NEXT, "read");
  return fails(fd) ? -1 : real(fd, to, n);
}
ssize_t pread64(int fd, void *to, size_t n, off64_t at) {
  static ssize_t (*real)(int, void *, size_t, off64_t); if (!real) real = dlsym(RTLD_NEXT, "pread64");
  return fails(fd) ? -1 : real(fd, to, n, at);
}
ssize_t pread(int fd, void *to, size_t n, off_t at) {
  static ssize_t (*real)(int, void *, size_t, off_t); if (!real) real = dlsym(RTLD_NEXT, "pread");
  return fails(fd) ? -1 : real(fd, to, n, at);
}
"""
"""A disk that gives no byte of the files in whose path the text ``FAILING`` occurs."""


def built(source, folder):
    """The library of a C source, for ``LD_PRELOAD``; the test is skipped where there is no compiler."""
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("needs cc and Linux")
    (folder / "shim.c").write_text(source)
    library = folder / "shim.so"
    command = [compiler, "-shared", "-fPIC", "-o", library, folder / "shim.c", "-ldl"]
    subprocess.run(command, check=True, timeout=60)
    return library


FAILING_CALLS = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>
static long at = -1, count = 0;
static int number = 0, diary = -1;
static char folder[PATH_MAX];
void arm(const char *inside, long fail_at, int error, int list) {
  strncpy(folder, inside, sizeof folder - 1); at = fail_at; number = error; diary = list; count = 0;
}
long counted(void) { return count; }
static int fails(const char *call, const char *path) {
  if (!folder[0] || !path || strncmp(path, folder, strlen(folder))) return 0;
  long n = __sync_fetch_and_add(&count, 1);
  if (diary >= 0) {
    char line[PATH_MAX + 64];
    int size = snprintf(line, sizeof line, "%s\t%s\n", call, path);
    syscall(SYS_write, diary, line, size);
  }
  if (n != at) return 0;
  errno = number;
  return 1;
}
static int fails_fd(const char *call, int fd) {
  char link[64], path[PATH_MAX];
  if (!folder[0]) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path - 1);
  if (n < 0) return 0;
  path[n] = 0;
  return fails(call, path);
}
static int fails_at(const char *call, int dir, const char *name) {
  char link[64], path[PATH_MAX];
  if (!folder[0]) return 0;
  if (name[0] == '/' || dir == AT_FDCWD) return fails(call, name);
  snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
  ssize_t n = readlink(link, path, sizeof path - 1);
  if (n < 0) return 0;
  snprintf(path + n, sizeof path - n, "/%s", name);
  return fails(call, path);
}
#define REAL(type, name, ...) static type (*real)(__VA_ARGS__); if (!real) real = dlsym(RTLD_NEXT, name)
#define CHANGES(flags) (flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC))
#define MODE mode_t mode = 0; if (flags & O_CREAT) { va_list v; va_start(v, flags); mode = va_arg(v, int); va_end(v); }
int open(const char *p, int flags, ...) { MODE REAL(int, "open", const char *, int, ...); return CHANGES(flags) && fails("open", p) ? -1 : real(p, flags, mode); }
int open64(const char *p, int flags, ...) { MODE REAL(int, "open64", const char *, int, ...); return CHANGES(flags) && fails("open", p) ? -1 : real(p, flags, mode); }
int openat(int d, const char *p, int flags, ...) { MODE REAL(int, "openat", int, const char *, int, ...); return CHANGES(flags) && fails_at("open", d, p) ? -1 : real(d, p, flags, mode); }
int openat64(int d, const char *p, int flags, ...) { MODE REAL(int, "openat64", int, const char *, int, ...); return CHANGES(flags) && fails_at("open", d, p) ? -1 : real(d, p, flags, mode); }
FILE *fopen(const char *p, const char *m) { REAL(FILE *, "fopen", const char *, const char *); return strpbrk(m, "wa+") && fails("fopen", p) ? NULL : real(p, m); }
FILE *fopen64(const char *p, const char *m) { REAL(FILE *, "fopen64", const char *, const char *); return strpbrk(m, "wa+") && fails("fopen", p) ? NULL : real(p, m); }
size_t fwrite(const void *b, size_t s, size_t n, FILE *f) { REAL(size_t, "fwrite", const void *, size_t, size_t, FILE *); return fails_fd("fwrite", fileno(f)) ? 0 : real(b, s, n, f); }
ssize_t write(int fd, const void *b, size_t n) { REAL(ssize_t, "write", int, const void *, size_t); return fails_fd("write", fd) ? -1 : real(fd, b, n); }
ssize_t pwrite(int fd, const void *b, size_t n, off_t o) { REAL(ssize_t, "pwrite", int, const void *, size_t, off_t); return fails_fd("write", fd) ? -1 : real(fd, b, n, o); }
ssize_t pwrite64(int fd, const void *b, size_t n, off64_t o) { REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t); return fails_fd("write", fd) ? -1 : real(fd, b, n, o); }
int fsync(int fd) { REAL(int, "fsync", int); return fails_fd("fsync", fd) ? -1 : real(fd); }
int fdatasync(int fd) { REAL(int, "fdatasync", int); return fails_fd("fsync", fd) ? -1 : real(fd); }
int ftruncate(int fd, off_t n) { REAL(int, "ftruncate", int, off_t); return fails_fd("truncate", fd) ? -1 : real(fd, n); }
int ftruncate64(int fd, off64_t n) { REAL(int, "ftruncate64", int, off64_t); return fails_fd("truncate", fd) ? -1 : real(fd, n); }
int rename(const char *a, const char *b) { REAL(int, "rename", const char *, const char *); return fails("rename", b) ? -1 : real(a, b); }
int unlink(const char *p) { REAL(int, "unlink", const char *); return fails("unlink", p) ? -1 : real(p); }
int unlinkat(int d, const char *p, int f) { REAL(int, "unlinkat", int, const char *, int); return fails_at("unlink", d, p) ? -1 : real(d, p, f); }
int mkdir(const char *p, mode_t m) { REAL(int, "mkdir", const char *, mode_t); return fails("mkdir", p) ? -1 : real(p, m); }
int rmdir(const char *p) { REAL(int, "rmdir", const char *); return fails("rmdir", p) ? -1 : real(p); }
"""
"""``arm(folder, n, errno, fd)``: the n-th call from then on that changes something in the folder fails; all of them are
listed to the file ``fd``, if it is not -1."""
