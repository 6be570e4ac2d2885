/* One request on its way to its answer: who asks, what was found wrong, and the memory that goes with it.
 *
 * A handler starts what it needs (exchange_query, exchange_send, exchange_barrier, exchange_timer) and ends
 * with exactly one of the answering functions. A callback that comes after the answer is dropped, and the
 * exchange lives until the last one has come: a client that has gone, or the end of the service, needs no
 * care in handlers.
 *
 * Flow:   http.c makes it -> handler -> database, broker -> exchange_answer or a refusal -> request_ops.
 * Thread: the service's loop.
 * Owns:   its arena and buffers, freed with it; the request, until it is answered. */
#ifndef PARLOR_HTTP_EXCHANGE_H
#define PARLOR_HTTP_EXCHANGE_H

#include "core/access.h"
#include "core/json.h"
#include "core/ports.h"
#include "core/token.h"
#include "http/args.h"
#include "http/problems.h"
#include "http/router.h"
#include "http/traffic.h"

struct http;
struct exchange;
struct exchange_block;

#define EXCHANGE_HEADERS_MAX 20 /* names and values, with the closing NULL */

typedef void (*exchange_db_fn)(struct exchange *x, const struct db_answer *answer);
typedef void (*exchange_broker_fn)(struct exchange *x, const struct broker_answer *answer);
typedef void (*exchange_barrier_fn)(struct exchange *x, bool reached);
typedef void (*exchange_timer_fn)(struct exchange *x);

struct exchange {
    struct http *http;
    const struct ports *ports;
    struct request *request; /* NULL once answered */
    struct route_match match;
    struct token who;    /* when the route needs a token */
    struct uuid id;      /* set by exchange_id */
    const char *id_text; /* the same, lower case */
    struct args args;
    struct problems problems;
    struct buf text; /* for the body that is being built */
    struct json *tree;
    const char *cache;       /* Cache-Control of the answer; NULL: no-store */
    const char *hint;        /* the refusal's next step; NULL: the word's own */
    const char *repeat_hint; /* ... of an uncertain one; NULL: as for most */
    int64_t started_ns;
    struct traffic *traffic; /* told of the answer; may be NULL */
    void *state;             /* the handler's, in the arena */
    /* the rest is exchange.c's own */
    const char *headers[EXCHANGE_HEADERS_MAX];
    size_t header_count;
    unsigned holds; /* one for the answer, one for each callback that is due */
    struct exchange_block *blocks;
    exchange_db_fn on_db;
    exchange_broker_fn on_broker;
    exchange_barrier_fn on_barrier;
    exchange_timer_fn on_timer;
    struct timer *timer;
    struct exchange *next, **link; /* among those under way */
};

/* Takes the request over; `list` is the head of those under way. */
struct exchange *exchange_create(struct http *http, const struct ports *ports, struct request *request,
                                 struct exchange **list);

/* Zeroed memory, and a copy of a text, that live as long as the exchange. */
void *exchange_alloc(struct exchange *x, size_t size);
char *exchange_copy(struct exchange *x, const char *text, size_t size);

/* A header of the answer; `name` is a constant, `value` is copied. */
void exchange_header(struct exchange *x, const char *name, const char *value);

/* Answers. A NULL type answers without a body. */
void exchange_answer(struct exchange *x, int status, const char *type, const char *body, size_t size);
void exchange_json(struct exchange *x, int status, const char *body, size_t size);
/* UNCERTAIN stands as `uncertain` for requests that change something; a read is told to try again. */
void exchange_refuse(struct exchange *x, const struct error *e);
void exchange_refuse_status(struct exchange *x, int status, const char *word, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Answers 400 with every problem and returns true when there are any. */
bool exchange_refuse_problems(struct exchange *x);
/* Answers the failure of a statement: its class and word, logged by what the database said. */
void exchange_refuse_database(struct exchange *x, const struct db_answer *answer);
/* Begins the text of a list, of which one row more than the limit was asked for. Returns how many rows are
 * its own; *more_out: it goes on behind them. */
int exchange_begin_list(struct exchange *x, const struct db_answer *answer, int64_t limit, bool *more_out);

/* The id in the path's part `index`, into x->id and x->id_text; a problem when it is no UUID. */
bool exchange_id(struct exchange *x, size_t index, const char *name);

/* The body as an object, into x->tree; answers the refusal and returns false when it is none. */
bool exchange_body(struct exchange *x);

/* One at a time of each kind; the callback is not called once the request is answered. A send or mark gets
 * the request's id. */
void exchange_query(struct exchange *x, const char *sql, int count, const char *const *values,
                    exchange_db_fn done);
void exchange_send(struct exchange *x, const struct broker_send *send, exchange_broker_fn done);
void exchange_mark(struct exchange *x, const struct broker_send *mark, exchange_broker_fn done); /* as read */
/* x->id_text is the room that was changed. */
void exchange_barrier(struct exchange *x, int64_t version, int64_t timeout_ms, exchange_barrier_fn done);
void exchange_timer(struct exchange *x, int64_t delay_ms, exchange_timer_fn done); /* ends with the answer */

/* A room's refusal to one who may not know it, the same for strangers and unknown ids. */
void exchange_refuse_room(struct exchange *x);

#endif
