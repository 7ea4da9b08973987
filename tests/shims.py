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
