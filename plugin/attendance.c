#include "plugin/attendance.h"

#include "core/buf.h"
#include "core/clock.h"
#include "core/ids.h"
#include "core/table.h"
#include "plugin/store_attendance.h"

#include <stdlib.h>
#include <string.h>

#define NS_PER_MS INT64_C(1000000)
#define RETRY_MS  1000

struct change {
    struct table_link link;
    bool online;
    int64_t since_ms;
    size_t size;
    char user[];
};

struct attendance {
    struct table changes;
    struct change *taken[ATTENDANCE_ROWS_MAX]; /* of the statement that is being made */
    struct store_attendee rows[ATTENDANCE_ROWS_MAX];
    int64_t due_ns, stored_ns;
    bool began; /* the rows of an earlier run were set offline */
};

struct attendance *attendance_create(void)
{
    return mem_zalloc(1, sizeof(struct attendance));
}

void attendance_destroy(struct attendance **attendance)
{
    if (attendance == NULL || *attendance == NULL)
        return;
    struct attendance *a = *attendance;
    struct table_link *link;
    while ((link = table_take(&a->changes)) != NULL)
        free(table_entry(link, struct change, link));
    table_finish(&a->changes);
    free(a);
    *attendance = NULL;
}

static struct change *change_find(const struct attendance *a, const char *user, size_t size)
{
    struct table_link *link = table_first(&a->changes, bytes_hash(user, size));
    for (; link != NULL; link = table_next(link)) {
        struct change *change = table_entry(link, struct change, link);
        if (change->size == size && memcmp(change->user, user, size) == 0)
            return change;
    }
    return NULL;
}

void attendance_note(struct attendance *a, const char *user, bool online, int64_t since_ms)
{
    size_t size = strlen(user);
    struct change *change = change_find(a, user, size);
    if (change == NULL) {
        change = mem_zalloc(1, sizeof *change + size + 1);
        change->size = size;
        memcpy(change->user, user, size);
        table_put(&a->changes, &change->link, bytes_hash(user, size));
    }
    change->online = online;
    change->since_ms = since_ms;
    if (a->due_ns == INT64_MAX)
        a->due_ns = a->stored_ns + ATTENDANCE_DELAY_MS * NS_PER_MS;
}

int64_t attendance_due_ns(const struct attendance *a)
{
    return a->due_ns;
}

static int compare(const void *left, const void *right)
{
    return strcmp((*(struct change *const *)left)->user, (*(struct change *const *)right)->user);
}

/* Rows in the order of their keys, so that two writers never wait for each other. */
static size_t take(struct attendance *a)
{
    size_t count = 0;
    for (size_t i = 0; i < a->changes.slot_count; i++)
        for (struct table_link *link = a->changes.slots[i]; link != NULL && count < ATTENDANCE_ROWS_MAX;
             link = link->next)
            a->taken[count++] = table_entry(link, struct change, link);
    qsort(a->taken, count, sizeof a->taken[0], compare);
    return count;
}

static int store_some(struct attendance *a, struct store *store, int64_t deadline_ns, struct error *e)
{
    size_t count = take(a);
    for (size_t i = 0; i < count; i++)
        a->rows[i] = (struct store_attendee){a->taken[i]->user, a->taken[i]->online, a->taken[i]->since_ms};
    if (store_attendance(store, a->rows, count, deadline_ns, e) != 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        table_remove(&a->changes, &a->taken[i]->link);
        free(a->taken[i]);
    }
    return 0;
}

int attendance_store(struct attendance *a, struct store *store, int64_t deadline_ns, struct error *e)
{
    if (!a->began)
        a->began = store_nobody(store, deadline_ns, e) == 0;
    bool ok = a->began;
    while (ok && a->changes.count > 0)
        ok = store_some(a, store, deadline_ns, e) == 0;
    a->stored_ns = clock_mono_ns();
    a->due_ns = ok ? INT64_MAX : a->stored_ns + RETRY_MS * NS_PER_MS;
    return ok ? 0 : -1;
}
