#include "core/buf.h"

#include "core/log.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_MIN 64

static void out_of_memory(size_t size)
{
    log_error("memory", "out of memory, ending bytes=%zu", size);
    abort();
}

void *mem_alloc(size_t size)
{
    void *p = malloc(size != 0 ? size : 1);
    if (p == NULL)
        out_of_memory(size);
    return p;
}

void *mem_zalloc(size_t count, size_t size)
{
    void *p = calloc(count != 0 ? count : 1, size != 0 ? size : 1);
    if (p == NULL)
        out_of_memory(count * size);
    return p;
}

void *mem_realloc(void *p, size_t size)
{
    void *grown = realloc(p, size != 0 ? size : 1);
    if (grown == NULL)
        out_of_memory(size);
    return grown;
}

char *mem_dup(const void *bytes, size_t size)
{
    char *copy = mem_alloc(size + 1);
    if (size != 0)
        memcpy(copy, bytes, size);
    copy[size] = '\0';
    return copy;
}

char *mem_strdup(const char *text)
{
    return mem_dup(text, strlen(text));
}

void buf_finish(struct buf *b)
{
    if (b == NULL)
        return;
    free(b->data);
    *b = (struct buf){0};
}

void buf_clear(struct buf *b)
{
    b->size = 0;
    if (b->data != NULL)
        b->data[0] = '\0';
}

void buf_reserve(struct buf *b, size_t more)
{
    if (more >= SIZE_MAX / 2 - b->size)
        out_of_memory(more);
    size_t need = b->size + more + 1;
    if (need <= b->capacity)
        return;
    size_t capacity = b->capacity != 0 ? b->capacity : CAPACITY_MIN;
    while (capacity < need)
        capacity *= 2;
    b->data = mem_realloc(b->data, capacity);
    b->capacity = capacity;
    b->data[b->size] = '\0';
}

void buf_put(struct buf *b, const void *bytes, size_t size)
{
    buf_reserve(b, size);
    if (size != 0)
        memcpy(b->data + b->size, bytes, size);
    b->size += size;
    b->data[b->size] = '\0';
}

void buf_put_text(struct buf *b, const char *text)
{
    buf_put(b, text, strlen(text));
}

void buf_put_byte(struct buf *b, unsigned char byte)
{
    buf_reserve(b, 1);
    b->data[b->size++] = (char)byte;
    b->data[b->size] = '\0';
}

void buf_printf(struct buf *b, const char *format, ...)
{
    buf_reserve(b, CAPACITY_MIN);
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int size = vsnprintf(b->data + b->size, b->capacity - b->size, format, args);
    va_end(args);
    if (size > 0 && (size_t)size >= b->capacity - b->size) {
        buf_reserve(b, (size_t)size);
        size = vsnprintf(b->data + b->size, b->capacity - b->size, format, again);
    }
    va_end(again);
    if (size > 0)
        b->size += (size_t)size;
    b->data[b->size] = '\0';
}

char *buf_take(struct buf *b, size_t *size_out)
{
    buf_reserve(b, 0);
    char *data = b->data;
    if (size_out != NULL)
        *size_out = b->size;
    *b = (struct buf){0};
    return data;
}
