#include "bridge/socketio.h"

#include <string.h>

bool slice_is(struct slice slice, const char *text)
{
    return slice.size == strlen(text) && memcmp(slice.text, text, slice.size) == 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The end of the JSON string that begins at text; NULL when it has none. */
static const char *string_end(const char *text, const char *end)
{
    for (text++; text < end; text++) {
        if (*text == '\\')
            text++;
        else if (*text == '"')
            return text + 1;
    }
    return NULL;
}

/* Walks the outermost array or object: brackets in pairs, nothing behind the last. *first_out is the comma
 * behind its first item, or its end. */
static bool scan(struct slice payload, const char **first_out)
{
    const char *at = payload.text, *end = at + payload.size, *first = NULL;
    size_t depth = 0;

    while (at < end) {
        char c = *at;

        if (c == '"') {
            at = string_end(at, end);
            if (at == NULL)
                return false;
            continue;
        }
        if (c == '[' || c == '{')
            depth++;
        else if (c == ',' && depth == 1 && first == NULL)
            first = at;
        else if ((c == ']' || c == '}') && --depth == 0)
            break;
        at++;
    }
    *first_out = first != NULL ? first : at;
    return at == end - 1 && *at == (*payload.text == '[' ? ']' : '}');
}

static struct slice trim(const char *text, const char *end)
{
    while (text < end && memchr(" \t\r\n", *text, 4) != NULL)
        text++;
    while (end > text && memchr(" \t\r\n", end[-1], 4) != NULL)
        end--;
    return (struct slice){text, (size_t)(end - text)};
}

/* Name and arguments of an event, all items of an ack. */
static bool parse_items(struct socketio_packet *p, bool event)
{
    const char *first, *last = p->payload.text + p->payload.size - 1;
    struct slice name;

    if (p->payload.size < 2 || *p->payload.text != '[' || !scan(p->payload, &first))
        return false;
    if (!event) {
        p->args = trim(p->payload.text + 1, last);
        return true;
    }
    name = trim(p->payload.text + 1, first);
    if (name.size == 0 || (*name.text != '"' && *name.text != '-' && !is_digit(*name.text)))
        return false;
    if (*name.text == '"') {
        if (string_end(name.text, name.text + name.size) != name.text + name.size)
            return false;
        name = (struct slice){name.text + 1, name.size - 2};
    }
    p->name = name;
    p->args = first < last ? trim(first + 1, last) : (struct slice){last, 0};
    return true;
}

static bool parse_payload(struct socketio_packet *p)
{
    const char *first;

    switch (p->type) {
    case SOCKETIO_CONNECT:
        return p->payload.size == 0 || (*p->payload.text == '{' && scan(p->payload, &first));
    case SOCKETIO_DISCONNECT:
        return p->payload.size == 0;
    case SOCKETIO_EVENT:
    case SOCKETIO_BINARY_EVENT:
        return parse_items(p, true);
    case SOCKETIO_ACK:
    case SOCKETIO_BINARY_ACK:
        return parse_items(p, false);
    default:
        return true;
    }
}

static bool parse_attachments(struct socketio_packet *p, const char **at, const char *end)
{
    if (p->type != SOCKETIO_BINARY_EVENT && p->type != SOCKETIO_BINARY_ACK)
        return true;
    if (*at == end || !is_digit(**at))
        return false;
    for (; *at < end && is_digit(**at); (*at)++) {
        p->attachments = p->attachments * 10 + (unsigned)(**at - '0');
        if (p->attachments > SOCKETIO_ATTACHMENTS_MAX)
            return false;
    }
    if (*at == end || **at != '-')
        return false;
    (*at)++;
    return true;
}

bool socketio_parse(const char *text, size_t size, struct socketio_packet *out)
{
    const char *at = text + 1, *end = text + size;

    if (size == 0 || *text < '0' || *text > '6')
        return false;
    *out = (struct socketio_packet){.type = (enum socketio_type)(*text - '0'), .nsp = {"/", 1}};
    if (!parse_attachments(out, &at, end))
        return false;
    if (at < end && *at == '/') {
        const char *comma = memchr(at, ',', (size_t)(end - at));

        if (comma == NULL)
            comma = end;
        out->nsp = (struct slice){at, (size_t)(comma - at)};
        at = comma + (comma < end);
    }
    out->ack.text = at;
    while (at < end && is_digit(*at))
        at++;
    out->ack.size = (size_t)(at - out->ack.text);
    out->payload = trim(at, end);
    if (out->ack.size > SOCKETIO_ACK_DIGITS_MAX || out->nsp.size > SOCKETIO_NAMESPACE_MAX)
        return false;
    return parse_payload(out);
}

bool socketio_is_reserved(struct slice name)
{
    static const char *const names[] = {"connect",       "connect_error", "disconnect",
                                        "disconnecting", "newListener",   "removeListener"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (slice_is(name, names[i]))
            return true;
    }
    return false;
}

void socketio_put(struct buf *out, enum socketio_type type, unsigned attachments, const char *nsp,
                  struct slice ack)
{
    buf_put_byte(out, (unsigned char)('0' + type));
    if (type == SOCKETIO_BINARY_EVENT || type == SOCKETIO_BINARY_ACK)
        buf_printf(out, "%u-", attachments);
    if (strcmp(nsp, "/") != 0) {
        buf_put_text(out, nsp);
        buf_put_byte(out, ',');
    }
    if (ack.size > 0)
        buf_put(out, ack.text, ack.size);
}
