#include "tests/conformance/client_suite.h"

#include "core/clock.h"
#include "core/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BINARY "asdfasdf"

struct suite {
    struct clock_port *clock;
};

/* A namespace's name, and what its sockets are refused with. */
struct place {
    struct suite *suite;
    const char *name, *refusal;
};

struct guest {
    struct place *place;
    char id[SOCKET_ID_SIZE];
    struct buf handshake;
};

static struct suite the_suite;
static struct place places[] = {{&the_suite, "/", NULL},
                                {&the_suite, "/foo", NULL},
                                {&the_suite, "/timeout_socket", NULL},
                                {&the_suite, "/valid", NULL},
                                {&the_suite, "/asd", NULL},
                                {&the_suite, "/abc", NULL},
                                {&the_suite, "/no", "{\"message\":\"Auth failed (custom namespace)\"}"}};

static struct slice text_slice(const char *text)
{
    return (struct slice){text, strlen(text)};
}

/* ---- The handshake, as that server shows it. ---- */

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void put_decoded(struct buf *out, const char *text, size_t size)
{
    struct buf plain = {0};

    for (size_t i = 0; i < size; i++) {
        if (text[i] == '%' && i + 2 < size && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0) {
            buf_put_byte(&plain, (unsigned char)(hex(text[i + 1]) * 16 + hex(text[i + 2])));
            i += 2;
        } else {
            buf_put_byte(&plain, (unsigned char)text[i]);
        }
    }
    json_put_string(out, plain.size > 0 ? plain.data : "", plain.size);
    buf_finish(&plain);
}

static void put_query(struct buf *out, const char *query)
{
    bool first = true;

    buf_put_byte(out, '{');
    while (query != NULL && *query != '\0') {
        size_t size = strcspn(query, "&"), name = strcspn(query, "=&");

        if (!first)
            buf_put_byte(out, ',');
        first = false;
        put_decoded(out, query, name);
        buf_put_byte(out, ':');
        put_decoded(out, query + name + (name < size), size - name - (name < size));
        query += size + (query[size] == '&');
    }
    buf_put_byte(out, '}');
}

static bool query_fails(const char *query)
{
    return query != NULL && (strncmp(query, "fail=", 5) == 0 || strstr(query, "&fail=") != NULL);
}

/* ---- Sockets. ---- */

static void on_connect(void *self, struct socket *socket, struct slice auth, const char *query)
{
    struct place *place = self;
    struct guest *g;

    if (place->refusal != NULL) {
        socket_refuse(socket, place->refusal);
        return;
    }
    if (strcmp(place->name, "/") == 0 && query_fails(query)) {
        socket_refuse(socket, "{\"message\":\"Auth failed (main namespace)\"}");
        return;
    }
    g = mem_zalloc(1, sizeof *g);
    g->place = place;
    buf_put_text(&g->handshake, "{\"query\":");
    put_query(&g->handshake, query);
    buf_put_text(&g->handshake, ",\"auth\":");
    buf_put(&g->handshake, auth.text, auth.size);
    buf_put_byte(&g->handshake, '}');
    socket_set_holder(socket, g);
    socket_accept(socket, g->id);
    if (strcmp(place->name, "/abc") == 0)
        socket_emit(socket, "handshake", (struct slice){g->handshake.data, g->handshake.size});
}

static void on_disconnect(void *self, struct socket *socket, enum session_end end)
{
    struct guest *g = socket_holder(socket);

    (void)self, (void)end;
    if (g == NULL)
        return;
    buf_finish(&g->handshake);
    free(g);
}

/* ---- Events. ---- */

/* The client's answer to `ack` must be 5 and an object whose `test` is true. */
static void on_answer(void *context, const struct slice *args)
{
    struct buf list = {0};
    struct json *tree;
    int64_t number = 0;
    bool test = false;

    if (args == NULL)
        return;
    buf_put_byte(&list, '[');
    buf_put(&list, args->text, args->size);
    buf_put_byte(&list, ']');
    tree = json_parse(list.data, list.size, NULL);
    if (json_count(tree) == 2 && json_integer(json_first(tree), &number) && number == 5 &&
        json_bool(json_get(json_next(json_first(tree)), "test"), &test) && test)
        socket_emit(context, "got it", (struct slice){NULL, 0});
    json_destroy(&tree);
    buf_finish(&list);
}

static void emit_utf8(struct socket *socket)
{
    static const char *const texts[] = {"\"てすと\"", "\"Я Б Г Д Ж Й\"", "\"Ä ä Ü ü ß\"", "\"utf8 — string\"",
                                        "\"utf8 — string\""};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        socket_emit(socket, "takeUtf8", text_slice(texts[i]));
}

static void emit_binary(struct socket *socket, const char *name)
{
    struct slice bytes = text_slice(BINARY);

    socket_emit_binary(socket, name, text_slice("{\"_placeholder\":true,\"num\":0}"), &bytes, 1);
}

static void answer_date(struct suite *suite, struct socket *socket, const struct event *event)
{
    char when[CLOCK_TEXT_SIZE], text[CLOCK_TEXT_SIZE + 16];
    int64_t now_ms = suite->clock->wall_ms(suite->clock);

    clock_format(now_ms, when);
    snprintf(text, sizeof text, slice_is(event->name, "getDateObj") ? "{\"date\":\"%s\"}" : "\"%s\"", when);
    if (slice_is(event->name, "getAckDate"))
        socket_ack(socket, &event->ack, text_slice(text), NULL, 0);
    else
        socket_emit(socket, slice_is(event->name, "getDate") ? "takeDate" : "takeDateObj", text_slice(text));
}

static void answer_id(const struct guest *g, struct socket *socket, const struct event *event)
{
    char text[SOCKET_ID_SIZE + 3];

    snprintf(text, sizeof text, "\"%.*s\"", SOCKET_ID_SIZE, g->id);
    socket_ack(socket, &event->ack, text_slice(text), NULL, 0);
}

/* Events that are answered with another when they carry so many attachments. */
static const struct {
    const char *name, *answer;
    unsigned attachments;
} ANSWERS[] = {{"hi", "hi", 0},
               {"buffa", "buffack", 1},
               {"jsonbuff", "jsonbuff-ack", 1},
               {"abuff2", "abuff2-ack", 0},
               {"blob", "back", 1},
               {"jsonblob", "jsonblob-ack", 1},
               {"blob3", "blob3-ack", 1}};

static void on_main_event(const struct guest *g, struct socket *socket, const struct event *event)
{
    struct slice name = event->name;

    for (size_t i = 0; i < sizeof ANSWERS / sizeof *ANSWERS; i++) {
        if (slice_is(name, ANSWERS[i].name) && event->attachment_count == ANSWERS[i].attachments)
            socket_emit(socket, ANSWERS[i].answer, (struct slice){NULL, 0});
    }
    if (slice_is(name, "echo"))
        socket_ack(socket, &event->ack, event->args, event->attachments, event->attachment_count);
    else if (slice_is(name, "ack"))
        socket_ask(socket, "ack", (struct slice){NULL, 0}, on_answer, socket);
    else if (slice_is(name, "getAckDate") || slice_is(name, "getDate") || slice_is(name, "getDateObj"))
        answer_date(g->place->suite, socket, event);
    else if (slice_is(name, "getUtf8"))
        emit_utf8(socket);
    else if (slice_is(name, "false"))
        socket_emit(socket, "false", text_slice("false"));
    else if (slice_is(name, "doge"))
        emit_binary(socket, "doge");
    else if (slice_is(name, "getbin"))
        emit_binary(socket, "takebin");
    else if (slice_is(name, "getHandshake"))
        socket_ack(socket, &event->ack, (struct slice){g->handshake.data, g->handshake.size}, NULL, 0);
}

static void on_event(void *self, struct socket *socket, const struct event *event)
{
    const struct guest *g = socket_holder(socket);

    (void)self;
    if (slice_is(event->name, "getId"))
        answer_id(g, socket, event);
    else if (strcmp(g->place->name, "/") == 0)
        on_main_event(g, socket, event);
}

void client_suite_add(struct sockets *sockets, struct clock_port *clock)
{
    the_suite.clock = clock;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        sockets_add(sockets, places[i].name,
                    &(struct nsp_handlers){.self = &places[i],
                                           .on_connect = on_connect,
                                           .on_event = on_event,
                                           .on_disconnect = on_disconnect});
}
