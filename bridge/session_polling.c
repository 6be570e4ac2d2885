/* The polling transport of a session: one GET is held until there is something to send, and POST brings
 * batches. */
#include "bridge/session.h"

#include "bridge/farewells.h"
#include "core/json.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A poll between the probe and the upgrade is held so long, for else the client would poll without a pause.
 */
#define NOOP_MS 100

static void drop_waiting(struct polling *p)
{
    for (size_t i = 0; i < p->count; i++)
        shared_drop(p->waiting[i]);
    p->count = 0;
    p->bytes = 0;
}

void session_free_polling(struct session *s)
{
    struct polling *p = s->polling;

    if (p == NULL)
        return;
    assert(p->poll == NULL);
    deadlines_clear(s->engine->upgrades, &p->upgrade);
    drop_waiting(p);
    free(p->waiting);
    free(p);
    s->polling = NULL;
}

/* ---- Polls. ---- */

/* It is no longer held; it is to be answered. */
static struct request *take_poll(struct session *s)
{
    struct request *poll = s->polling->poll;

    s->polling->poll = NULL;
    deadlines_clear(s->engine->noops, &s->polling->noop);
    return poll;
}

void session_answer_poll(struct session *s, const char *text, size_t size)
{
    engine_answer(s->engine, take_poll(s), 200, ENGINEIO_POLL_TYPE, text, size);
}

/* What waits, as one batch, and a last packet behind it (NULL: none). */
static void take_waiting(struct polling *p, const char *last, struct buf *body)
{
    for (size_t i = 0; i < p->count; i++) {
        const char *bytes;
        size_t size;
        bool binary = websocket_payload(p->waiting[i], &bytes, &size) == WEBSOCKET_BINARY;

        engineio_batch_put(body, binary, bytes, size);
    }
    drop_waiting(p);
    if (last != NULL)
        engineio_batch_put(body, false, last, strlen(last));
}

void session_flush_poll(struct session *s, const char *last)
{
    struct buf body = {0};

    if (s->polling->poll == NULL)
        return;
    take_waiting(s->polling, last, &body);
    if (body.size > 0)
        session_answer_poll(s, body.data, body.size);
    buf_finish(&body);
}

void session_leave_words(struct session *s, const char *last)
{
    struct buf words = {0};

    take_waiting(s->polling, last, &words);
    farewells_keep(s->engine->farewells, s->id, &words);
}

/* ---- The polling transport. ---- */

static void on_poll_gone(struct request *request)
{
    struct session *s = request->holder;

    engine_answer(s->engine, take_poll(s), 200, NULL, NULL, 0);
    session_end(s, SESSION_TRANSPORT_ERROR);
}

void session_on_noop(void *context, struct deadline *deadline)
{
    (void)context;
    session_answer_poll(owner_of(deadline, struct polling, noop)->session, "6", 1);
}

void session_on_poll(struct session *s, struct request *request)
{
    struct polling *p = s->polling;

    if (p == NULL) {
        engine_answer_error(s->engine, request, 400, 3);
        return;
    }
    if (p->poll != NULL) {
        engine_answer_error(s->engine, request, 400, 3);
        session_end(s, SESSION_TRANSPORT_ERROR);
        return;
    }
    p->poll = request;
    request->holder = s;
    request->on_gone = on_poll_gone;
    if (s->transport == TRANSPORT_PROBED)
        deadlines_set(s->engine->noops, &p->noop, NOOP_MS);
    else if (p->count > 0)
        session_flush_poll(s, NULL);
}

void session_on_post(struct session *s, struct request *request)
{
    struct engine *e = s->engine;
    struct engineio_batch batch = {0};
    struct engineio_packet packet;
    int more = 1;

    if (s->polling == NULL) {
        engine_answer_error(e, request, 400, 3);
        return;
    }
    if (request->body_size > e->options.payload_max) {
        engine_answer(e, request, 413, NULL, NULL, 0);
        return;
    }
    session_use(s);
    if (request->body_size == 0 || !utf8_check(request->body, request->body_size))
        more = -1;
    else
        engineio_batch_open(&batch, request->body, request->body_size);
    while (more == 1 && !s->closed && (more = engineio_batch_next(&batch, &packet)) == 1)
        session_on_packet(s, &packet);
    engineio_batch_close(&batch);
    if (more < 0) {
        engine_answer_error(e, request, 400, 3);
        session_end(s, SESSION_PARSE_ERROR);
    } else {
        engine_answer(e, request, 200, "text/html", "ok", 2);
    }
    session_unuse(s);
}
