/* A room is answered only when plugin and sockets know who is in it (the barrier): what its members do next,
 * on whatever door, is not refused. */
#include "http/rooms.h"

#include "core/config.h"
#include "core/members.h"
#include "core/queries.h"
#include "http/change.h"
#include "http/once.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_NAME_MAX      200 /* characters */
#define ROOM_PAGE_DEFAULT  50
#define ROOM_PAGE_MAX      100
#define BARRIER_TIMEOUT_MS 5000
#define NUMBER_TEXT_SIZE   24

/* ---- Who may ---- */

static enum member_role member_of(const struct exchange *x, enum room_type *type_out)
{
    return members_role(x->ports->members, &x->id, x->who.user, strlen(x->who.user), type_out);
}

static void refuse_right(struct exchange *x, const struct verdict *verdict)
{
    x->hint = rule_hint(verdict->rule);
    exchange_refuse_status(x, 403, "forbidden", "%s", rule_text(verdict->rule));
}

void rooms_refuse(struct exchange *x, const struct verdict *verdict)
{
    if (verdict->rule == RULE_NOT_MEMBER)
        exchange_refuse_room(x);
    else
        refuse_right(x, verdict);
}

/* Of a room that the mirror does not have for this agent, the database says whether it is one to know of. */
static void on_room_type(struct exchange *x, const struct db_answer *answer)
{
    enum room_type type;
    if (!answer->ok) {
        exchange_refuse_database(x, answer);
        return;
    }
    if (answer->rows == 0 || !room_type_parse(answer->cell(answer, 0, 0), &type) ||
        !access_room(OPERATION_SEE, type, MEMBER_NONE, x->who.role, MEMBER_NONE).allowed) {
        exchange_refuse_room(x);
        return;
    }
    struct verdict verdict = {.allowed = false, .rule = RULE_NOT_MEMBER};
    refuse_right(x, &verdict);
}

bool rooms_admit(struct exchange *x, enum operation operation)
{
    enum room_type type;
    enum member_role member = member_of(x, &type);
    if (member != MEMBER_NONE) {
        struct verdict verdict = access_room(operation, type, member, x->who.role, MEMBER_NONE);
        if (!verdict.allowed)
            refuse_right(x, &verdict);
        return verdict.allowed;
    }
    if (x->who.role == ROLE_AGENT)
        exchange_query(x, QUERY_ROOM_TYPE, 1, &x->id_text, on_room_type);
    else
        exchange_refuse_room(x);
    return false;
}

/* ---- One room ---- */

/* A row of QUERY_ROOM for this asker: false when it may not know of the room. */
static bool may_see(const struct exchange *x, const struct db_answer *answer)
{
    enum room_type type;
    enum member_role member = MEMBER_NONE;
    if (answer->rows == 0 || !room_type_parse(answer->cell(answer, 0, 1), &type))
        return false;
    const char *role = answer->cell(answer, 0, 2);
    if (role != NULL && !member_role_parse(role, &member))
        return false;
    return access_room(OPERATION_SEE, type, member, x->who.role, MEMBER_NONE).allowed;
}

static void on_room(struct exchange *x, const struct db_answer *answer)
{
    if (!answer->ok)
        exchange_refuse_database(x, answer);
    else if (!may_see(x, answer))
        exchange_refuse_room(x);
    else
        exchange_json(x, 200, answer->cell(answer, 0, 0), answer->cell_size(answer, 0, 0));
}

void rooms_get(struct exchange *x)
{
    exchange_id(x, 0, "id");
    if (exchange_refuse_problems(x))
        return;
    if (member_of(x, NULL) == MEMBER_NONE && x->who.role != ROLE_AGENT) {
        exchange_refuse_room(x);
        return;
    }
    const char *values[] = {x->id_text, x->who.user};
    exchange_query(x, QUERY_ROOM, 2, values, on_room);
}

/* ---- Lists ---- */

struct room_page {
    int64_t limit;
    char before_ms[NUMBER_TEXT_SIZE], before_id[UUID_TEXT_SIZE]; /* "" without a cursor */
};

/* `<milliseconds>.<room>`: the last room of the page above. */
static bool read_cursor(const char *text, struct room_page *page)
{
    size_t digits = strspn(text, "0123456789");
    struct uuid id;
    if (digits == 0 || digits > 15 || text[digits] != '.' ||
        !uuid_parse(text + digits + 1, strlen(text + digits + 1), &id))
        return false;
    memcpy(page->before_ms, text, digits);
    uuid_format(&id, page->before_id);
    return true;
}

static void on_list(struct exchange *x, const struct db_answer *answer)
{
    const struct room_page *page = x->state;
    if (!answer->ok) {
        exchange_refuse_database(x, answer);
        return;
    }
    bool more;
    int rows = exchange_begin_list(x, answer, page->limit, &more);
    for (int row = 0; row < rows; row++) {
        if (row > 0)
            buf_put_byte(&x->text, ',');
        buf_put(&x->text, answer->cell(answer, row, 2), answer->cell_size(answer, row, 2));
    }
    if (more)
        buf_printf(&x->text, "],\"meta\":{\"nextCursor\":\"%s.%s\",\"hasMore\":true}}",
                   answer->cell(answer, rows - 1, 0), answer->cell(answer, rows - 1, 1));
    else
        buf_put_text(&x->text, "],\"meta\":{\"nextCursor\":null,\"hasMore\":false}}");
    exchange_json(x, 200, x->text.data, x->text.size);
}

void rooms_list(struct exchange *x)
{
    struct room_page *page = exchange_alloc(x, sizeof *page);
    x->state = page;
    page->limit = ROOM_PAGE_DEFAULT;
    args_integer(&x->args, "limit", 1, ROOM_PAGE_MAX, &page->limit, &x->problems);
    const char *type = args_get(&x->args, "type");
    enum room_type parsed;
    if (type != NULL && !room_type_parse(type, &parsed))
        problems_add(&x->problems, "type must be one of direct, group, support");
    const char *cursor = args_get(&x->args, "cursor");
    if (cursor != NULL && !read_cursor(cursor, page))
        problems_add(&x->problems, "cursor must be the nextCursor of an earlier answer");
    if (exchange_refuse_problems(x))
        return;
    char limit[NUMBER_TEXT_SIZE];
    snprintf(limit, sizeof limit, "%lld", (long long)page->limit + 1);
    const char *values[] = {x->who.user, type, cursor != NULL ? page->before_ms : NULL,
                            cursor != NULL ? page->before_id : NULL, limit};
    exchange_query(x, x->who.role == ROLE_AGENT ? QUERY_ROOM_LIST_AGENT : QUERY_ROOM_LIST, 5, values,
                   on_list);
}

/* ---- Making one ---- */

struct room_draft {
    enum room_type type;
    const char *name;
    const char *key;
    const char **others; /* sorted, each once, without the creator */
    size_t count;
    bool existing;
};

/* How many characters a text has. */
static size_t characters(const char *text)
{
    size_t count = 0;
    for (; *text != '\0'; text++)
        count += ((unsigned char)*text & 0xC0) != 0x80;
    return count;
}

static void read_type(struct exchange *x, struct room_draft *d)
{
    const char *text = json_string(json_get(x->tree, "type"));
    if (text == NULL || !room_type_parse(text, &d->type))
        problems_add(&x->problems, "type must be one of direct, group, support");
}

static void read_name(struct exchange *x, struct room_draft *d)
{
    const struct json *value = json_get(x->tree, "name");
    if (json_kind(value) == JSON_ABSENT || json_kind(value) == JSON_NULL)
        return;
    d->name = json_string(value);
    size_t length = d->name != NULL ? characters(d->name) : 0;
    if (length < 1 || length > ROOM_NAME_MAX)
        problems_add(&x->problems, "name must be a string of 1 to %d characters", ROOM_NAME_MAX);
    else if (d->type == ROOM_DIRECT)
        problems_add(&x->problems, "name must be absent in a direct room");
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorts, and keeps each once. */
static size_t unique(const char **texts, size_t count)
{
    size_t kept = 0;
    qsort(texts, count, sizeof *texts, compare_texts);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || strcmp(texts[kept - 1], texts[i]) != 0)
            texts[kept++] = texts[i];
    return kept;
}

/* Reads the ids into d->others; false when the field is not an array of user ids. */
static bool read_ids(struct exchange *x, struct room_draft *d, const struct json *value)
{
    enum json_kind kind = json_kind(value);
    if (kind == JSON_ABSENT || kind == JSON_NULL)
        return true;
    if (kind != JSON_ARRAY)
        return false;
    d->others = exchange_alloc(x, (json_count(value) + 1) * sizeof *d->others);
    for (const struct json *at = json_first(value); at != NULL; at = json_next(at)) {
        const char *user = json_string(at);
        if (user == NULL || !user_id_valid(user, strlen(user)))
            return false;
        if (strcmp(user, x->who.user) != 0)
            d->others[d->count++] = user;
    }
    d->count = unique(d->others, d->count);
    return true;
}

static void read_participants(struct exchange *x, struct room_draft *d)
{
    int64_t max = x->ports->config->participants_max;
    if (!read_ids(x, d, json_get(x->tree, "participantIds")))
        problems_add(&x->problems, "participantIds must be an array of user ids");
    else if (d->type == ROOM_DIRECT && d->count != 1)
        problems_add(&x->problems, "participantIds must name exactly one other user in a direct room");
    else if (d->type == ROOM_SUPPORT && d->count != 0)
        problems_add(&x->problems, "participantIds must be empty in a support room: agents join it");
    else if (d->type == ROOM_GROUP && d->count + 1 > (size_t)max)
        problems_add(&x->problems, "participantIds must make at most %lld participants with you",
                     (long long)max);
}

/* Of what the room will be: a key used again must ask for the same. */
static void hash_draft(struct exchange *x, const struct room_draft *d, char out[ONCE_HASH_SIZE])
{
    const char **texts = exchange_alloc(x, (d->count + 2) * sizeof *texts);
    texts[0] = room_type_name(d->type);
    texts[1] = d->name != NULL ? d->name : "";
    if (d->count > 0)
        memcpy(texts + 2, d->others, d->count * sizeof *texts);
    once_hash(texts, d->count + 2, out);
}

/* The change was made, whatever kept the database from showing it: never "nothing was changed". */
static void refuse_unread(struct exchange *x)
{
    struct error e;
    error_set(&e, ERROR_UNCERTAIN, "uncertain", "the change was made, but could not be read again");
    exchange_refuse(x, &e);
}

static void on_made_room(struct exchange *x, const struct db_answer *answer)
{
    const struct room_draft *d = x->state;
    if (!answer->ok) {
        refuse_unread(x);
    } else if (answer->rows == 0) {
        exchange_refuse_room(x);
    } else {
        char location[64 + UUID_TEXT_SIZE];
        snprintf(location, sizeof location, "/api/v1/chat/rooms/%s", x->id_text);
        exchange_header(x, "Location", location);
        exchange_json(x, d->existing ? 200 : 201, answer->cell(answer, 0, 0),
                      answer->cell_size(answer, 0, 0));
    }
}

static void on_barrier(struct exchange *x, bool reached)
{
    if (!reached) {
        struct error e;
        error_set(&e, ERROR_UNCERTAIN, "uncertain", "the room was made, but not every door knows it yet");
        exchange_refuse(x, &e);
        return;
    }
    const char *values[] = {x->id_text, x->who.user};
    exchange_query(x, QUERY_ROOM, 2, values, on_made_room);
}

static void on_created(struct exchange *x, const struct db_answer *answer)
{
    struct room_draft *d = x->state;
    if (!answer->ok) {
        exchange_refuse_database(x, answer);
        return;
    }
    const char *outcome = answer->cell(answer, 0, 0);
    const char *room = answer->cell(answer, 0, 1);
    if (strcmp(outcome, "conflict") == 0) {
        exchange_refuse_status(x, 409, "conflict", "this Idempotency-Key was used with another body");
    } else if (strcmp(outcome, "rooms_max") == 0) {
        exchange_refuse_status(x, 409, "rooms_max",
                               "a participant is in %lld rooms already, the most allowed",
                               (long long)x->ports->config->rooms_max);
    } else {
        d->existing = strcmp(outcome, "existing") == 0;
        x->id_text = exchange_copy(x, room, strlen(room));
        uuid_parse(room, strlen(room), &x->id);
        exchange_barrier(x, strtoll(answer->cell(answer, 0, 2), NULL, 10), BARRIER_TIMEOUT_MS, on_barrier);
    }
}

static void create(struct exchange *x, const struct room_draft *d)
{
    struct clock_port *clock = x->ports->clock;
    struct uuid id;
    char id_text[UUID_TEXT_SIZE], hash[ONCE_HASH_SIZE], rooms_max[NUMBER_TEXT_SIZE];
    uuid_make(&id, clock->wall_ms(clock));
    uuid_format(&id, id_text);
    hash_draft(x, d, hash);
    snprintf(rooms_max, sizeof rooms_max, "%lld", (long long)x->ports->config->rooms_max);
    /* An array's literal; a user id has no character that would need an escape in quotes. */
    struct buf *others = &x->text;
    buf_put_byte(others, '{');
    for (size_t i = 0; i < d->count; i++)
        buf_printf(others, "%s\"%s\"", i > 0 ? "," : "", d->others[i]);
    buf_put_byte(others, '}');
    const char *values[] = {id_text,      x->who.user, room_type_name(d->type),      d->name,
                            others->data, d->key,      d->key != NULL ? hash : NULL, rooms_max};
    exchange_query(x, QUERY_ROOM_CREATE, 8, values, on_created);
    buf_clear(others);
}

void rooms_create(struct exchange *x)
{
    if (!exchange_body(x))
        return;
    struct room_draft *d = exchange_alloc(x, sizeof *d);
    x->state = d;
    read_type(x, d);
    read_name(x, d);
    read_participants(x, d);
    d->key = once_key(x);
    if (!exchange_refuse_problems(x))
        create(x, d);
}

/* ---- Its settings ---- */

enum { SETTING_NAME, SETTING_HISTORY, SETTING_STATUS };

static bool is_one_of(const char *text, const char *const *words)
{
    while (text != NULL && *words != NULL && strcmp(text, *words) != 0)
        words++;
    return text != NULL && *words != NULL;
}

/* null takes the name away, which the statement is told by an empty one. */
static void read_new_name(struct exchange *x, struct change *c)
{
    const struct json *value = json_get(x->tree, "name");
    if (json_kind(value) == JSON_ABSENT)
        return;
    const char *name = json_string(value);
    size_t length = name != NULL ? characters(name) : 0;
    if (json_kind(value) == JSON_NULL)
        c->values[SETTING_NAME] = "";
    else if (length < 1 || length > ROOM_NAME_MAX)
        problems_add(&x->problems, "name must be null or a string of 1 to %d characters", ROOM_NAME_MAX);
    else
        c->values[SETTING_NAME] = name;
}

static void read_word(struct exchange *x, struct change *c, int setting, const char *name,
                      const char *const *words, const char *said)
{
    const struct json *value = json_get(x->tree, name);
    if (json_kind(value) == JSON_ABSENT)
        return;
    c->values[setting] = json_string(value);
    if (!is_one_of(c->values[setting], words))
        problems_add(&x->problems, "%s must be one of %s", name, said);
}

static bool may_update(struct exchange *x, struct change *c)
{
    static const enum operation operations[] = {
        [SETTING_NAME] = OPERATION_RENAME,
        [SETTING_HISTORY] = OPERATION_SET_HISTORY,
        [SETTING_STATUS] = OPERATION_SET_STATUS,
    };
    for (int i = SETTING_NAME; i <= SETTING_STATUS; i++)
        if (c->values[i] != NULL && !change_admit(x, c, operations[i], MEMBER_NONE))
            return false;
    return true;
}

static void on_updated_room(struct exchange *x, const struct db_answer *answer)
{
    if (answer->ok)
        on_room(x, answer);
    else
        refuse_unread(x);
}

static void on_updated(struct exchange *x, const struct change *c)
{
    (void)c;
    const char *values[] = {x->id_text, x->who.user};
    exchange_query(x, QUERY_ROOM, 2, values, on_updated_room);
}

void rooms_update(struct exchange *x)
{
    static const char *const histories[] = {"start", "join", NULL};
    static const char *const statuses[] = {"open", "assigned", "closed", NULL};
    if (!exchange_body(x))
        return;
    struct change *c = exchange_alloc(x, sizeof *c);
    exchange_id(x, 0, "id");
    read_new_name(x, c);
    read_word(x, c, SETTING_HISTORY, "historyFrom", histories, "start, join");
    read_word(x, c, SETTING_STATUS, "status", statuses, "open, assigned, closed");
    bool any = c->values[SETTING_NAME] != NULL || c->values[SETTING_HISTORY] != NULL ||
               c->values[SETTING_STATUS] != NULL;
    if (!any && x->problems.count == 0)
        problems_add(&x->problems, "the body must have one of name, historyFrom, status");
    if (exchange_refuse_problems(x))
        return;
    c->sql = QUERY_ROOM_UPDATE;
    c->count = 3;
    c->may = may_update;
    c->done = on_updated;
    change_run(x, c);
}
