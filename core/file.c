#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_SIZE       4096
#define PIPE_TIMEOUT_MS 2000

static int open_error(const char *path, struct error *e)
{
    int why = errno;
    enum error_code code = why == ENOENT || why == ENOTDIR ? ERROR_NOT_FOUND
                           : why == EACCES || why == EPERM ? ERROR_DENIED
                                                           : ERROR_UNAVAILABLE;
    return error_set(e, code, code == ERROR_DENIED ? "no_access" : "no_file", "cannot read %s: %s", path,
                     strerror(why));
}

/* A file is ready at once; a pipe may have nobody who writes. */
static bool wait_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int ready;
    do
        ready = poll(&p, 1, PIPE_TIMEOUT_MS);
    while (ready < 0 && errno == EINTR);
    return ready != 0;
}

static int read_all(int fd, const char *path, size_t size_max, struct buf *out, struct error *e)
{
    size_t before = out->size;
    for (;;) {
        buf_reserve(out, READ_SIZE);
        if (!wait_readable(fd))
            return error_set(e, ERROR_UNAVAILABLE, "no_file",
                             "cannot read %s: it is a pipe, and nothing came in %d ms", path,
                             PIPE_TIMEOUT_MS);
        ssize_t got = read(fd, out->data + out->size, READ_SIZE);
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (got < 0)
            return open_error(path, e);
        if (got == 0)
            return 0;
        out->size += (size_t)got;
        out->data[out->size] = '\0';
        if (out->size - before > size_max)
            return error_set(e, ERROR_LIMIT, "file_too_large", "%s has more than %zu bytes", path, size_max);
    }
}

int file_read(const char *path, size_t size_max, struct buf *out, struct error *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return open_error(path, e);
    struct stat facts;
    int result;
    if (fstat(fd, &facts) != 0)
        result = open_error(path, e);
    else if (!S_ISREG(facts.st_mode) && !S_ISFIFO(facts.st_mode))
        result = error_set(e, ERROR_INVALID, "no_file", "cannot read %s: it is no file", path);
    else
        result = read_all(fd, path, size_max, out, e);
    close(fd);
    return result;
}

static bool write_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t put = write(fd, bytes, size);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        bytes += put;
        size -= (size_t)put;
    }
    return true;
}

int file_replace(const char *path, const void *bytes, size_t size, struct error *e)
{
    struct buf name = {0};
    buf_printf(&name, "%s.new", path);
    unlink(name.data); /* of a process that was killed */
    int fd = open(name.data, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
    bool ok = fd >= 0 && write_all(fd, bytes, size);
    int why = errno;
    if (fd >= 0 && close(fd) != 0 && ok) {
        ok = false;
        why = errno;
    }
    if (ok && rename(name.data, path) != 0) {
        ok = false;
        why = errno;
    }
    if (!ok && fd >= 0)
        unlink(name.data);
    buf_finish(&name);
    if (ok)
        return 0;
    return error_set(e, ERROR_UNAVAILABLE, "no_write", "cannot write %s: %s", path, strerror(why));
}
