/* A growing run of bytes, always followed by a zero byte, for building JSON, frames and texts.
 *
 * Thread: belongs to one thread at a time.
 * Owns:   its bytes, until buf_finish or buf_take. Running out of memory ends the process: a service that
 *         cannot get a few kilobytes can keep no promise. */
#ifndef PARLOR_CORE_BUF_H
#define PARLOR_CORE_BUF_H

#include <stddef.h>

struct buf {
    char *data; /* NULL while empty and never used */
    size_t size, capacity;
};

/* A zeroed struct buf is ready for use. */
void buf_finish(struct buf *b);                              /* frees the bytes; NULL is fine */
void buf_clear(struct buf *b);                               /* size 0, keeps the memory */
void buf_reserve(struct buf *b, size_t more);                /* room for `more` bytes beyond size */
void buf_put(struct buf *b, const void *bytes, size_t size); /* not b's own */
void buf_put_text(struct buf *b, const char *text);          /* without its zero byte */
void buf_put_byte(struct buf *b, unsigned char byte);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The bytes, malloc'd, now the caller's; b is empty again. size_out may be NULL. */
char *buf_take(struct buf *b, size_t *size_out);

/* malloc, calloc, realloc and strdup that never return NULL: they log and abort. */
void *mem_alloc(size_t size);
void *mem_zalloc(size_t count, size_t size);
void *mem_realloc(void *p, size_t size);
char *mem_dup(const void *bytes, size_t size); /* a copy with a zero byte behind it */
char *mem_strdup(const char *text);

#endif
