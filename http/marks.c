/* A mark goes the way of every other door's: by the broker to the plugin's writer, which alone moves
 * watermarks. */
#include "http/marks.h"

#include "core/queries.h"
#include "http/messages.h"
#include "http/rooms.h"

#include <stdio.h>
#include <string.h>

#define PAYLOAD_SIZE 96
#define SEQ_END      9007199254740991 /* past every message: clamped to the newest */

static void on_marked(struct exchange *x, const struct broker_answer *answer)
{
    if (answer->stored)
        exchange_json(x, 200, answer->message, answer->message_size);
    else
        exchange_refuse(x, &answer->error);
}

static void mark(struct exchange *x, const struct uuid *room, const char *payload)
{
    struct broker_send send = {
        .user = x->who.user, .room = *room, .payload = payload, .payload_size = strlen(payload)};
    exchange_mark(x, &send, on_marked);
}

static void mark_seq(struct exchange *x, const struct uuid *room, int64_t seq)
{
    char payload[PAYLOAD_SIZE];
    snprintf(payload, sizeof payload, "{\"seq\":%lld}", (long long)seq);
    mark(x, room, payload);
}

static void mark_id(struct exchange *x, const struct uuid *message)
{
    char payload[PAYLOAD_SIZE], id[UUID_TEXT_SIZE];
    uuid_format(message, id);
    snprintf(payload, sizeof payload, "{\"messageId\":\"%s\"}", id);
    mark(x, &x->id, payload);
}

static bool is_given(const struct json *value)
{
    return json_kind(value) != JSON_ABSENT && json_kind(value) != JSON_NULL;
}

void marks_room(struct exchange *x)
{
    int64_t seq = SEQ_END;
    struct uuid message;
    exchange_id(x, 0, "id");
    /* No body marks all; what is there must be right. */
    if (x->request->body_size > 0 && !exchange_body(x))
        return;
    const struct json *seq_value = json_get(x->tree, "seq");
    const struct json *id_value = json_get(x->tree, "messageId");
    const char *id = json_string(id_value);
    if (is_given(seq_value) && !json_seq(seq_value, &seq))
        problems_add(&x->problems, "seq must be a whole number from 0");
    if (is_given(id_value) && (id == NULL || !uuid_parse(id, strlen(id), &message)))
        problems_add(&x->problems, "messageId must be the id of a message");
    if (is_given(seq_value) && is_given(id_value))
        problems_add(&x->problems, "seq and messageId must not be given together");
    if (exchange_refuse_problems(x) || !rooms_admit(x, OPERATION_READ))
        return;
    if (is_given(id_value))
        mark_id(x, &message);
    else
        mark_seq(x, &x->id, seq);
}

static void on_facts(struct exchange *x, const struct db_answer *answer)
{
    struct message_facts m;
    if (messages_facts(x, answer, &m))
        mark_seq(x, &m.room, m.seq);
}

void marks_message(struct exchange *x)
{
    exchange_id(x, 0, "id");
    if (!exchange_refuse_problems(x))
        messages_find(x, on_facts);
}
