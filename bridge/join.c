/* join_chat: the room, and with afterSeq what was missed, without a hole or a double towards what comes live.
 *
 * From the moment of the question the room's live messages are kept back for this socket. The database's
 * answer may be older or newer than what was passed on meanwhile: rows newer than that are left to come live,
 * and what was kept back and is newer than the last row given goes out right behind the answer.
 *
 * A socket that asks again, having given up its first question, must not lose what the first one keeps: it
 * is the newest question of a room that keeps, also what was kept for those before it, whose answers may
 * then repeat what came live.
 *
 * However much a client asks for at once, its answers alone must not make it a slow reader: a question waits
 * until what is unsent and what those before it may bring leave room for its own answer. */
#include "bridge/chat_socket.h"
#include "core/access.h"
#include "core/config.h"
#include "core/queries.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOINS_MAX   1000 /* of one socket that wait for their answer */
#define STARTED_MAX 16   /* of these, those that the database is asked for; the others wait for their turn */
#define DRAIN_MS    20   /* how often it is looked whether the reader has taken enough for the next */

/* What parts of an answer take, rather more than less. */
#define ROOM_SIZE        1024
#define PARTICIPANT_SIZE 256
#define MESSAGE_SIZE     8192
#define PAGE_MIN         (2 * MESSAGE_SIZE) /* some may come while it is asked for */

struct kept {
    int64_t seq;
    struct shared *frame;
};

struct join {
    struct question question;
    struct join *next; /* of the socket */
    struct uuid room;
    int64_t after;
    bool catches_up;
    bool keeps; /* catches up, and no newer one of the room does */
    bool started;
    bool asked;          /* the database has it: it is freed when that answers */
    struct timer *timer; /* until it is started */
    size_t page;         /* bytes of messages that its answer may have; one message in any case */
    size_t size;         /* of its answer, about */
    struct buf room_json;
    struct kept *kept;
    size_t kept_count, kept_capacity;
};

/* Takes it off its socket and frees it, now or when the database has answered. */
static void join_end(struct join *j)
{
    struct chat_socket *s = j->question.socket;

    if (s != NULL) {
        struct clock_port *clock = s->chat->ports.clock;
        struct join **place = &s->joins;

        clock->cancel(clock, &j->timer);
        while (*place != j)
            place = &(*place)->next;
        *place = j->next;
        s->joins_started -= j->started;
        s->joins_size -= j->started ? j->size : 0;
        question_close(&j->question);
    }
    for (size_t i = 0; i < j->kept_count; i++)
        shared_drop(j->kept[i].frame);
    free(j->kept);
    j->kept = NULL;
    j->kept_count = j->kept_capacity = 0;
    buf_finish(&j->room_json);
    if (!j->asked)
        free(j);
}

/* What was kept and is not in the answer, before the join goes. */
static void send_kept(struct join *j, int64_t given)
{
    for (size_t i = 0; i < j->kept_count; i++) {
        if (j->kept[i].seq > given)
            socket_send(j->question.socket->socket, j->kept[i].frame);
    }
}

/* The one that asked before j for the same room, and waits; NULL: none. */
static struct join *older(const struct join *j)
{
    struct join *o = j->next;

    while (o != NULL && (!o->catches_up || !uuid_equal(&o->room, &j->room)))
        o = o->next;
    return o;
}

/* What one keeps becomes what the other keeps; the other has kept nothing yet, or keeps no more. */
static void hand_over(struct join *from, struct join *to)
{
    to->keeps = true;
    to->kept = from->kept;
    to->kept_count = from->kept_count;
    to->kept_capacity = from->kept_capacity;
    from->keeps = false;
    from->kept = NULL;
    from->kept_count = from->kept_capacity = 0;
}

static void start_next(struct chat_socket *s);

static void join_fail(struct join *j, const struct error *e)
{
    struct chat_socket *s = j->question.socket;

    question_fail(&j->question, e);
    if (j->question.socket != NULL) {
        struct join *before = j->keeps ? older(j) : NULL;

        if (before != NULL)
            hand_over(j, before);
        else
            send_kept(j, 0);
    }
    join_end(j);
    if (s != NULL)
        start_next(s);
}

bool join_keeps(struct chat_socket *s, const struct uuid *room, int64_t seq, struct shared *frame)
{
    for (struct join *j = s->joins; j != NULL; j = j->next) {
        if (!j->keeps || !uuid_equal(&j->room, room))
            continue;
        if (j->kept_count == j->kept_capacity) {
            j->kept_capacity = j->kept_capacity == 0 ? 4 : j->kept_capacity * 2;
            j->kept = mem_realloc(j->kept, j->kept_capacity * sizeof *j->kept);
        }
        j->kept[j->kept_count++] = (struct kept){seq, shared_hold(frame)};
        return true;
    }
    return false;
}

/* Appends the rows that were passed on already, within the limits; returns the number of the last one. */
static int64_t put_missed(struct buf *out, const struct db_answer *answer, int64_t passed, size_t page)
{
    size_t start = out->size;
    int64_t given = 0;
    bool more = false;

    buf_put_text(out, ",\"missed\":[");
    for (int i = 0; i < answer->rows; i++) {
        int64_t seq = strtoll(answer->cell(answer, i, 0), NULL, 10);
        size_t size = answer->cell_size(answer, i, 1);

        if (seq > passed)
            break;
        more = i == CHAT_MISSED_MAX || (given > 0 && out->size - start + size > page);
        if (more)
            break;
        if (given > 0)
            buf_put_byte(out, ',');
        buf_put(out, answer->cell(answer, i, 1), size);
        given = seq;
    }
    buf_put_text(out, more ? "],\"hasMore\":true" : "],\"hasMore\":false");
    return given;
}

static void answer_join(struct join *j, const struct db_answer *answer)
{
    struct chat_socket *s = j->question.socket;
    struct room *room = audience_find(s->chat->audience, &j->room);
    struct buf more = {0};
    int64_t given = 0;

    buf_put_text(&more, ",\"room\":");
    buf_put(&more, j->room_json.data, j->room_json.size);
    if (answer != NULL && room != NULL)
        given = put_missed(&more, answer, room_passed(room), j->page);
    else
        buf_put_text(&more, ",\"missed\":[],\"hasMore\":false");
    question_answer(&j->question, (struct slice){more.data, more.size});
    buf_finish(&more);
    send_kept(j, given);
    join_end(j);
    start_next(s);
}

/* True when the socket is there, may still read the room, and the database has answered. */
static bool may_go_on(struct join *j, const struct db_answer *answer)
{
    struct error e = {0};

    j->asked = false;
    if (j->question.socket == NULL) {
        join_end(j);
        return false;
    }
    if (chat_may(j->question.socket, &j->room, OPERATION_READ, &e) == 0 && answer->ok)
        return true;
    join_fail(j, e.code != ERROR_NONE ? &e : &answer->error);
    return false;
}

static void on_missed(void *context, const struct db_answer *answer)
{
    struct join *j = context;

    if (may_go_on(j, answer))
        answer_join(j, answer);
}

static void ask_missed(struct join *j, const char *history)
{
    struct db_port *db = j->question.socket->chat->ports.db;
    int64_t history_seq = strtoll(history, NULL, 10);
    char id[UUID_TEXT_SIZE], after[24], limit[16];

    uuid_format(&j->room, id);
    snprintf(after, sizeof after, "%lld", (long long)(j->after > history_seq ? j->after : history_seq));
    snprintf(limit, sizeof limit, "%d", CHAT_MISSED_MAX + 1);
    j->asked = true;
    db->query(db, QUERY_MESSAGES_AFTER, 3, (const char *const[]){id, after, limit}, on_missed, j);
}

static void on_room(void *context, const struct db_answer *answer)
{
    struct join *j = context;
    struct error e;

    if (!may_go_on(j, answer))
        return;
    if (answer->rows == 0) {
        error_set(&e, ERROR_NOT_FOUND, "room_not_found", "There is no such room.");
        join_fail(j, &e);
        return;
    }
    buf_put(&j->room_json, answer->cell(answer, 0, 0), answer->cell_size(answer, 0, 0));
    if (j->catches_up)
        ask_missed(j, answer->cell(answer, 0, 3));
    else
        answer_join(j, NULL);
}

static void start(struct join *j)
{
    struct chat_socket *s = j->question.socket;
    struct db_port *db = s->chat->ports.db;
    struct clock_port *clock = s->chat->ports.clock;
    char id[UUID_TEXT_SIZE];

    clock->cancel(clock, &j->timer);
    j->started = true;
    s->joins_started++;
    s->joins_size += j->size;
    uuid_format(&j->room, id);
    j->asked = true;
    db->query(db, QUERY_ROOM, 2, (const char *const[]){id, s->person->name}, on_room, j);
}

/* Of those that wait the one that came first; NULL: none. */
static struct join *first_waiting(const struct chat_socket *s)
{
    struct join *first = NULL;

    for (struct join *j = s->joins; j != NULL; j = j->next)
        first = j->started ? first : j;
    return first;
}

/* By what the room has now. */
static void measure(struct join *j)
{
    const struct chat *chat = j->question.socket->chat;
    const struct room *room = audience_find(chat->audience, &j->room);
    size_t page_max = (size_t)chat->ports.config->unsent_bytes_max / 2;
    int64_t missed = room != NULL ? room_passed(room) - j->after : 0;

    if (page_max > CHAT_MISSED_BYTES)
        page_max = CHAT_MISSED_BYTES;
    j->page = missed < CHAT_MISSED_MAX ? (size_t)(missed > 0 ? missed : 0) * MESSAGE_SIZE : page_max;
    if (j->page < PAGE_MIN)
        j->page = PAGE_MIN;
    if (j->page > page_max)
        j->page = page_max;
    j->size = ROOM_SIZE + members_room_size(chat->ports.members, &j->room) * PARTICIPANT_SIZE;
    j->size += j->catches_up ? j->page : 0;
}

/* A quarter of what may be unsent stays for what comes live. */
static bool may_start(struct join *j)
{
    const struct chat_socket *s = j->question.socket;
    size_t unsent = socket_unsent(s->socket);

    if (s->person->unready > 0 || s->joins_started == STARTED_MAX)
        return false;
    measure(j);
    return unsent + s->joins_size + j->size <= (size_t)s->chat->ports.config->unsent_bytes_max / 4 * 3 ||
           (unsent == 0 && s->joins_started == 0);
}

static void on_drain(void *context)
{
    struct chat_socket *s = context;

    s->joins_timer = NULL;
    start_next(s);
}

/* Those that wait, in the order in which they came; with none under way, whose end would be the next
 * occasion, by the timer. */
static void start_next(struct chat_socket *s)
{
    struct clock_port *clock = s->chat->ports.clock;
    struct join *first;

    while ((first = first_waiting(s)) != NULL && may_start(first))
        start(first);
    if (first != NULL && s->joins_started == 0 && s->person->unready == 0 && s->joins_timer == NULL)
        s->joins_timer = clock->start(clock, DRAIN_MS, on_drain, s);
}

static void on_timeout(void *context)
{
    struct join *j = context;
    struct error e;

    j->timer = NULL;
    error_set(&e, ERROR_UNAVAILABLE, "unavailable", "The room's messages can't be had at the moment.");
    join_fail(j, &e);
}

int join_check(const struct chat_socket *s, struct error *e)
{
    unsigned count = 0;

    for (const struct join *j = s->joins; j != NULL; j = j->next)
        count++;
    if (count < JOINS_MAX)
        return 0;
    return error_set(e, ERROR_LIMIT, "rate_limited",
                     "%d join_chat and leave_chat wait for their answers; wait for some of them.", JOINS_MAX);
}

void join_begin(struct chat_socket *s, const struct asked *a, int64_t after, bool catches_up)
{
    struct clock_port *clock = s->chat->ports.clock;
    struct join *j = mem_zalloc(1, sizeof *j);

    question_open(&j->question, s, a);
    j->room = a->room;
    j->after = after;
    j->catches_up = j->keeps = catches_up;
    j->next = s->joins;
    s->joins = j;
    if (catches_up && older(j) != NULL)
        hand_over(older(j), j);
    j->timer = clock->start(clock, s->chat->ports.config->answer_timeout_ms, on_timeout, j);
    start_next(s);
}

void join_ready(struct chat_socket *s)
{
    start_next(s);
}

void join_cancel(struct chat_socket *s, const struct uuid *room)
{
    struct error e;
    struct join *next;

    error_set(&e, ERROR_NOT_FOUND, "room_not_found", "There is no such room.");
    for (struct join *j = s->joins; j != NULL; j = next) {
        next = j->next;
        if (room != NULL && !uuid_equal(&j->room, room))
            continue;
        if (room != NULL)
            question_fail(&j->question, &e);
        join_end(j);
    }
    if (room != NULL)
        start_next(s);
    else
        s->chat->ports.clock->cancel(s->chat->ports.clock, &s->joins_timer);
}
