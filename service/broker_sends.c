/* Sends and marks without an answer, in the order of their making and by their number. */
#include "core/log.h"
#include "service/broker_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Sends. ---- */

static struct send **bucket(struct broker *b, uint64_t request)
{
    return &b->table[request & (SENDS_TABLE - 1)];
}

static struct send *find_send(struct broker *b, uint64_t request)
{
    struct send *s = *bucket(b, request);
    while (s && s->request != request)
        s = s->next_hashed;
    return s;
}

static void add_send(struct broker *b, struct send *s)
{
    struct send **at = bucket(b, s->request);
    s->next_hashed = *at;
    *at = s;
    s->previous = b->last;
    if (b->last)
        b->last->next = s;
    else
        b->first = s;
    b->last = s;
    b->send_count++;
}

static void take_send(struct broker *b, struct send *s)
{
    struct send **at = bucket(b, s->request);
    while (*at != s)
        at = &(*at)->next_hashed;
    *at = s->next_hashed;
    if (s->previous)
        s->previous->next = s->next;
    else
        b->first = s->next;
    if (s->next)
        s->next->previous = s->previous;
    else
        b->last = s->previous;
    b->send_count--;
}

void broker_put_send(struct broker *b, struct send *s)
{
    if (b->phase == PHASE_DOWN)
        return;
    const char *payload = s->user + s->user_size, *request_id = payload + s->payload_size;
    s->put_back = false;
    if (s->tries++ > 0)
        log_debug("broker", "sent again tries=%u request=%.*s", s->tries, (int)s->request_id_size,
                  request_id);
    broker_put(b, &(struct wire_record){.type = s->type,
                                        .request = s->request,
                                        .room = s->room,
                                        .user = s->user,
                                        .user_size = s->user_size,
                                        .fallback_id = s->fallback_id,
                                        .fallback_id_size = UUID_TEXT_SIZE - 1,
                                        .payload = payload,
                                        .payload_size = s->payload_size,
                                        .request_id = request_id,
                                        .request_id_size = s->request_id_size});
}

void broker_answer_failed(struct send *s)
{
    struct broker_answer answer = {.room = s->room, .error = s->error};
    s->done(s->context, &answer);
    free(s);
}

/* Takes it off the list and tells it at the turn's end. */
static void fail_send(struct broker *b, struct send *s)
{
    take_send(b, s);
    s->next = NULL;
    struct send **at = &b->failed;
    while (*at)
        at = &(*at)->next;
    *at = s;
}

void broker_fail_late(struct broker *b, struct send *s)
{
    if (s->tries == 0)
        error_set(&s->error, ERROR_UNAVAILABLE, "broker_unavailable",
                  "the broker can't be reached: try again in a moment");
    else
        error_set(&s->error, ERROR_UNCERTAIN, "uncertain",
                  s->type != WIRE_SEND ? "no answer in time: the mark may or may not have been stored"
                                       : "no answer in time: the message may or may not have been stored; "
                                         "the same clientMessageId finds out");
    fail_send(b, s);
}

static void begin(struct broker *b, enum wire_type type, const struct broker_send *send,
                  broker_answer_fn done, void *context)
{
    size_t user_size = strlen(send->user);
    size_t id_size = send->request_id != NULL ? strnlen(send->request_id, WIRE_REQUEST_ID_MAX) : 0;
    struct send *s = mem_alloc(sizeof *s + user_size + send->payload_size + id_size);
    *s = (struct send){.type = type,
                       .request = ++b->last_request,
                       .room = send->room,
                       .made_ns = broker_now_ns(b),
                       .done = done,
                       .context = context,
                       .user_size = user_size,
                       .payload_size = send->payload_size,
                       .request_id_size = id_size};
    memcpy(s->user, send->user, user_size);
    memcpy(s->user + user_size, send->payload, send->payload_size);
    if (id_size > 0)
        memcpy(s->user + user_size + send->payload_size, send->request_id, id_size);
    struct clock_port *clock = loop_clock(b->loop);
    struct uuid id;
    uuid_make(&id, clock->wall_ms(clock));
    uuid_format(&id, s->fallback_id);
    add_send(b, s);
    if (b->send_count <= BROKER_SENDS_MAX) {
        broker_put_send(b, s);
        return;
    }
    error_set(&s->error, ERROR_UNAVAILABLE, "busy", "too many messages wait for their answer");
    fail_send(b, s);
}

void broker_on_send(struct broker_port *port, const struct broker_send *send, broker_answer_fn done,
                    void *context)
{
    begin((struct broker *)port, WIRE_SEND, send, done, context);
}

void broker_on_mark(struct broker_port *port, bool delivered, const struct broker_send *mark,
                    broker_answer_fn done, void *context)
{
    begin((struct broker *)port, delivered ? WIRE_DELIVERED : WIRE_READ, mark, done, context);
}

/* ---- Answers. ---- */

void broker_on_stored(struct broker *b, const struct wire_record *r)
{
    struct send *s = find_send(b, r->request);
    if (!s)
        return; /* answered already, or given up */
    take_send(b, s);
    struct broker_answer answer = {.stored = true,
                                   .room = r->room,
                                   .seq = r->seq,
                                   .message = r->payload,
                                   .message_size = r->payload_size};
    s->done(s->context, &answer);
    free(s);
}

/* A resend may meet a limit, or a removal, that its first try did not: that says nothing of the first. */
static bool says_nothing(const struct send *s, const struct error *e)
{
    return s->type == WIRE_SEND && s->tries > 1 &&
           (e->code == ERROR_LIMIT || e->code == ERROR_UNAVAILABLE || e->code == ERROR_DENIED ||
            e->code == ERROR_NOT_FOUND);
}

void broker_on_rejected(struct broker *b, const struct wire_record *r)
{
    struct send *s = find_send(b, r->request);
    if (!s)
        return;
    struct broker_answer answer = {.room = s->room};
    answer.error.code = r->error_code ? (enum error_code)r->error_code : ERROR_INTERNAL;
    snprintf(answer.error.word, sizeof answer.error.word, "%.*s", (int)r->word_size, r->word);
    snprintf(answer.error.text, sizeof answer.error.text, "%.*s", (int)r->payload_size, r->payload);
    if (says_nothing(s, &answer.error)) {
        s->put_back = true;
        return;
    }
    take_send(b, s);
    s->done(s->context, &answer);
    free(s);
}
