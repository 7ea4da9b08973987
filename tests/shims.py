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
