#include "bridge/answers.h"
#include "bridge/argument.h"
#include "bridge/chat_socket.h"
#include "core/access.h"
#include "core/config.h"

#include <stdlib.h>
#include <string.h>

#define NS_PER_S 1000000000

/* ---- Answers. ---- */

static struct slice slice_of(const char *text)
{
    return (struct slice){text, strlen(text)};
}

static void put_answer(struct chat_socket *s, const struct ack_id *ack, struct slice more)
{
    struct buf text = {0};

    if (ack->size == 0)
        return;
    buf_reserve(&text, more.size + 16);
    buf_put_text(&text, "{\"status\":\"ok\"");
    if (more.size > 0)
        buf_put(&text, more.text, more.size);
    buf_put_byte(&text, '}');
    socket_ack(s->socket, ack, (struct slice){text.data, text.size}, NULL, 0);
    buf_finish(&text);
}

void chat_answer(struct chat_socket *s, const struct asked *a, struct slice more)
{
    answer_log(s->person->name, slice_of(a->pattern), a->request, "ok");
    put_answer(s, &a->event->ack, more);
}

void question_open(struct question *q, struct chat_socket *s, const struct asked *a)
{
    *q = (struct question){.socket = s,
                           .next = s->questions,
                           .ack = a->event->ack,
                           .pattern = a->pattern,
                           .request = a->request};
    if (q->next != NULL)
        q->next->previous = q;
    s->questions = q;
    if (q->ack.size == 0)
        buf_put(&q->data, a->data.text, a->data.size);
}

void question_close(struct question *q)
{
    if (q->socket != NULL) {
        if (q->previous != NULL)
            q->previous->next = q->next;
        else
            q->socket->questions = q->next;
        if (q->next != NULL)
            q->next->previous = q->previous;
    }
    q->socket = NULL;
    buf_finish(&q->data);
}

void question_fail(const struct question *q, const struct error *why)
{
    if (q->socket == NULL)
        return;
    answer_log(q->socket->person->name, slice_of(q->pattern), q->request, why->word);
    answer_error(q->socket->socket, &q->ack, slice_of(q->pattern), (struct slice){q->data.data, q->data.size},
                 why);
}

void question_answer(const struct question *q, struct slice more)
{
    if (q->socket == NULL)
        return;
    answer_log(q->socket->person->name, slice_of(q->pattern), q->request, "ok");
    put_answer(q->socket, &q->ack, more);
}

/* ---- Rights. ---- */

int chat_may(const struct chat_socket *s, const struct uuid *room, int operation, struct error *e)
{
    const struct person *p = s->person;
    enum room_type type = ROOM_DIRECT;
    enum member_role role = members_role(s->chat->ports.members, room, p->name, p->name_size, &type);
    struct verdict verdict;

    if (role == MEMBER_NONE)
        members_room_type(s->chat->ports.members, room, &type);
    verdict = access_room((enum operation)operation, type, role, (enum role)s->role, MEMBER_NONE);
    if (verdict.allowed)
        return 0;
    if (verdict.rule == RULE_NOT_MEMBER)
        return error_set(e, ERROR_NOT_FOUND, "room_not_found", "There is no such room.");
    return error_set(e, ERROR_DENIED, "forbidden", "You may not do this in this room.");
}

/* ---- send_message. ---- */

/* Answers with these fields, or with the broker's refusal; the question is over then. */
static void conclude(struct question *q, const struct broker_answer *answer, const struct buf *more)
{
    if (!answer->stored)
        question_fail(q, &answer->error);
    else
        question_answer(q, (struct slice){more->data, more->size});
    question_close(q);
    free(q);
}

static void on_sent(void *context, const struct broker_answer *answer)
{
    struct question *q = context;
    struct buf more = {0};

    if (answer->stored && q->ack.size > 0) {
        buf_reserve(&more, answer->message_size + 16);
        buf_put_text(&more, ",\"message\":");
        buf_put(&more, answer->message, answer->message_size);
    }
    conclude(q, answer, &more);
    buf_finish(&more);
}

/* The client's object goes on as it is: the plugin checks it, takes the fields of a draft and leaves the
 * rest. */
static int send_message(struct chat_socket *s, const struct asked *a, struct error *e)
{
    struct broker_port *broker = s->chat->ports.broker;
    char id[REQUEST_NUMBER_SIZE];
    struct question *q;

    if (chat_may(s, &a->room, OPERATION_SEND, e) != 0)
        return -1;
    if (a->data.size > (size_t)s->chat->ports.config->payload_bytes_max)
        return error_set(e, ERROR_LIMIT, "payload_too_large", "A message takes at most %lld bytes.",
                         (long long)s->chat->ports.config->payload_bytes_max);
    q = mem_alloc(sizeof *q);
    question_open(q, s, a);
    request_number_format(a->request, id);
    broker->send(broker,
                 &(struct broker_send){.user = s->person->name,
                                       .room = a->room,
                                       .payload = a->data.text,
                                       .payload_size = a->data.size,
                                       .request_id = id},
                 on_sent, q);
    return 0;
}

/* ---- join_chat, leave_chat. ---- */

static int join_chat(struct chat_socket *s, const struct asked *a, struct error *e)
{
    const struct json *after = json_get(a->object, "afterSeq");
    bool catches_up = json_kind(after) != JSON_ABSENT && json_kind(after) != JSON_NULL;
    int64_t seq = 0;

    if (catches_up && (!json_integer(after, &seq) || seq < 0))
        return error_set(e, ERROR_INVALID, "invalid_message", "afterSeq must be a whole number from 0.");
    if (chat_may(s, &a->room, OPERATION_READ, e) != 0 || join_check(s, e) != 0)
        return -1;
    chat_open_room(s, &a->room);
    join_begin(s, a, seq, catches_up);
    return 0;
}

static int leave_chat(struct chat_socket *s, const struct asked *a, struct error *e)
{
    if (chat_may(s, &a->room, OPERATION_READ, e) != 0 || join_check(s, e) != 0)
        return -1;
    chat_close_room(s, &a->room);
    if (a->event->ack.size > 0)
        join_begin(s, a, 0, false);
    else
        chat_answer(s, a, (struct slice){NULL, 0});
    return 0;
}

/* ---- typing_start, typing_stop. ---- */

static int typing(struct chat_socket *s, const struct asked *a, bool on, struct error *e)
{
    struct broker_port *broker = s->chat->ports.broker;

    if (chat_may(s, &a->room, OPERATION_SEND, e) != 0)
        return -1;
    broker->typing(broker, &a->room, s->person->name, on);
    chat_answer(s, a, (struct slice){NULL, 0});
    return 0;
}

static int typing_start(struct chat_socket *s, const struct asked *a, struct error *e)
{
    return typing(s, a, true, e);
}

static int typing_stop(struct chat_socket *s, const struct asked *a, struct error *e)
{
    return typing(s, a, false, e);
}

/* ---- mark_as_read. ---- */

static void on_marked(void *context, const struct broker_answer *answer)
{
    struct buf more = {0};

    buf_printf(&more, ",\"readSeq\":%lld", (long long)answer->seq);
    conclude(context, answer, &more);
    buf_finish(&more);
}

/* Appends the payload of read/{user} to out. */
static int put_mark(struct buf *out, const struct json *object, struct error *e)
{
    const struct json *seq = json_get(object, "seq"), *id = json_get(object, "messageId");
    bool has_seq = json_kind(seq) != JSON_ABSENT && json_kind(seq) != JSON_NULL;
    bool has_id = json_kind(id) != JSON_ABSENT && json_kind(id) != JSON_NULL;
    const char *text = json_string(id);
    int64_t number = 0;
    struct uuid message;

    if (has_seq == has_id)
        return error_set(e, ERROR_INVALID, "invalid_message", "Either messageId or seq must be given.");
    if (has_seq && !json_seq(seq, &number))
        return error_set(e, ERROR_INVALID, "invalid_message", "seq must be a whole number from 0.");
    if (has_id && (text == NULL || !uuid_parse(text, strlen(text), &message)))
        return error_set(e, ERROR_INVALID, "invalid_message", "messageId must be the id of a message.");
    if (has_seq) {
        buf_printf(out, "{\"seq\":%lld}", (long long)number);
    } else {
        char canonical[UUID_TEXT_SIZE];

        uuid_format(&message, canonical);
        buf_printf(out, "{\"messageId\":\"%s\"}", canonical);
    }
    return 0;
}

static int mark_as_read(struct chat_socket *s, const struct asked *a, struct error *e)
{
    struct broker_port *broker = s->chat->ports.broker;
    char id[REQUEST_NUMBER_SIZE];
    struct buf payload = {0};
    struct question *q;

    if (chat_may(s, &a->room, OPERATION_READ, e) != 0 || put_mark(&payload, a->object, e) != 0)
        return -1;
    q = mem_alloc(sizeof *q);
    question_open(q, s, a);
    request_number_format(a->request, id);
    broker->mark(broker, false,
                 &(struct broker_send){.user = s->person->name,
                                       .room = a->room,
                                       .payload = payload.data,
                                       .payload_size = payload.size,
                                       .request_id = id},
                 on_marked, q);
    buf_finish(&payload);
    return 0;
}

/* ---- Events. ---- */

/* 0 when it was answered or will be, else -1 with the error to answer. */
typedef int (*handler_fn)(struct chat_socket *s, const struct asked *a, struct error *e);

static const struct {
    const char *name;
    handler_fn fn;
} HANDLERS[] = {{"send_message", send_message}, {"mark_as_read", mark_as_read}, {"join_chat", join_chat},
                {"leave_chat", leave_chat},     {"typing_start", typing_start}, {"typing_stop", typing_stop}};

/* A user's events of all its sockets, by the rate of sends. */
static bool within_rate(struct chat_socket *s)
{
    const struct config *c = s->chat->ports.config;
    struct clock_port *clock = s->chat->ports.clock;
    struct person *p = s->person;
    int64_t now, cost, at;

    if (!c->limits || c->sends_per_s <= 0)
        return true;
    now = clock->mono_ns(clock);
    cost = NS_PER_S / c->sends_per_s;
    at = p->full_ns > now ? p->full_ns : now;
    if (at + cost - now > cost * c->sends_burst)
        return false;
    p->full_ns = at + cost;
    return true;
}

static int dispatch(struct chat_socket *s, struct asked *a, struct error *e)
{
    const char *room = json_string(json_get(a->object, "chatRoomId"));

    for (size_t i = 0; i < sizeof HANDLERS / sizeof *HANDLERS; i++) {
        if (!slice_is(a->event->name, HANDLERS[i].name))
            continue;
        a->pattern = HANDLERS[i].name;
        if (json_kind(a->object) != JSON_OBJECT)
            return error_set(e, ERROR_INVALID, "invalid_message", "%s takes one object.", a->pattern);
        if (room == NULL || !uuid_parse(room, strlen(room), &a->room))
            return error_set(e, ERROR_INVALID, "invalid_message", "chatRoomId must be the id of a room.");
        return HANDLERS[i].fn(s, a, e);
    }
    return error_set(e, ERROR_INVALID, "unknown_event", "/chat knows no such event.");
}

void chat_on_event(void *self, struct socket *socket, const struct event *event)
{
    struct chat *chat = self;
    struct chat_socket *s = socket_holder(socket);
    struct asked a = {.event = event, .request = request_ids_take(&chat->requests)};
    struct buf copy = {0};
    struct error e = {0};
    struct json *tree = NULL;
    int result;

    if (!within_rate(s)) {
        chat->stats.limited++;
        result = error_set(&e, ERROR_LIMIT, "rate_limited", "Too many events; slow down.");
    } else if (event->args.size == 0) {
        result = dispatch(s, &a, &e);
    } else {
        a.object = tree = event_argument(event->args, &a.data, &copy, &e);
        result = tree == NULL ? -1 : dispatch(s, &a, &e);
    }
    if (result != 0) {
        answer_log(s->person->name, event->name, a.request, e.word);
        answer_error(s->socket, &event->ack, event->name, tree != NULL ? a.data : (struct slice){NULL, 0},
                     &e);
    }
    json_destroy(&tree);
    buf_finish(&copy);
}
