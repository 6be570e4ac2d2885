#include "core/shared.h"

#include "core/buf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct shared *shared_make(const void *bytes, size_t size)
{
    struct shared *s = mem_alloc(sizeof *s + size);
    s->holders = 1;
    s->size = size;
    if (bytes != NULL && size != 0)
        memcpy(s->data, bytes, size);
    return s;
}

struct shared *shared_hold(struct shared *s)
{
    assert(s->holders != 0);
    s->holders++;
    return s;
}

void shared_drop(struct shared *s)
{
    if (s == NULL)
        return;
    assert(s->holders != 0);
    if (--s->holders == 0)
        free(s);
}
