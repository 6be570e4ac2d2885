/* A reset holds a mirror of its own, made on the follower's thread: the owner swaps it in, and what it had
 * before goes back with the batch, to be freed on the follower's thread too. */
#include "core/memberlog_batch.h"

#include "core/clock.h"

#include <stdlib.h>
#include <string.h>

struct record {
    struct uuid room;
    int64_t history_seq;
    uint8_t type, role, user_size;
};

struct memberlog_batch *batch_create(bool reset)
{
    struct memberlog_batch *b = mem_zalloc(1, sizeof(*b));
    b->loaded = reset ? members_create() : NULL;
    b->read_ns = clock_mono_ns();
    return b;
}

void memberlog_batch_destroy(struct memberlog_batch **batch)
{
    if (batch != NULL && *batch != NULL) {
        members_destroy(&(*batch)->loaded);
        buf_finish(&(*batch)->records);
        buf_finish(&(*batch)->events);
        free(*batch);
        *batch = NULL;
    }
}

bool batch_add(struct memberlog_batch *b, const struct uuid *room, const char *type, const char *user,
               size_t user_size, const char *role, int64_t history_seq)
{
    enum room_type room_type;
    enum member_role member_role = MEMBER_NONE;
    if (!room_type_parse(type, &room_type) || user_size > USER_ID_MAX ||
        (role != NULL && !member_role_parse(role, &member_role))) {
        return false;
    }
    b->count++;
    if (b->loaded != NULL) {
        members_apply(b->loaded, room, room_type, user, user_size, member_role);
        if (history_seq > 0) {
            members_set_history(b->loaded, room, user, user_size, history_seq);
        }
        return true;
    }
    struct record r = {.room = *room,
                       .history_seq = history_seq,
                       .type = (uint8_t)room_type,
                       .role = (uint8_t)member_role,
                       .user_size = (uint8_t)user_size};
    buf_put(&b->records, &r, sizeof(r));
    buf_put(&b->records, user, user_size);
    return true;
}

bool memberlog_batch_is_reset(const struct memberlog_batch *batch)
{
    return batch->loaded != NULL;
}

int64_t memberlog_batch_version(const struct memberlog_batch *batch)
{
    return batch->version;
}

static void apply_changes(const struct memberlog_batch *batch, struct members *members,
                          memberlog_change_fn on_change, void *context)
{
    const char *at = batch->records.data;
    for (size_t i = 0; i < batch->count; i++) {
        struct record r;
        memcpy(&r, at, sizeof(r));
        const char *user = at + sizeof(r);
        at = user + r.user_size;
        if (on_change != NULL) {
            on_change(context, &r.room, (enum room_type)r.type, user, r.user_size, (enum member_role)r.role);
        }
        members_apply(members, &r.room, (enum room_type)r.type, user, r.user_size, (enum member_role)r.role);
        members_set_history(members, &r.room, user, r.user_size, r.history_seq);
    }
}

void memberlog_apply(struct memberlog_batch *batch, struct members *members, memberlog_change_fn on_change,
                     void *context)
{
    if (batch->loaded != NULL) {
        members_swap(members, batch->loaded);
    } else {
        apply_changes(batch, members, on_change, context);
    }
    members_set_version(members, batch->version, batch->read_ns);
}

void memberlog_each_event(const struct memberlog_batch *batch, memberlog_event_fn fn, void *context)
{
    const char *at = batch->events.data;
    for (size_t i = 0; i < batch->event_count; i++) {
        struct batch_event head;
        memcpy(&head, at, sizeof(head));
        const char *user = at + sizeof(head);
        const char *payload = user + head.user_size + 1;
        at = payload + head.payload_size + 1;
        struct memberlog_event event = {.id = head.id,
                                        .version = head.version,
                                        .room = head.room,
                                        .user = user,
                                        .messages = head.messages,
                                        .payload = payload,
                                        .payload_size = head.payload_size};
        fn(context, &event);
    }
}
