/* Kills the process, or fails, at the n-th file operation below one folder.
 *
 * Loaded with LD_PRELOAD into a process that calls faults_arm(). Only operations that change a disk
 * count: names made, moved and removed, data written, flushes. fault is -1 to kill, in the middle of
 * what is written, or an errno. A full disk (ENOSPC) stays full for what needs room, a file system
 * that became read-only (EROFS) stays so for all; EIO happens once.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static char root[PATH_MAX];
static size_t root_length;
static int fault, log_fd = -1, in_log;
static long stop_at, count;

enum { REMOVES, NEEDS_ROOM };

#define REAL(name, ...) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name); \
    return real(__VA_ARGS__)
#define ORIGINAL(name) ((__typeof__(name) *)dlsym(RTLD_NEXT, #name))

void faults_arm(const char *folder, long at, int kind, int log) {
    snprintf(root, sizeof root, "%s/", folder);
    root_length = strlen(root);
    stop_at = at, fault = kind, log_fd = log, count = 0;
}

static int inside(const char *path) { return root_length && !strncmp(path, root, root_length); }

static const char *of_fd(int fd, char *buffer) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, buffer, PATH_MAX - 1);
    buffer[length < 0 ? 0 : length] = 0;
    return buffer;
}

static const char *of_name(int folder, const char *path, char *buffer) {
    if (path[0] == '/') return path;
    if (folder == AT_FDCWD) {
        if (!getcwd(buffer, PATH_MAX / 2)) buffer[0] = 0;
    } else {
        of_fd(folder, buffer);
    }
    size_t length = strlen(buffer);
    snprintf(buffer + length, PATH_MAX - length, "/%s", path);
    return buffer;
}

/* Counts an operation; 1 if it must fail, 2 if the process must die in it. */
static int meets(const char *operation, const char *path, int kind) {
    if (!root_length || in_log || !inside(path)) return 0;
    long now = __atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST);
    if (log_fd >= 0) {
        in_log = 1;
        dprintf(log_fd, "%ld %s %s\n", now, operation, path + root_length);
        in_log = 0;
    }
    if (fault == -1) return now == stop_at ? 2 : 0;
    int stays = fault == EROFS || (fault == ENOSPC && kind == NEEDS_ROOM);
    if (!fault || !stop_at || !(now == stop_at || (stays && now > stop_at))) return 0;
    if (fault == ENOSPC && kind == REMOVES) return 0;
    errno = fault;
    return 1;
}

static void die(void) { kill(getpid(), SIGKILL); for (;;) pause(); }

#define GUARD(operation, path, kind) do { \
    int met = meets(operation, path, kind); \
    if (met == 2) die(); \
    if (met) return -1; \
} while (0)

#define WRITES (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        va_list more; va_start(more, flags); mode_t mode = va_arg(more, int); va_end(more); \
        char b[PATH_MAX]; \
        if (flags & WRITES) GUARD("open", of_name(AT_FDCWD, path, b), NEEDS_ROOM); \
        REAL(name, path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
    int name(int at, const char *path, int flags, ...) { \
        va_list more; va_start(more, flags); mode_t mode = va_arg(more, int); va_end(more); \
        char b[PATH_MAX]; \
        if (flags & WRITES) GUARD("open", of_name(at, path, b), NEEDS_ROOM); \
        REAL(name, at, path, flags, mode); \
    }
OPENAT(openat)
OPENAT(openat64)

#define FOPEN(name) \
    FILE *name(const char *path, const char *mode) { \
        char b[PATH_MAX]; \
        if (strpbrk(mode, "wa+")) { \
            int met = meets("open", of_name(AT_FDCWD, path, b), NEEDS_ROOM); \
            if (met == 2) die(); \
            if (met) return NULL; \
        } \
        REAL(name, path, mode); \
    }
FOPEN(fopen)
FOPEN(fopen64)

size_t fwrite(const void *data, size_t size, size_t n, FILE *file) {
    char b[PATH_MAX];
    if (root_length) {
        int met = meets("write", of_fd(fileno(file), b), NEEDS_ROOM);
        if (met == 2) {
            ORIGINAL(fwrite)(data, size, n / 2, file);
            fflush(file);
            die();
        }
        if (met) return 0;
    }
    REAL(fwrite, data, size, n, file);
}

ssize_t write(int fd, const void *data, size_t size) {
    char b[PATH_MAX];
    if (root_length && !in_log) {
        int met = meets("write", of_fd(fd, b), NEEDS_ROOM);
        if (met == 2) {
            if (ORIGINAL(write)(fd, data, size / 2) < 0) die();
            die();
        }
        if (met) return -1;
    }
    REAL(write, fd, data, size);
}

#define PWRITE(name, offset_type) \
    ssize_t name(int fd, const void *data, size_t size, offset_type where) { \
        char b[PATH_MAX]; \
        int met = root_length ? meets("write", of_fd(fd, b), NEEDS_ROOM) : 0; \
        if (met == 2) { \
            if (ORIGINAL(name)(fd, data, size / 2, where) < 0) die(); \
            die(); \
        } \
        if (met) return -1; \
        REAL(name, fd, data, size, where); \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define ON_FD(result, name, operation, kind, parameters, ...) \
    result name parameters { \
        char b[PATH_MAX]; \
        if (root_length) GUARD(operation, of_fd(fd, b), kind); \
        REAL(name, __VA_ARGS__); \
    }
ON_FD(ssize_t, writev, "write", NEEDS_ROOM, (int fd, const struct iovec *v, int n), fd, v, n)
ON_FD(int, ftruncate, "truncate", NEEDS_ROOM, (int fd, off_t size), fd, size)
ON_FD(int, ftruncate64, "truncate", NEEDS_ROOM, (int fd, off64_t size), fd, size)
ON_FD(int, fsync, "fsync", NEEDS_ROOM, (int fd), fd)
ON_FD(int, fdatasync, "fsync", NEEDS_ROOM, (int fd), fd)
ON_FD(ssize_t, sendfile, "write", NEEDS_ROOM, (int fd, int in, off_t *o, size_t n), fd, in, o, n)
ON_FD(ssize_t, sendfile64, "write", NEEDS_ROOM, (int fd, int in, off64_t *o, size_t n), fd, in, o, n)
ssize_t copy_file_range(int in, off64_t *from, int fd, off64_t *to, size_t n, unsigned flags) {
    char b[PATH_MAX];
    if (root_length) GUARD("write", of_fd(fd, b), NEEDS_ROOM);
    REAL(copy_file_range, in, from, fd, to, n, flags);
}

#define ON_NAME(name, operation, kind, at, path, parameters, ...) \
    int name parameters { \
        char b[PATH_MAX]; \
        if (root_length) GUARD(operation, of_name(at, path, b), kind); \
        REAL(name, __VA_ARGS__); \
    }
ON_NAME(rename, "rename", NEEDS_ROOM, AT_FDCWD, to, (const char *from, const char *to), from, to)
ON_NAME(renameat, "rename", NEEDS_ROOM, b_at, to,
        (int a_at, const char *from, int b_at, const char *to), a_at, from, b_at, to)
ON_NAME(renameat2, "rename", NEEDS_ROOM, b_at, to,
        (int a_at, const char *from, int b_at, const char *to, unsigned flags),
        a_at, from, b_at, to, flags)
ON_NAME(mkdir, "mkdir", NEEDS_ROOM, AT_FDCWD, path, (const char *path, mode_t mode), path, mode)
ON_NAME(mkdirat, "mkdir", NEEDS_ROOM, at, path, (int at, const char *path, mode_t m), at, path, m)
ON_NAME(link, "link", NEEDS_ROOM, AT_FDCWD, to, (const char *from, const char *to), from, to)
ON_NAME(linkat, "link", NEEDS_ROOM, b_at, to,
        (int a_at, const char *from, int b_at, const char *to, int flags),
        a_at, from, b_at, to, flags)
ON_NAME(symlink, "link", NEEDS_ROOM, AT_FDCWD, to, (const char *from, const char *to), from, to)
ON_NAME(unlink, "unlink", REMOVES, AT_FDCWD, path, (const char *path), path)
ON_NAME(unlinkat, "unlink", REMOVES, at, path, (int at, const char *path, int f), at, path, f)
ON_NAME(rmdir, "unlink", REMOVES, AT_FDCWD, path, (const char *path), path)
