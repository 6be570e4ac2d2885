/* One table says which fields a type has and in what order; writing and reading both walk it, so that they
 * cannot disagree. A field is a letter: q request, b boot, v version, s seq, d database_up, r room, u user,
 * o on, f fallback_id, w word with its error code, p payload; an older end leaves out i request_id, n seq. */
#include "core/wire.h"

#include "core/error.h"

#include <assert.h>
#include <string.h>

#define PACKET_HEAD 5 /* version, number */

static const char *fields_of(unsigned type)
{
    switch (type) {
    case WIRE_HELLO:
        return "bn";
    case WIRE_SEND:
        return "qrufpi";
    case WIRE_WATCH:
    case WIRE_UNWATCH:
    case WIRE_WATCHED:
        return "r";
    case WIRE_STATE:
        return "bvdn";
    case WIRE_MESSAGE:
    case WIRE_STORED:
        return "qrsp";
    case WIRE_REJECTED:
        return "qwp";
    case WIRE_READ:
    case WIRE_DELIVERED:
        return "qrupi";
    case WIRE_TYPING:
    case WIRE_TYPED:
        return "ruo";
    case WIRE_ONLINE:
        return "uo";
    case WIRE_REPLY:
        return "uwp";
    case WIRE_RECEIPT:
        return "qrsup";
    case WIRE_EVENT:
        return "ruvwpn";
    case WIRE_PRESENCE:
        return "uos";
    case WIRE_API:
        return "usvwp";
    case WIRE_METRICS:
        return "p";
    default:
        return NULL;
    }
}

static void encode(uint8_t *out, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        out[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
}

static void put_number(struct buf *b, uint64_t value, unsigned bytes)
{
    uint8_t text[8];
    encode(text, value, bytes);
    buf_put(b, text, bytes);
}

static void put_string(struct buf *b, const char *text, size_t size, unsigned length_bytes)
{
    assert(length_bytes == 4 ? size <= UINT32_MAX : size <= UINT8_MAX);
    put_number(b, size, length_bytes);
    if (size > 0)
        buf_put(b, text, size);
}

static void put_field(struct buf *b, char field, const struct wire_record *record)
{
    switch (field) {
    case 'q':
        put_number(b, record->request, 8);
        break;
    case 'b':
        put_number(b, record->boot, 8);
        break;
    case 'v':
        put_number(b, (uint64_t)record->version, 8);
        break;
    case 's':
    case 'n':
        put_number(b, (uint64_t)record->seq, 8);
        break;
    case 'd':
        put_number(b, record->database_up, 1);
        break;
    case 'o':
        put_number(b, record->on, 1);
        break;
    case 'r':
        buf_put(b, record->room.bytes, sizeof(record->room.bytes));
        break;
    case 'u':
        put_string(b, record->user, record->user_size, 1);
        break;
    case 'f':
        put_string(b, record->fallback_id, record->fallback_id_size, 1);
        break;
    case 'i':
        put_string(b, record->request_id, record->request_id_size, 1);
        break;
    case 'w':
        put_number(b, record->error_code, 1);
        put_string(b, record->word, record->word_size, 1);
        break;
    default:
        put_string(b, record->payload, record->payload_size, 4);
        break;
    }
}

void wire_begin(struct buf *packet, uint32_t number)
{
    assert(packet->size == 0);
    put_number(packet, WIRE_VERSION, 1);
    put_number(packet, number, 4);
}

void wire_put(struct buf *packet, const struct wire_record *record)
{
    const char *fields = fields_of(record->type);
    assert(fields != NULL && packet->size >= PACKET_HEAD);
    put_number(packet, record->type, 1);
    size_t size_at = packet->size;
    put_number(packet, 0, 4);
    for (; *fields != '\0'; fields++)
        put_field(packet, *fields, record);
    encode((uint8_t *)packet->data + size_at, packet->size - size_at - 4, 4);
}

/* A cursor that remembers that it ran past the end, so that fields are read without a check after each. */
struct cursor {
    const uint8_t *at, *end;
    bool cut;
};

static const uint8_t *take(struct cursor *c, size_t size)
{
    if ((size_t)(c->end - c->at) < size) {
        c->cut = true;
        return NULL;
    }
    const uint8_t *bytes = c->at;
    c->at += size;
    return bytes;
}

static uint64_t take_number(struct cursor *c, unsigned bytes)
{
    const uint8_t *at = take(c, bytes);
    uint64_t value = 0;
    for (unsigned i = 0; at != NULL && i < bytes; i++)
        value = value << 8 | at[i];
    return value;
}

static void take_string(struct cursor *c, unsigned length_bytes, const char **text, size_t *size)
{
    size_t length = (size_t)take_number(c, length_bytes);
    *text = (const char *)take(c, length);
    *size = *text != NULL ? length : 0;
}

/* Versions and seqs count up from 0: one with its top bit set is no number of ours. */
static int64_t take_count(struct cursor *c)
{
    uint64_t value = take_number(c, 8);
    if (value > INT64_MAX) {
        c->cut = true;
        return 0;
    }
    return (int64_t)value;
}

static void take_field(struct cursor *c, char field, struct wire_record *out)
{
    const uint8_t *bytes;
    switch (field) {
    case 'q':
        out->request = take_number(c, 8);
        break;
    case 'b':
        out->boot = take_number(c, 8);
        break;
    case 'v':
        out->version = take_count(c);
        break;
    case 's':
        out->seq = take_count(c);
        break;
    case 'n':
        if (c->at != c->end)
            out->seq = take_count(c);
        break;
    case 'd':
        out->database_up = take_number(c, 1) != 0;
        break;
    case 'o':
        out->on = take_number(c, 1) != 0;
        break;
    case 'r':
        bytes = take(c, sizeof(out->room.bytes));
        if (bytes != NULL)
            memcpy(out->room.bytes, bytes, sizeof(out->room.bytes));
        break;
    case 'u':
        take_string(c, 1, &out->user, &out->user_size);
        break;
    case 'f':
        take_string(c, 1, &out->fallback_id, &out->fallback_id_size);
        break;
    case 'i':
        if (c->at != c->end)
            take_string(c, 1, &out->request_id, &out->request_id_size);
        break;
    case 'w':
        out->error_code = (unsigned)take_number(c, 1);
        if (out->error_code > ERROR_INTERNAL)
            out->error_code = ERROR_INTERNAL; /* a class that a newer end has */
        take_string(c, 1, &out->word, &out->word_size);
        break;
    default:
        take_string(c, 4, &out->payload, &out->payload_size);
        break;
    }
}

bool wire_open(struct wire_reader *r, const void *packet, size_t size)
{
    *r = (struct wire_reader){0};
    if (size < PACKET_HEAD)
        return false;
    struct cursor c = {packet, (const uint8_t *)packet + size, false};
    if (take_number(&c, 1) != WIRE_VERSION)
        return false;
    r->number = (uint32_t)take_number(&c, 4);
    r->at = c.at;
    r->end = c.end;
    return true;
}

int wire_next(struct wire_reader *r, struct wire_record *out)
{
    while (r->at != r->end) {
        struct cursor packet = {r->at, r->end, false};
        unsigned type = (unsigned)take_number(&packet, 1);
        size_t size = (size_t)take_number(&packet, 4);
        const uint8_t *body = take(&packet, size);
        if (packet.cut) {
            r->at = r->end;
            return -1;
        }
        struct cursor record = {body, body + size, false};
        r->at = packet.at;
        const char *fields = fields_of(type);
        if (fields == NULL)
            continue;
        *out = (struct wire_record){.type = (enum wire_type)type};
        for (; *fields != '\0'; fields++)
            take_field(&record, *fields, out);
        if (record.cut) {
            r->at = r->end;
            return -1;
        }
        return 1;
    }
    return 0;
}
