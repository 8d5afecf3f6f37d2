/* Stands between a program and the C library for the files below one directory: writes down what is asked of them, in order, and lets
 * chosen calls fail. Made by tests/support/disk_shim.py, loaded by LD_PRELOAD; silent until disk_watch is called.
 *
 * A record is {u8 op, i32 fd, i64 a, i64 b, u32 n, u32 m} and n + m bytes, little-endian, without padding:
 *   o  opened path (n): a = 1 made | 2 emptied, b = 1 a directory      w  n bytes at offset a      t  cut or extended to a bytes
 *   e  extended to at least a bytes     s  flush a begins     S  flush a ended with errno b        r  renamed (n) to (m)
 *   l  linked (n) as (m)      u  unlinked (n)      d  made directory (n)      x  call a failed with errno b on purpose: what (n)
 *   n  a note (n) of the program
 * Changes are written down when they are done, the begin of a flush before it, so what stands before an "s" was there when it began.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define MOST 4096

struct __attribute__((packed)) record { uint8_t op; int32_t fd; int64_t a, b; uint32_t n, m; };
static struct { int watched; dev_t device; ino_t inode; } files[MOST];
static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX];
static size_t root_size;
static int log_fd = -1, error_to_give;
static long calls, tickets, first_to_fail, last_to_fail;

static void put(char op, int fd, int64_t a, int64_t b, const void *one, size_t n, const void *two, size_t m) {
  struct record head = {(uint8_t)op, fd, a, b, (uint32_t)n, (uint32_t)m};
  struct iovec parts[3] = {{&head, sizeof head}, {(void *)one, n}, {(void *)two, m}};
  int kept = errno;
  pthread_mutex_lock(&guard);
  if (log_fd >= 0 && syscall(SYS_writev, log_fd, parts, 3) != (long)(sizeof head + n + m)) log_fd = -1;
  pthread_mutex_unlock(&guard);
  errno = kept;
}

/* Watch what is below a directory from now on, and count from 0. log: a descriptor that takes the records. */
void disk_watch(const char *directory, int log) {
  root_size = strlen(directory);
  memcpy(root, directory, root_size + 1);
  log_fd = log;
  calls = tickets = first_to_fail = last_to_fail = 0;
}

/* Let the calls from number first to last fail with that errno; none: 0, 0, 0. */
void disk_fail(long first, long last, int error) {
  pthread_mutex_lock(&guard);
  first_to_fail = first, last_to_fail = last, error_to_give = error;
  pthread_mutex_unlock(&guard);
}

long disk_calls(void) { return calls; }
int disk_writes_down(void) { return log_fd >= 0; }
void disk_note(const char *text) { put('n', -1, 0, 0, text, strlen(text), 0, 0); }

static int below(const char *path) { return root_size && !strncmp(path, root, root_size) && (path[root_size] == '/' || !path[root_size]); }

static int watched(int fd) {
  struct stat now;
  return fd >= 0 && fd < MOST && files[fd].watched && !fstat(fd, &now) && now.st_dev == files[fd].device && now.st_ino == files[fd].inode;
}

/* Count a call; the errno with which it must fail, or 0. */
static int strike(const char *what, const char *path) {
  char told[PATH_MAX + 32];
  pthread_mutex_lock(&guard);
  long number = ++calls;
  int error = number >= first_to_fail && number <= last_to_fail ? error_to_give : 0;
  pthread_mutex_unlock(&guard);
  if (error) put('x', -1, number, error, told, (size_t)snprintf(told, sizeof told, "%s %s", what, path), 0, 0);
  return error;
}

static int strike_fd(const char *what, int fd) {
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t size = readlink(link, path, sizeof path - 1);
  path[size < 0 ? 0 : size] = 0;
  return strike(what, path);
}

#define REFUSE(error) do { errno = (error); return -1; } while (0)

static int open_at(int at, const char *path, int flags, mode_t mode) {
  struct stat before, now;
  int ours = below(path), error, made = 0, fd;
  if (ours) {
    if ((error = strike("open", path))) REFUSE(error);
    made = (flags & O_CREAT) && lstat(path, &before);
  }
  fd = (int)syscall(SYS_openat, at, path, flags, mode);
  if (fd >= 0 && fd < MOST) {
    files[fd].watched = 0;
    if (ours && !fstat(fd, &now)) {
      files[fd].device = now.st_dev, files[fd].inode = now.st_ino;
      put('o', fd, made | (flags & O_TRUNC ? 2 : 0), S_ISDIR(now.st_mode), path, strlen(path), 0, 0);
      files[fd].watched = 1;
    }
  }
  return fd;
}

#define MODE(flags) mode_t mode = 0; if ((flags) & O_CREAT || ((flags) & O_TMPFILE) == O_TMPFILE) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }
int open(const char *path, int flags, ...) { MODE(flags) return open_at(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return open_at(AT_FDCWD, path, flags | O_LARGEFILE, mode); }
int openat(int at, const char *path, int flags, ...) { MODE(flags) return open_at(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE(flags) return open_at(at, path, flags | O_LARGEFILE, mode); }

/* A write that fails leaves half of it behind, as one may. */
static ssize_t write_at(const char *what, int fd, const void *data, size_t size, off_t at) {
  int error = strike_fd(what, fd);
  if (error) size /= 2;
  ssize_t done = syscall(SYS_pwrite64, fd, data, size, at);
  if (done > 0) put('w', fd, at, 0, data, (size_t)done, 0, 0);
  if (error) REFUSE(error);
  return done;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
  return watched(fd) ? write_at("pwrite", fd, data, size, at) : syscall(SYS_pwrite64, fd, data, size, at);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off_t at) { return pwrite(fd, data, size, at); }

ssize_t write(int fd, const void *data, size_t size) {
  if (!watched(fd)) return syscall(SYS_write, fd, data, size);
  off_t at = lseek(fd, 0, fcntl(fd, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR);
  ssize_t done = write_at("write", fd, data, size, at);
  if (done > 0) lseek(fd, at + done, SEEK_SET);
  return done;
}

static int flush(const char *what, long number, int fd) {
  if (!watched(fd)) return (int)syscall(number, fd);
  pthread_mutex_lock(&guard);
  long ticket = ++tickets;
  pthread_mutex_unlock(&guard);
  put('s', fd, ticket, 0, 0, 0, 0, 0);
  int error = strike_fd(what, fd);
  if (!error && syscall(number, fd)) error = errno;
  put('S', fd, ticket, error, 0, 0, 0, 0);
  if (error) REFUSE(error);
  return 0;
}
int fsync(int fd) { return flush("fsync", SYS_fsync, fd); }
int fdatasync(int fd) { return flush("fdatasync", SYS_fdatasync, fd); }

int ftruncate(int fd, off_t size) {
  int error, ours = watched(fd);
  if (ours && (error = strike_fd("ftruncate", fd))) REFUSE(error);
  int done = (int)syscall(SYS_ftruncate, fd, size);
  if (ours && !done) put('t', fd, size, 0, 0, 0, 0, 0);
  return done;
}
int ftruncate64(int fd, off_t size) { return ftruncate(fd, size); }

int posix_fallocate(int fd, off_t at, off_t size) {
  int error, ours = watched(fd), kept = errno;
  if (ours && (error = strike_fd("fallocate", fd))) return error;
  error = syscall(SYS_fallocate, fd, 0, at, size) ? errno : 0;
  if (ours && !error) put('e', fd, at + size, 0, 0, 0, 0, 0);
  errno = kept;
  return error;
}
int posix_fallocate64(int fd, off_t at, off_t size) { return posix_fallocate(fd, at, size); }

int renameat(int from_at, const char *from, int to_at, const char *to) {
  int error, ours = below(from) || below(to);
  if (ours && (error = strike("rename", to))) REFUSE(error);
  int done = (int)syscall(SYS_renameat2, from_at, from, to_at, to, 0);
  if (ours && !done) put('r', -1, 0, 0, from, strlen(from), to, strlen(to));
  return done;
}
int rename(const char *from, const char *to) { return renameat(AT_FDCWD, from, AT_FDCWD, to); }

int linkat(int from_at, const char *from, int to_at, const char *to, int flags) {
  int error, ours = below(to);
  if (ours && (error = strike("link", to))) REFUSE(error);
  int done = (int)syscall(SYS_linkat, from_at, from, to_at, to, flags);
  if (ours && !done) put('l', -1, 0, 0, from, strlen(from), to, strlen(to));
  return done;
}
int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int at, const char *path, int flags) {
  int error, ours = below(path);
  if (ours && (error = strike("unlink", path))) REFUSE(error);
  int done = (int)syscall(SYS_unlinkat, at, path, flags);
  if (ours && !done) put('u', -1, 0, 0, path, strlen(path), 0, 0);
  return done;
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdirat(int at, const char *path, mode_t mode) {
  int error, ours = below(path);
  if (ours && (error = strike("mkdir", path))) REFUSE(error);
  int done = (int)syscall(SYS_mkdirat, at, path, mode);
  if (ours && !done) put('d', -1, 0, 0, path, strlen(path), 0, 0);
  return done;
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }
