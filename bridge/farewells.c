#include "bridge/farewells.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct farewell {
    struct farewell *newer;
    struct deadline deadline;
    struct buf words;
    char id[];
};

struct farewells {
    struct deadlines *deadlines;
    struct farewell *oldest;
    size_t id_size, count, bytes;
};

static void drop(struct farewells *f, struct farewell **place)
{
    struct farewell *one = *place;

    *place = one->newer;
    f->count--;
    f->bytes -= one->words.size;
    deadlines_clear(f->deadlines, &one->deadline);
    buf_finish(&one->words);
    free(one);
}

static void on_old(void *context, struct deadline *deadline)
{
    struct farewells *f = context;
    struct farewell **place = &f->oldest;

    while (&(*place)->deadline != deadline)
        place = &(*place)->newer;
    drop(f, place);
}

struct farewells *farewells_create(struct clock_port *clock, size_t id_size)
{
    struct farewells *f = mem_zalloc(1, sizeof *f);

    f->deadlines = deadlines_create(clock, on_old, f);
    f->id_size = id_size;
    return f;
}

void farewells_destroy(struct farewells **farewells)
{
    struct farewells *f = *farewells;

    if (f == NULL)
        return;
    while (f->oldest != NULL)
        drop(f, &f->oldest);
    deadlines_destroy(&f->deadlines);
    free(f);
    *farewells = NULL;
}

void farewells_keep(struct farewells *f, const char *id, struct buf *words)
{
    struct farewell *one, **place = &f->oldest;

    if (words->size > FAREWELLS_BYTES_MAX) {
        buf_finish(words);
        return;
    }
    while (f->count == FAREWELLS_MAX || f->bytes + words->size > FAREWELLS_BYTES_MAX)
        drop(f, &f->oldest);
    one = mem_zalloc(1, sizeof *one + f->id_size);
    memcpy(one->id, id, f->id_size);
    one->words = *words;
    *words = (struct buf){0};
    while (*place != NULL)
        place = &(*place)->newer;
    *place = one;
    f->count++;
    f->bytes += one->words.size;
    deadlines_set(f->deadlines, &one->deadline, FAREWELL_MS);
}

bool farewells_take(struct farewells *f, const char *id, size_t size, struct buf *out)
{
    for (struct farewell **place = &f->oldest; size == f->id_size && *place != NULL;
         place = &(*place)->newer) {
        if (memcmp((*place)->id, id, size) != 0)
            continue;
        f->bytes -= (*place)->words.size;
        *out = (*place)->words;
        (*place)->words = (struct buf){0};
        drop(f, place);
        return true;
    }
    return false;
}
