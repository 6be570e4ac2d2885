/* One table holds the shape of every topic: a family (rooms, calls, users, service), a word, and what the
 * levels around the word are. Names, filters and printing all go by it.
 *
 * A level's meaning is a letter: i the UUID of a room or call, o the owner (a user), s the speaker (a user),
 * r a request's or node's name. */
#include "core/topic.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#define LEVELS_MAX 5 /* of the longest shape under the prefix: calls/{call}/signal/{to}/{user} */

struct shape {
    enum topic_kind kind;
    const char *word;
    const char *tail; /* the levels behind the word */
};

struct family {
    const char *word;
    const char *head;    /* the levels between family and word */
    enum topic_kind any; /* the kind of a filter with a wildcard in place of the word */
    const struct shape *shapes;
};

static const struct shape room_shapes[] = {
    {TOPIC_ROOM_MESSAGES, "messages", ""}, {TOPIC_ROOM_SEND, "send", "s"},
    {TOPIC_ROOM_READ, "read", "s"},        {TOPIC_ROOM_DELIVERED, "delivered", "s"},
    {TOPIC_ROOM_TYPING, "typing", "s"},    {TOPIC_ROOM_RECEIPTS, "receipts", ""},
    {TOPIC_ROOM_EVENTS, "events", ""},     {TOPIC_UNKNOWN, NULL, NULL},
};

static const struct shape call_shapes[] = {
    {TOPIC_CALL_SIGNAL, "signal", "os"},
    {TOPIC_CALL_MEDIA, "media", "s"},
    {TOPIC_CALL_EVENTS, "events", ""},
    {TOPIC_UNKNOWN, NULL, NULL},
};

static const struct shape user_shapes[] = {
    {TOPIC_USER_ACKS, "acks", ""},         {TOPIC_USER_EVENTS, "events", ""}, {TOPIC_USER_INBOX, "inbox", ""},
    {TOPIC_USER_PRESENCE, "presence", ""}, {TOPIC_USER_TOKEN, "token", "s"},  {TOPIC_USER_API, "api", "rs"},
    {TOPIC_USER_REPLIES, "replies", "r"},  {TOPIC_UNKNOWN, NULL, NULL},
};

static const struct shape service_shapes[] = {
    {TOPIC_SERVICE_IN, "in", "r"},
    {TOPIC_SERVICE_OUT, "out", "r"},
    {TOPIC_UNKNOWN, NULL, NULL},
};

static const struct family families[] = {
    {"rooms", "i", TOPIC_ROOM_MESSAGES, room_shapes},
    {"users", "o", TOPIC_USER_EVENTS, user_shapes},
    {"calls", "i", TOPIC_CALL_EVENTS, call_shapes},
    {"service", "", TOPIC_SERVICE_OUT, service_shapes},
};

#define FAMILIES (sizeof(families) / sizeof(families[0]))

static bool part_is(const struct topic_part *part, const char *word)
{
    /* The first byte decides nearly always. */
    return part->size > 0 && part->text[0] == word[0] && strncmp(part->text, word, part->size) == 0 &&
           word[part->size] == '\0';
}

bool topic_part_is(const struct topic_part *part, const char *text)
{
    return part->text != NULL && strlen(text) == part->size && memcmp(part->text, text, part->size) == 0;
}

static bool is_plus(const struct topic_part *part)
{
    return part->size == 1 && part->text[0] == '+';
}

static bool is_hash(const struct topic_part *part)
{
    return part->size == 1 && part->text[0] == '#';
}

/* What follows `prefix/`, "" for the prefix alone; NULL when the text is not under it. */
static const char *under_prefix(const char *prefix, const char *text)
{
    while (*prefix != '\0' && *prefix == *text) {
        prefix++;
        text++;
    }
    if (*prefix != '\0')
        return NULL;
    if (*text == '\0')
        return text;
    return *text == '/' ? text + 1 : NULL;
}

static bool is_private(const char *text)
{
    const char *rest = under_prefix(TOPIC_PRIVATE_TEXT, text);
    return rest != NULL;
}

/* Cuts the text into levels; 0 when there are too many or it is too long. */
static unsigned split(const char *text, struct topic_part levels[LEVELS_MAX])
{
    const char *start = text;
    unsigned count = 0;
    for (;;) {
        if (count == LEVELS_MAX)
            return 0;
        const char *end = strchrnul(text, '/');
        levels[count].text = text;
        levels[count].size = (size_t)(end - text);
        count++;
        if (end - start >= TOPIC_TEXT_MAX - PREFIX_MAX - 1)
            return 0;
        if (*end == '\0')
            return count;
        text = end + 1;
    }
}

/* The value of a digit plus 1; 0 for what is none. Lower case only: subscriptions compare bytes, so upper
 * case would be another topic of the same room. */
static const unsigned char digits[256] = {
    ['0'] = 1, ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9, ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
};

/* Like uuid_parse, without a branch for each byte: this is most of a parse. */
static bool read_id(const struct topic_part *level, struct uuid *out)
{
    static const unsigned char places[16] = {0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34};
    const unsigned char *text = (const unsigned char *)level->text;
    if (level->size != UUID_TEXT_SIZE - 1)
        return false;
    bool fits = text[8] == '-' && text[13] == '-' && text[18] == '-' && text[23] == '-';
    for (size_t i = 0; i < sizeof(places); i++) {
        unsigned high = digits[text[places[i]]], low = digits[text[places[i] + 1]];
        fits = fits & (high != 0) & (low != 0);
        out->bytes[i] = (uint8_t)((high - 1) << 4 | (low - 1));
    }
    return fits;
}

static bool read_level(struct topic *t, char meaning, const struct topic_part *level)
{
    switch (meaning) {
    case 'i':
        return read_id(level, &t->id);
    case 'o':
        t->owner = *level;
        break;
    case 's':
        t->speaker = *level;
        break;
    default:
        t->request = *level;
        break;
    }
    return user_id_valid(level->text, level->size);
}

/* Walks levels along a shape's letters. 1: all of them were there; 0: a `#` stood for the rest; -1: no match.
 * A wildcard for a room, a call or the user whom a topic belongs to makes id_wild. */
static int walk(struct topic *t, const char *meanings, const struct topic_part *levels, unsigned count,
                unsigned *at, bool filter)
{
    for (; *meanings != '\0'; meanings++) {
        if (*at == count)
            return -1;
        const struct topic_part *level = &levels[(*at)++];
        if (filter && (is_plus(level) || is_hash(level))) {
            t->wild = true;
            t->id_wild = t->id_wild || *meanings == 'i' || *meanings == 'o';
            if (is_hash(level))
                return 0;
        } else if (!read_level(t, *meanings, level)) {
            return -1;
        }
    }
    return 1;
}

static const struct family *find_family(const struct topic_part *level)
{
    for (size_t i = 0; i < FAMILIES; i++)
        if (part_is(level, families[i].word))
            return &families[i];
    return NULL;
}

static const struct shape *find_shape(const struct family *family, const struct topic_part *level)
{
    for (const struct shape *shape = family->shapes; shape->word != NULL; shape++)
        if (part_is(level, shape->word))
            return shape;
    return NULL;
}

/* The kind that the levels under the prefix have, with the parts of `t` filled. */
static enum topic_kind match(struct topic *t, const struct topic_part *levels, unsigned count, bool filter)
{
    const struct family *family = find_family(&levels[0]);
    if (family == NULL)
        return TOPIC_UNKNOWN;
    unsigned at = 1;
    int found = walk(t, family->head, levels, count, &at, filter);
    if (found == 0)
        return family->any;
    if (found < 0 || at == count)
        return TOPIC_UNKNOWN;
    const struct topic_part *word = &levels[at++];
    if (filter && (is_plus(word) || is_hash(word))) {
        t->wild = true;
        return family->any;
    }
    const struct shape *shape = find_shape(family, word);
    if (shape == NULL)
        return TOPIC_UNKNOWN;
    found = walk(t, shape->tail, levels, count, &at, filter);
    /* `messages/#` matches `messages` too. */
    if (found == 1 && filter && at + 1 == count && is_hash(&levels[at])) {
        t->wild = true;
        at++;
    }
    return found >= 0 && at == count ? shape->kind : TOPIC_UNKNOWN;
}

struct topic topic_parse(const char *prefix, const char *text)
{
    struct topic t = {.kind = TOPIC_OUTSIDE};
    const char *rest = under_prefix(prefix, text);
    if (rest == NULL) {
        if (text[0] == '$' && is_private(text))
            t.kind = TOPIC_PRIVATE;
        return t;
    }
    struct topic_part levels[LEVELS_MAX];
    unsigned count = split(rest, levels);
    t.kind = count > 0 ? match(&t, levels, count, false) : TOPIC_UNKNOWN;
    return t;
}

/* MQTT 5, 4.7.1: `+` and `#` stand for whole levels, `#` for the last ones only. */
static bool wildcards_fit(const struct topic_part *levels, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const struct topic_part *level = &levels[i];
        bool has =
            memchr(level->text, '+', level->size) != NULL || memchr(level->text, '#', level->size) != NULL;
        if (has && (level->size != 1 || (is_hash(level) && i + 1 != count)))
            return false;
    }
    return true;
}

/* True when a filter that is not under the prefix literally can match a topic below it. */
static bool overlaps(const char *prefix, const char *filter)
{
    if (prefix[0] == '$' && filter[0] != '$')
        return false; /* MQTT 5, 4.7.2: a leading wildcard does not match $... */
    for (;;) {
        const char *prefix_end = strchrnul(prefix, '/'), *filter_end = strchrnul(filter, '/');
        struct topic_part level = {filter, (size_t)(filter_end - filter)};
        if (is_hash(&level))
            return true;
        if (!is_plus(&level) &&
            (level.size != (size_t)(prefix_end - prefix) || memcmp(prefix, filter, level.size) != 0))
            return false;
        if (*filter_end == '\0')
            return false;
        if (*prefix_end == '\0')
            return true;
        prefix = prefix_end + 1;
        filter = filter_end + 1;
    }
}

static void filter_under_prefix(struct topic *t, const char *rest)
{
    struct topic_part levels[LEVELS_MAX];
    unsigned count = split(rest, levels);
    t->kind = TOPIC_UNKNOWN;
    if (count == 0 || !wildcards_fit(levels, count))
        return;
    if (is_plus(&levels[0]) || is_hash(&levels[0])) {
        t->wild = t->id_wild = true;
        return;
    }
    t->kind = match(t, levels, count, true);
    if (t->kind == TOPIC_UNKNOWN)
        t->id_wild = false; /* it matches nothing of ours, and is judged as that */
}

struct topic filter_parse(const char *prefix, const char *text)
{
    struct topic t = {.kind = TOPIC_OUTSIDE};
    if (strncmp(text, "$share/", 7) == 0) {
        const char *group_end = strchrnul(text + 7, '/');
        t.shared = true;
        text = *group_end == '/' ? group_end + 1 : group_end;
    }
    const char *rest = under_prefix(prefix, text);
    if (rest != NULL) {
        filter_under_prefix(&t, rest);
    } else if (is_private(text)) {
        t.kind = TOPIC_PRIVATE;
    } else {
        t.wild = strpbrk(text, "+#") != NULL;
        t.overlaps_prefix = t.wild && overlaps(prefix, text);
        t.id_wild = t.overlaps_prefix;
    }
    return t;
}

/* ---- Printing ---- */

static size_t append(char out[TOPIC_TEXT_MAX], size_t at, const char *text)
{
    size_t size = strlen(text);
    assert(at + size < TOPIC_TEXT_MAX);
    memcpy(out + at, text, size + 1);
    return at + size;
}

static size_t append_level(char out[TOPIC_TEXT_MAX], size_t at, const char *text)
{
    return append(out, append(out, at, "/"), text);
}

static const struct family *family_of(enum topic_kind kind, const struct shape **shape_out)
{
    for (size_t i = 0; i < FAMILIES; i++)
        for (const struct shape *shape = families[i].shapes; shape->word != NULL; shape++)
            if (shape->kind == kind) {
                *shape_out = shape;
                return &families[i];
            }
    return NULL;
}

/* prefix/family[/head]/word; the tail is the caller's. */
static size_t format_stem(char out[TOPIC_TEXT_MAX], const char *prefix, enum topic_kind kind,
                          const char *head)
{
    const struct shape *shape = NULL;
    const struct family *family = family_of(kind, &shape);
    assert(family != NULL && (head != NULL) == (family->head[0] != '\0'));
    size_t at = append(out, 0, prefix);
    at = append_level(out, at, family->word);
    if (head != NULL)
        at = append_level(out, at, head);
    return append_level(out, at, shape->word);
}

size_t topic_format_room(char out[TOPIC_TEXT_MAX], const char *prefix, const struct uuid *room,
                         enum topic_kind kind, const char *speaker)
{
    char id[UUID_TEXT_SIZE];
    uuid_format(room, id);
    size_t at = format_stem(out, prefix, kind, id);
    return speaker != NULL ? append_level(out, at, speaker) : at;
}

size_t topic_format_user(char out[TOPIC_TEXT_MAX], const char *prefix, const char *user, enum topic_kind kind,
                         const char *request)
{
    size_t at = format_stem(out, prefix, kind, user);
    if (request != NULL)
        at = append_level(out, at, request);
    if (kind == TOPIC_USER_TOKEN || kind == TOPIC_USER_API)
        at = append_level(out, at, user);
    return at;
}

size_t topic_format_service(char out[TOPIC_TEXT_MAX], const char *prefix, enum topic_kind kind,
                            const char *node)
{
    return append_level(out, format_stem(out, prefix, kind, NULL), node);
}

const char *topic_kind_name(enum topic_kind kind)
{
    static const char *const names[] = {
        [TOPIC_OUTSIDE] = "outside",
        [TOPIC_UNKNOWN] = "unknown",
        [TOPIC_ROOM_SEND] = "room_send",
        [TOPIC_ROOM_READ] = "room_read",
        [TOPIC_ROOM_DELIVERED] = "room_delivered",
        [TOPIC_ROOM_TYPING] = "room_typing",
        [TOPIC_ROOM_MESSAGES] = "room_messages",
        [TOPIC_ROOM_RECEIPTS] = "room_receipts",
        [TOPIC_ROOM_EVENTS] = "room_events",
        [TOPIC_CALL_SIGNAL] = "call_signal",
        [TOPIC_CALL_MEDIA] = "call_media",
        [TOPIC_CALL_EVENTS] = "call_events",
        [TOPIC_USER_EVENTS] = "user_events",
        [TOPIC_USER_ACKS] = "user_acks",
        [TOPIC_USER_INBOX] = "user_inbox",
        [TOPIC_USER_PRESENCE] = "user_presence",
        [TOPIC_USER_TOKEN] = "user_token",
        [TOPIC_USER_API] = "user_api",
        [TOPIC_USER_REPLIES] = "user_replies",
        [TOPIC_SERVICE_IN] = "service_in",
        [TOPIC_SERVICE_OUT] = "service_out",
        [TOPIC_PRIVATE] = "private",
    };
    return names[kind];
}
