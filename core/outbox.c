#include "core/outbox.h"

#include "core/clock.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define READ_MAX          500 /* events in one read; more come with the next, at once */
#define READ_MAX_TEXT     "500"
#define CLEAN_INTERVAL_NS INT64_C(1000000000)

struct outbox {
    struct buf waiting; /* as the events of a batch */
    int64_t read;       /* id of the last one read */
    int64_t deletable, deleted, cleaned_ns;
    pthread_mutex_t lock; /* of the two below */
    int64_t published;
    unsigned generation; /* rises when ids begin anew */
};

struct outbox *outbox_create(void)
{
    struct outbox *o = mem_zalloc(1, sizeof(*o));
    pthread_mutex_init(&o->lock, NULL);
    return o;
}

void outbox_destroy(struct outbox **o)
{
    if (o != NULL && *o != NULL) {
        pthread_mutex_destroy(&(*o)->lock);
        buf_finish(&(*o)->waiting);
        free(*o);
        *o = NULL;
    }
}

enum event_column { EVENT_ID, EVENT_VERSION, EVENT_ROOM, EVENT_USER, EVENT_TOPIC, EVENT_PAYLOAD };

static int add_event(struct outbox *o, const PGresult *r, int row, struct error *e)
{
    struct batch_event event = {.id = strtoll(PQgetvalue(r, row, EVENT_ID), NULL, 10),
                                .version = strtoll(PQgetvalue(r, row, EVENT_VERSION), NULL, 10),
                                .payload_size = (uint32_t)PQgetlength(r, row, EVENT_PAYLOAD),
                                .user_size = (uint8_t)PQgetlength(r, row, EVENT_USER),
                                .messages = strcmp(PQgetvalue(r, row, EVENT_TOPIC), "messages") == 0};
    bool has_room = !PQgetisnull(r, row, EVENT_ROOM);
    if (PQgetlength(r, row, EVENT_USER) > USER_ID_MAX || (!has_room && event.user_size == 0) ||
        (has_room && !uuid_parse(PQgetvalue(r, row, EVENT_ROOM), UUID_TEXT_SIZE - 1, &event.room))) {
        return error_set(e, ERROR_INTERNAL, "internal", "event %lld of the outbox is malformed",
                         (long long)event.id);
    }
    buf_put(&o->waiting, &event, sizeof(event));
    buf_put(&o->waiting, PQgetvalue(r, row, EVENT_USER), event.user_size + 1U);
    buf_put(&o->waiting, PQgetvalue(r, row, EVENT_PAYLOAD), event.payload_size + 1U);
    o->read = event.id;
    return 0;
}

int outbox_read(struct outbox *o, PGconn *conn, int64_t timeout_ms, struct error *e)
{
    struct buf after = {0};
    buf_printf(&after, "%lld", (long long)o->read);
    const char *const values[] = {after.data};
    PGresult *r = db_exec(conn,
                          "select id, version, room_id, user_id, topic, payload from event_outbox "
                          "where id > $1::bigint order by id limit " READ_MAX_TEXT,
                          1, values, timeout_ms, e);
    buf_finish(&after);
    int ok = r == NULL ? -1 : PQntuples(r) == READ_MAX;
    for (int i = 0; ok >= 0 && i < PQntuples(r); i++) {
        if (add_event(o, r, i, e) != 0) {
            ok = -1;
        }
    }
    PQclear(r);
    return ok;
}

/* Versions rise with the ids, so what may be told comes first. */
void outbox_give(struct outbox *o, struct memberlog_batch *batch)
{
    size_t size = 0;
    while (size < o->waiting.size) {
        struct batch_event event;
        memcpy(&event, o->waiting.data + size, sizeof(event));
        if (event.version > batch->version) {
            break;
        }
        size += sizeof(event) + event.user_size + event.payload_size + 2U;
        batch->last_event = event.id;
        batch->event_count++;
    }
    if (size == 0) {
        return;
    }
    struct buf rest = {0};
    buf_put(&rest, o->waiting.data + size, o->waiting.size - size);
    o->waiting.size = size;
    batch->events = o->waiting;
    batch->generation = o->generation; /* written by this thread alone */
    o->waiting = rest;
}

void outbox_published(struct outbox *o, const struct memberlog_batch *batch)
{
    pthread_mutex_lock(&o->lock);
    if (batch->generation == o->generation && batch->last_event > o->published) {
        o->published = batch->last_event;
    }
    pthread_mutex_unlock(&o->lock);
}

static int64_t published_now(struct outbox *o)
{
    pthread_mutex_lock(&o->lock);
    int64_t id = o->published;
    pthread_mutex_unlock(&o->lock);
    return id;
}

int outbox_clean(struct outbox *o, PGconn *conn, int64_t timeout_ms, struct error *e)
{
    int64_t now_ns = clock_mono_ns(), to = o->deletable;
    if (now_ns - o->cleaned_ns < CLEAN_INTERVAL_NS) {
        return 0;
    }
    o->cleaned_ns = now_ns;
    o->deletable = published_now(o);
    if (to == o->deleted) {
        return 0;
    }
    struct buf from_text = {0}, to_text = {0};
    buf_printf(&from_text, "%lld", (long long)o->deleted);
    buf_printf(&to_text, "%lld", (long long)to);
    const char *const values[] = {from_text.data, to_text.data};
    PGresult *r = db_exec(conn, "delete from event_outbox where id > $1::bigint and id <= $2::bigint", 2,
                          values, timeout_ms, e);
    buf_finish(&from_text);
    buf_finish(&to_text);
    PQclear(r);
    if (r == NULL) {
        return -1;
    }
    o->deleted = to;
    return 0;
}

void outbox_forget(struct outbox *o)
{
    buf_clear(&o->waiting);
    o->read = o->deletable = o->deleted = 0;
    pthread_mutex_lock(&o->lock);
    o->published = 0;
    o->generation++;
    pthread_mutex_unlock(&o->lock);
}
