/* A draft names all that is wrong with it at once, so that whoever wrote the client fixes it once. What goes
 * on is printed again from checked values, never copied from the client's bytes. */
#include "core/message.h"

#include "core/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- Drafts ---- */

/* Sentences about wrong fields, as they come, joined by "; ". */
struct faults {
    char text[ERROR_TEXT_MAX];
    size_t size;
    bool too_large;
};

__attribute__((format(printf, 2, 3))) static void add_fault(struct faults *f, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (f->size > 0 && f->size + 2 < sizeof(f->text)) {
        memcpy(f->text + f->size, "; ", 3);
        f->size += 2;
    }
    int size = vsnprintf(f->text + f->size, sizeof(f->text) - f->size, format, arguments);
    va_end(arguments);
    f->size += size > 0 ? (size_t)size : 0;
    if (f->size >= sizeof(f->text))
        f->size = sizeof(f->text) - 1;
}

/* The member, or NULL when it is absent or null. */
static const struct json *member(const struct json *object, const char *name)
{
    const struct json *value = json_get(object, name);
    return json_kind(value) == JSON_NULL ? NULL : value;
}

static void read_client_id(struct draft *d, struct faults *f)
{
    const struct json *value = member(d->tree, "clientMessageId");
    if (value == NULL)
        return;
    const char *text = json_string(value);
    size_t size = text != NULL ? strlen(text) : 0;
    if (text != NULL && client_message_id_valid(text, size))
        memcpy(d->client_message_id, text, size + 1);
    else
        add_fault(f, "clientMessageId must be a string of 1 to %d bytes without control characters",
                  CLIENT_MESSAGE_ID_MAX);
}

static void read_content(struct draft *d, const struct config *config, struct faults *f)
{
    const struct json *value = member(d->tree, "content");
    if (value == NULL)
        return;
    const char *text = json_string(value);
    size_t size = text != NULL ? strlen(text) : 0;
    if (text == NULL || size > (size_t)config->content_bytes_max) {
        f->too_large = text != NULL;
        add_fault(f, "content must be a string of at most %lld bytes", (long long)config->content_bytes_max);
    } else if (size > 0) {
        d->content = text;
        d->content_size = size;
    }
}

/* True when an earlier element of the array is the same string. */
static bool seen_before(const struct json *array, const struct json *value)
{
    for (const struct json *at = json_first(array); at != value; at = json_next(at))
        if (strcmp(json_string(at), json_string(value)) == 0)
            return true;
    return false;
}

static bool is_array_of(const struct json *value, size_t count_max,
                        bool (*fits)(const char *text, size_t size))
{
    if (json_kind(value) != JSON_ARRAY || json_count(value) > count_max)
        return false;
    for (const struct json *at = json_first(value); at != NULL; at = json_next(at)) {
        const char *text = json_string(at);
        if (text == NULL || !fits(text, strlen(text)))
            return false;
    }
    return true;
}

static void read_mentions(struct draft *d, struct faults *f)
{
    const struct json *value = member(d->tree, "mentions");
    buf_put_byte(&d->mentions, '[');
    if (value != NULL && !is_array_of(value, MENTIONS_MAX, user_id_valid)) {
        add_fault(f, "mentions must be an array of at most %d user ids", MENTIONS_MAX);
        value = NULL;
    }
    for (const struct json *at = json_first(value); at != NULL; at = json_next(at)) {
        if (seen_before(value, at))
            continue;
        if (d->mentions.size > 1)
            buf_put_byte(&d->mentions, ',');
        json_put_text(&d->mentions, json_string(at));
    }
    buf_put_byte(&d->mentions, ']');
}

static bool is_uuid(const char *text, size_t size)
{
    struct uuid id;
    return uuid_parse(text, size, &id);
}

static void read_reply(struct draft *d, struct faults *f)
{
    const struct json *value = member(d->tree, "replyToId");
    if (value == NULL)
        return;
    const char *text = json_string(value);
    d->has_reply = text != NULL && uuid_parse(text, strlen(text), &d->reply_to);
    if (!d->has_reply)
        add_fault(f, "replyToId must be the id of a message");
}

static void read_attachments(struct draft *d, struct faults *f)
{
    const struct json *value = member(d->tree, "attachmentIds");
    struct uuid ids[ATTACHMENTS_MAX];
    buf_put_byte(&d->attachments, '[');
    if (value != NULL && !is_array_of(value, ATTACHMENTS_MAX, is_uuid)) {
        add_fault(f, "attachmentIds must be an array of at most %d ids of attachments", ATTACHMENTS_MAX);
        value = NULL;
    }
    for (const struct json *at = json_first(value); at != NULL; at = json_next(at)) {
        struct uuid *id = &ids[d->attachment_count];
        const char *text = json_string(at);
        bool known = !uuid_parse(text, strlen(text), id);
        for (unsigned i = 0; i < d->attachment_count; i++)
            known = known || uuid_equal(&ids[i], id);
        if (known)
            continue;
        char canonical[UUID_TEXT_SIZE];
        uuid_format(id, canonical);
        if (d->attachment_count++ > 0)
            buf_put_byte(&d->attachments, ',');
        json_put_text(&d->attachments, canonical);
    }
    buf_put_byte(&d->attachments, ']');
}

static void read_type(struct draft *d, struct faults *f)
{
    const struct json *value = member(d->tree, "type");
    const char *text = json_string(value);
    d->type = d->attachment_count > 0 ? "media" : "text";
    if (value == NULL)
        return;
    if (text != NULL && strcmp(text, "text") == 0)
        d->type = "text";
    else if (text != NULL && strcmp(text, "media") == 0)
        d->type = "media";
    else
        add_fault(f, "type must be \"text\" or \"media\"");
}

/* FNV-1a: it is stored and compared by other machines, so it must never change; it guards against mistakes,
 * not against malice (who resends under the same id only cheats itself). */
static uint64_t hash_more(uint64_t hash, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ at[i]) * 0x100000001b3U;
    return hash;
}

/* Each part with the byte behind it that no part contains, so that no two bodies run into the same bytes. */
static int64_t hash_body(const struct draft *d)
{
    uint64_t hash = 0xcbf29ce484222325U;
    hash = hash_more(hash, d->type, strlen(d->type) + 1);
    if (d->content != NULL)
        hash = hash_more(hash, d->content, d->content_size);
    hash = hash_more(hash, d->has_reply ? "\0r" : "\0-", 2);
    if (d->has_reply)
        hash = hash_more(hash, d->reply_to.bytes, sizeof(d->reply_to.bytes));
    hash = hash_more(hash, d->mentions.data, d->mentions.size);
    hash = hash_more(hash, d->attachments.data, d->attachments.size);
    return (int64_t)hash;
}

static void read_fields(struct draft *d, const struct config *config, struct faults *f)
{
    read_client_id(d, f);
    read_content(d, config, f);
    read_mentions(d, f);
    read_reply(d, f);
    read_attachments(d, f);
    read_type(d, f);
    if (f->size > 0)
        return;
    if (d->content == NULL && d->attachment_count == 0)
        add_fault(f, "content or attachmentIds must not be empty");
    else if (d->attachment_count == 0 && strcmp(d->type, "media") == 0)
        add_fault(f, "attachmentIds must not be empty when type is \"media\"");
}

int draft_parse(const char *payload, size_t size, const struct config *config, struct draft *out,
                struct error *e)
{
    *out = (struct draft){.type = "text"};
    out->tree = json_parse(payload, size, e);
    if (out->tree == NULL)
        return -1;
    if (json_kind(out->tree) != JSON_OBJECT)
        return error_set(e, ERROR_INVALID, "invalid_message", "the message must be a JSON object");
    struct faults faults = {.size = 0};
    read_fields(out, config, &faults);
    if (faults.size > 0) {
        bool only_large = faults.too_large && strchr(faults.text, ';') == NULL;
        return error_set(e, only_large ? ERROR_LIMIT : ERROR_INVALID,
                         only_large ? "content_too_large" : "invalid_message", "%s", faults.text);
    }
    out->body_hash = hash_body(out);
    return 0;
}

void draft_finish(struct draft *d)
{
    if (d == NULL)
        return;
    buf_finish(&d->mentions);
    buf_finish(&d->attachments);
    json_destroy(&d->tree);
    *d = (struct draft){0};
}

/* ---- Printing ---- */

static void put_id(struct buf *out, const char *name, const struct uuid *id)
{
    char text[UUID_TEXT_SIZE];
    buf_put_text(out, name);
    if (id == NULL) {
        buf_put_text(out, "null");
        return;
    }
    uuid_format(id, text);
    buf_put_byte(out, '"');
    buf_put(out, text, UUID_TEXT_SIZE - 1);
    buf_put_byte(out, '"');
}

static void put_number(struct buf *out, const char *name, int64_t value)
{
    buf_put_text(out, name);
    json_put_int(out, value);
}

static void put_text(struct buf *out, const char *name, const char *text)
{
    buf_put_text(out, name);
    json_put_text(out, text);
}

static void put_time(struct buf *out, const char *name, int64_t wall_ms)
{
    char text[CLOCK_TEXT_SIZE];
    if (wall_ms != 0)
        clock_format(wall_ms, text);
    put_text(out, name, wall_ms != 0 ? text : NULL);
}

void message_print(struct buf *out, const struct message *m)
{
    put_id(out, "{\"id\":", &m->id);
    put_id(out, ",\"chatRoomId\":", &m->room);
    put_number(out, ",\"seq\":", m->seq);
    put_text(out, ",\"senderId\":", m->sender);
    put_text(out, ",\"clientMessageId\":", m->client_message_id);
    put_text(out, ",\"type\":", m->type);
    buf_put_text(out, ",\"content\":");
    if (m->content != NULL)
        json_put_string(out, m->content, m->content_size);
    else
        buf_put_text(out, "null");
    buf_put_text(out, ",\"mentions\":");
    buf_put_text(out, m->mentions != NULL ? m->mentions : "[]");
    put_id(out, ",\"replyToId\":", m->has_reply ? &m->reply_to : NULL);
    buf_put_text(out, ",\"attachments\":");
    buf_put_text(out, m->attachments != NULL ? m->attachments : "[]");
    put_number(out, ",\"rev\":", m->rev);
    put_time(out, ",\"createdAt\":", m->created_at_ms);
    put_time(out, ",\"editedAt\":", m->edited_at_ms);
    put_time(out, ",\"deletedAt\":", m->deleted_at_ms);
    buf_put_byte(out, '}');
}

bool message_read_seq(const char *json, size_t size, int64_t *seq_out)
{
    static const char name[] = "\",\"seq\":";
    size_t at =
        sizeof "{\"id\":\"" - 1 + UUID_TEXT_SIZE - 1 + sizeof "\",\"chatRoomId\":\"" - 1 + UUID_TEXT_SIZE - 1;
    if (json == NULL || size <= at + sizeof name - 1 || memcmp(json + at, name, sizeof name - 1) != 0)
        return false;
    int64_t seq = 0;
    for (at += sizeof name - 1; at < size && json[at] >= '0' && json[at] <= '9' && seq < INT64_MAX / 10 - 1;
         at++)
        seq = seq * 10 + (json[at] - '0');
    *seq_out = seq;
    return seq > 0;
}

void ack_print_stored(struct buf *out, const char *client_message_id, const struct uuid *id,
                      const struct uuid *room, int64_t seq, int64_t created_at_ms)
{
    put_text(out, "{\"clientMessageId\":", client_message_id);
    buf_put_text(out, ",\"status\":\"stored\"");
    put_id(out, ",\"id\":", id);
    put_id(out, ",\"chatRoomId\":", room);
    put_number(out, ",\"seq\":", seq);
    put_time(out, ",\"createdAt\":", created_at_ms);
    buf_put_byte(out, '}');
}

void ack_print_rejected(struct buf *out, const char *client_message_id, const struct error *why)
{
    put_text(out, "{\"clientMessageId\":", client_message_id);
    buf_put_text(out, ",\"status\":\"rejected\"");
    put_text(out, ",\"code\":", why->word);
    put_text(out, ",\"message\":", why->text);
    buf_put_byte(out, '}');
}
