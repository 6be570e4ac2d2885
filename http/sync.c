/* Three statements: the heads of all rooms, from which it is known how many messages each room adds (no seq
 * is ever missing, and what changed was counted), then exactly the messages that fit, then participants. What
 * happens between them is past the heads, and so comes with the next sync.
 *
 * A room's changed messages are taken in the order of their revs, so that a limit among them can be asked on
 * from: the rev answered is that of the last one taken. Only when all of them are in do new ones follow. */
#include "http/sync.h"

#include "core/members.h"
#include "core/queries.h"

#include <stdlib.h>
#include <string.h>

struct sync_room {
    struct uuid id;
    int64_t seq, rev, epoch; /* what the client has, then what is answered; epoch -1: it did not say */
    bool mine;
    int64_t head_seq, head_rev;
    const char *unread;
    int64_t history_seq;
    int64_t changed; /* messages up to seq with a newer rev */
    /* what of it is in this answer */
    int64_t take_changed, new_from, new_to, seq_next;
    bool cut_changed, participants;
};

struct sync {
    int64_t limit;
    struct sync_room *rooms;
    size_t count;
    struct sync_room **taken; /* those with messages in this answer, as the statement has them */
    size_t taken_count;
    const char *heads; /* of the rooms that were not named, as they are answered */
    bool more;
};

/* ---- The body ---- */

/* A member that is a whole number from 0, or absent. */
static bool read_number(const struct json *object, const char *name, int64_t absent, int64_t *out)
{
    const struct json *value = json_get(object, name);
    *out = absent;
    if (json_kind(value) == JSON_ABSENT || json_kind(value) == JSON_NULL)
        return true;
    return json_integer(value, out) && *out >= 0;
}

static void read_room(struct exchange *x, struct sync_room *r, const struct json *value)
{
    const char *name = json_name(value);
    char canonical[UUID_TEXT_SIZE] = "";
    if (uuid_parse(name, strlen(name), &r->id))
        uuid_format(&r->id, canonical);
    if (strcmp(canonical, name) != 0)
        problems_add(&x->problems, "rooms: `%s` is not the id of a room in lower case", name);
    if (json_kind(value) != JSON_OBJECT || !read_number(value, "seq", 0, &r->seq) ||
        !read_number(value, "rev", 0, &r->rev) || !read_number(value, "epoch", -1, &r->epoch) ||
        r->epoch > INT32_MAX)
        problems_add(&x->problems, "rooms.%s must be an object of whole numbers seq, rev and epoch", name);
}

static void read_rooms(struct exchange *x, struct sync *s)
{
    const struct json *rooms = json_get(x->tree, "rooms");
    enum json_kind kind = json_kind(rooms);
    if (kind == JSON_ABSENT || kind == JSON_NULL)
        return;
    if (kind != JSON_OBJECT || json_count(rooms) > SYNC_ROOMS_MAX) {
        problems_add(&x->problems, "rooms must be an object of at most %d rooms", SYNC_ROOMS_MAX);
        return;
    }
    s->rooms = exchange_alloc(x, (json_count(rooms) + 1) * sizeof *s->rooms);
    s->taken = exchange_alloc(x, (json_count(rooms) + 1) * sizeof *s->taken);
    for (const struct json *at = json_first(rooms); at != NULL; at = json_next(at))
        read_room(x, &s->rooms[s->count++], at);
}

static void read_limit(struct exchange *x, struct sync *s)
{
    if (!read_number(x->tree, "limit", SYNC_MESSAGES_MAX, &s->limit) || s->limit < 1 ||
        s->limit > SYNC_MESSAGES_MAX)
        problems_add(&x->problems, "limit must be a whole number from 1 to %d", SYNC_MESSAGES_MAX);
}

/* ---- Arrays for the statements ---- */

static void put_id(struct buf *array, const struct uuid *id)
{
    char text[UUID_TEXT_SIZE];
    uuid_format(id, text);
    buf_put_byte(array, array->size == 0 ? '{' : ',');
    buf_put_text(array, text);
}

static void put_number(struct buf *array, int64_t value)
{
    buf_put_byte(array, array->size == 0 ? '{' : ',');
    json_put_int(array, value);
}

static const char *array_text(struct buf *array)
{
    buf_put_text(array, array->size == 0 ? "{}" : "}");
    return array->data;
}

/* ---- The answer ---- */

static void put_head(struct buf *out, const char *room, int64_t seq, int64_t rev, int64_t epoch,
                     const char *unread)
{
    buf_printf(out, "\"%s\":{\"seq\":%lld,\"rev\":%lld,\"epoch\":%lld,\"unreadCount\":%s", room,
               (long long)seq, (long long)rev, (long long)epoch, unread);
}

/* The rows come in the rooms' order; a room that the asker has lost meanwhile has none. */
static const char *participants_of(const struct db_answer *answer, int *row, const char *room)
{
    if (answer == NULL || *row >= answer->rows || strcmp(answer->cell(answer, *row, 0), room) != 0)
        return NULL;
    return answer->cell(answer, (*row)++, 1);
}

/* Closes what x->text has so far; `participants` may be NULL. */
static void finish(struct exchange *x, const struct db_answer *participants)
{
    const struct sync *s = x->state;
    struct buf *out = &x->text;
    const char *comma = "";
    int row = 0;
    buf_put_text(out, "],\"rooms\":{");
    for (size_t i = 0; i < s->count; i++) {
        const struct sync_room *r = &s->rooms[i];
        if (!r->mine)
            continue;
        char room[UUID_TEXT_SIZE];
        uuid_format(&r->id, room);
        buf_put_text(out, comma);
        put_head(out, room, r->seq_next, r->rev, r->epoch, r->unread);
        const char *list = r->participants ? participants_of(participants, &row, room) : NULL;
        if (list != NULL) {
            buf_put_text(out, ",\"participants\":");
            buf_put_text(out, list);
        }
        buf_put_byte(out, '}');
        comma = ",";
    }
    if (s->heads[0] != '\0') {
        buf_put_text(out, comma);
        buf_put_text(out, s->heads);
    }
    buf_printf(out, "},\"meta\":{\"hasMore\":%s}}", s->more ? "true" : "false");
    exchange_json(x, 200, out->data, out->size);
}

static void on_participants(struct exchange *x, const struct db_answer *answer)
{
    if (answer->ok)
        finish(x, answer);
    else
        exchange_refuse_database(x, answer);
}

static void ask_participants(struct exchange *x)
{
    const struct sync *s = x->state;
    struct buf rooms = {0};
    for (size_t i = 0; i < s->count; i++)
        if (s->rooms[i].participants)
            put_id(&rooms, &s->rooms[i].id);
    if (rooms.size > 0) {
        const char *values[] = {x->who.user, array_text(&rooms)};
        exchange_query(x, QUERY_SYNC_PARTICIPANTS, 2, values, on_participants);
    } else {
        finish(x, NULL);
    }
    buf_finish(&rooms);
}

static void on_messages(struct exchange *x, const struct db_answer *answer)
{
    struct sync *s = x->state;
    if (!answer->ok) {
        exchange_refuse_database(x, answer);
        return;
    }
    for (int row = 0; row < answer->rows; row++) {
        struct sync_room *r = s->taken[strtol(query_message_beside(answer, row), NULL, 10) - 1];
        int64_t rev = query_message_rev(answer, row);
        if (row > 0)
            buf_put_byte(&x->text, ',');
        query_put_message(&x->text, answer, row, &r->id);
        if (r->cut_changed && rev > r->rev)
            r->rev = rev;
    }
    ask_participants(x);
}

enum {
    ARRAY_ROOM,
    ARRAY_REV_FROM,
    ARRAY_REV_TO,
    ARRAY_CHANGED,
    ARRAY_CHANGED_TO,
    ARRAY_SEQ_FROM,
    ARRAY_SEQ_TO,
    ARRAYS
};

static void ask_messages(struct exchange *x, const int64_t *revs)
{
    const struct sync *s = x->state;
    struct buf arrays[ARRAYS] = {{0}};
    const char *values[1 + ARRAYS] = {x->who.user};
    for (size_t i = 0; i < s->taken_count; i++) {
        const struct sync_room *r = s->taken[i];
        put_id(&arrays[ARRAY_ROOM], &r->id);
        put_number(&arrays[ARRAY_REV_FROM], revs[i]);
        put_number(&arrays[ARRAY_REV_TO], r->head_rev);
        put_number(&arrays[ARRAY_CHANGED], r->take_changed);
        put_number(&arrays[ARRAY_CHANGED_TO], r->seq);
        put_number(&arrays[ARRAY_SEQ_FROM], r->new_from);
        put_number(&arrays[ARRAY_SEQ_TO], r->new_to);
    }
    for (int i = 0; i < ARRAYS; i++)
        values[1 + i] = array_text(&arrays[i]);
    exchange_query(x, QUERY_SYNC_MESSAGES, 1 + ARRAYS, values, on_messages);
    for (int i = 0; i < ARRAYS; i++)
        buf_finish(&arrays[i]);
}

/* ---- What fits ---- */

/* Takes a room's messages as far as `left` allows; false when some had to stay. */
static bool take_messages(struct sync_room *r, int64_t *left)
{
    int64_t from = r->seq > r->history_seq ? r->seq : r->history_seq;
    int64_t fresh = r->head_seq > from ? r->head_seq - from : 0;
    r->cut_changed = r->changed > *left;
    r->take_changed = r->cut_changed ? *left : r->changed;
    *left -= r->take_changed;
    int64_t take = r->cut_changed ? 0 : fresh < *left ? fresh : *left;
    *left -= take;
    r->new_from = from;
    r->new_to = from + take;
    if (r->cut_changed)
        return false;
    r->seq_next = fresh > 0 ? r->new_to : r->head_seq;
    r->rev = r->head_rev;
    return take == fresh;
}

/* A mark moves no rev: who comes back learns of marks by the participants of the rooms it named, the first
 * ones first, as far as they are few. In the last answer only, for else each would bring them again. */
static void choose_watermarks(struct exchange *x)
{
    struct sync *s = x->state;
    size_t left = SYNC_WATERMARKS_MAX;
    for (size_t i = 0; i < s->count; i++) {
        struct sync_room *r = &s->rooms[i];
        if (!r->mine || r->participants)
            continue;
        size_t members = members_room_size(x->ports->members, &r->id);
        r->participants = members <= left;
        left -= r->participants ? members : 0;
    }
}

/* Rooms in the client's order until one had to be cut off; the rest is asked for again as it was. */
static void choose(struct exchange *x)
{
    struct sync *s = x->state;
    int64_t left = s->limit, participants_left = SYNC_PARTICIPANTS_MAX;
    int64_t *revs = exchange_alloc(x, (s->count + 1) * sizeof *revs);
    for (size_t i = 0; i < s->count && !s->more; i++) {
        struct sync_room *r = &s->rooms[i];
        if (!r->mine)
            continue;
        bool moved = r->rev != r->head_rev || (r->rev == 0 && r->seq == 0);
        int64_t members = moved ? (int64_t)members_room_size(x->ports->members, &r->id) : 0;
        if (members > participants_left && participants_left < SYNC_PARTICIPANTS_MAX) {
            s->more = true;
            break;
        }
        revs[s->taken_count] = r->rev;
        s->more = !take_messages(r, &left);
        r->participants = moved && !r->cut_changed;
        participants_left -= members;
        if (r->take_changed > 0 || r->new_to > r->new_from)
            s->taken[s->taken_count++] = r;
    }
    if (!s->more)
        choose_watermarks(x);
    if (s->taken_count > 0)
        ask_messages(x, revs);
    else
        ask_participants(x);
}

/* ---- Heads ---- */

enum head_column {
    HEAD_ROOM,
    HEAD_PLACE,
    HEAD_SEQ,
    HEAD_REV,
    HEAD_EPOCH,
    HEAD_UNREAD,
    HEAD_HISTORY,
    HEAD_CHANGED
};

static int64_t head_number(const struct db_answer *answer, int row, enum head_column column)
{
    return strtoll(answer->cell(answer, row, (int)column), NULL, 10);
}

/* What the client has, held against the head. */
static void meet(struct exchange *x, struct sync_room *r, const struct db_answer *answer, int row)
{
    int64_t epoch = head_number(answer, row, HEAD_EPOCH);
    r->mine = true;
    r->head_seq = head_number(answer, row, HEAD_SEQ);
    r->head_rev = head_number(answer, row, HEAD_REV);
    r->history_seq = head_number(answer, row, HEAD_HISTORY);
    r->changed = head_number(answer, row, HEAD_CHANGED);
    r->unread =
        exchange_copy(x, answer->cell(answer, row, HEAD_UNREAD), answer->cell_size(answer, row, HEAD_UNREAD));
    /* Nobody can be ahead of a room: who is has what the room has lost, even if the epoch does not tell. */
    if ((r->epoch >= 0 && r->epoch != epoch) || r->seq > r->head_seq || r->rev > r->head_rev)
        r->seq = r->rev = r->changed = 0;
    r->epoch = epoch;
    r->seq_next = r->seq;
}

static void on_heads(struct exchange *x, const struct db_answer *answer)
{
    struct sync *s = x->state;
    if (!answer->ok) {
        exchange_refuse_database(x, answer);
        return;
    }
    for (int row = 0; row < answer->rows; row++) {
        const char *place = answer->cell(answer, row, HEAD_PLACE);
        if (place != NULL) {
            meet(x, &s->rooms[strtol(place, NULL, 10) - 1], answer, row);
            continue;
        }
        if (x->text.size > 0)
            buf_put_byte(&x->text, ',');
        put_head(&x->text, answer->cell(answer, row, HEAD_ROOM), head_number(answer, row, HEAD_SEQ),
                 head_number(answer, row, HEAD_REV), head_number(answer, row, HEAD_EPOCH),
                 answer->cell(answer, row, HEAD_UNREAD));
        buf_put_byte(&x->text, '}');
    }
    s->heads = x->text.size > 0 ? exchange_copy(x, x->text.data, x->text.size) : "";
    buf_clear(&x->text);
    buf_put_text(&x->text, "{\"data\":[");
    choose(x);
}

void sync_rooms(struct exchange *x)
{
    if (!exchange_body(x))
        return;
    struct sync *s = exchange_alloc(x, sizeof *s);
    x->state = s;
    read_rooms(x, s);
    read_limit(x, s);
    if (exchange_refuse_problems(x))
        return;
    struct buf rooms = {0}, seqs = {0}, revs = {0}, epochs = {0}, limit = {0};
    for (size_t i = 0; i < s->count; i++) {
        put_id(&rooms, &s->rooms[i].id);
        put_number(&seqs, s->rooms[i].seq);
        put_number(&revs, s->rooms[i].rev);
        if (s->rooms[i].epoch >= 0)
            put_number(&epochs, s->rooms[i].epoch);
        else
            buf_put_text(&epochs, i == 0 ? "{null" : ",null");
    }
    json_put_int(&limit, s->limit);
    const char *values[] = {x->who.user,       array_text(&rooms),  array_text(&seqs),
                            array_text(&revs), array_text(&epochs), limit.data};
    exchange_query(x, QUERY_SYNC_HEADS, 6, values, on_heads);
    buf_finish(&rooms);
    buf_finish(&seqs);
    buf_finish(&revs);
    buf_finish(&epochs);
    buf_finish(&limit);
}
