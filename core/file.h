/* Small files, read and written whole: configurations, secrets, keys, what a process leaves to the next.
 *
 * Flow:   a path -> file_read -> struct buf; bytes -> file_replace -> a path.
 * Thread: any; may wait for the disk, so never the broker's loop.
 * Owns:   nothing; the bytes are the caller's buf's. */
#ifndef PARLOR_CORE_FILE_H
#define PARLOR_CORE_FILE_H

#include "core/buf.h"
#include "core/error.h"

/* Appends the file's bytes to out. 0, or -1 with NOT_FOUND `no_file`, DENIED `no_access`, LIMIT
 * `file_too_large` when it has more than size_max bytes, INVALID `no_file` when it is no regular file or
 * pipe, or UNAVAILABLE `no_file` when it is a pipe from which nothing comes for two seconds; the text names
 * the path. */
int file_read(const char *path, size_t size_max, struct buf *out, struct error *e);

/* Puts the bytes in the place of the file, at once and readable by the owner alone: a new file `path.new` in
 * the same folder is renamed. It is not forced to the disk. 0, or -1 with UNAVAILABLE `no_write`, the text
 * naming the path; the old file is untouched then. */
int file_replace(const char *path, const void *bytes, size_t size, struct error *e);

#endif
