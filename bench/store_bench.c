/* What storing costs PostgreSQL: CPU of all its processes per row of store_batch, at several batch sizes, and
 * beside it, in turns of half a second, that of a plain INSERT of the same rows into the same table, in the
 * same array: the floor, and the measure on a machine whose speed wobbles.
 *
 * Usage: store_bench DATABASE_URL [SECONDS [ROOMS [BATCH ...]]]
 * The database must be migrated; rooms and participants of the measurement are added to it and stay. The CPU
 * is /proc/PID/schedstat of the postmaster and all its children: run it on the database's own machine, with
 * nothing else on that server. */
#include "core/clock.h"
#include "core/db.h"
#include "plugin/batch.h"
#include "plugin/store.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROOMS_MAX   10000
#define USERS       2 /* a room */
#define BATCH_MAX   1000
#define TURN_NS     INT64_C(500000000)
#define PLAIN_SEQ   "1000000000000" /* past every seq that store_batch gives here */
#define DEADLINE_NS INT64_C(10000000000)
#define CONTENT     "a message of the usual length, say some eighty characters of text, as people write"

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "store_bench: %s: %s\n", what, why);
    exit(1);
}

static long parent_of(long pid)
{
    char path[64], line[512];
    snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
    FILE *f = fopen(path, "r");
    long parent = 0;
    if (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        const char *end = strrchr(line, ')');
        parent = end != NULL && strlen(end) > 4 ? strtol(end + 4, NULL, 10) : 0;
    }
    if (f != NULL) {
        fclose(f);
    }
    return parent;
}

static int64_t cpu_of(long pid)
{
    char path[64];
    int64_t ns = 0;
    snprintf(path, sizeof(path), "/proc/%ld/schedstat", pid);
    FILE *f = fopen(path, "r");
    if (f != NULL) {
        if (fscanf(f, "%" SCNd64, &ns) != 1) {
            ns = 0;
        }
        fclose(f);
    }
    return ns;
}

static int64_t cpu_of_server(long postmaster)
{
    int64_t ns = cpu_of(postmaster);
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    while (proc != NULL && (entry = readdir(proc)) != NULL) {
        long pid = strtol(entry->d_name, NULL, 10);
        if (pid > 0 && parent_of(pid) == postmaster) {
            ns += cpu_of(pid);
        }
    }
    closedir(proc);
    return ns;
}

static int64_t cpu_own(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

struct bench {
    struct uuid rooms[ROOMS_MAX];
    uint64_t room_count;
    long postmaster;
    struct config config;
    struct store *store;
    struct draft drafts[BATCH_MAX];
    struct store_item items[BATCH_MAX];
    char users[USERS][16];
    uint64_t sent;
    PGconn *plain; /* for the plain INSERT */
    struct batch plain_batch;
};

struct cost {
    size_t rows;
    int64_t server_ns, own_ns, wall_ns;
};

static PGresult *run(PGconn *conn, const char *sql)
{
    struct error e;
    PGresult *r = db_exec(conn, sql, 0, NULL, 60000, &e);
    if (r == NULL) {
        fail(sql, e.text);
    }
    return r;
}

static void prepare_rooms(struct bench *b)
{
    struct error e;
    PGconn *conn = db_connect(b->config.database_url, "store_bench", 5000, &e);
    if (conn == NULL) {
        fail("connect", e.text);
    }
    PGresult *r = run(conn, "select pg_backend_pid()");
    b->postmaster = parent_of(strtol(PQgetvalue(r, 0, 0), NULL, 10));
    PQclear(r);
    char sql[1024];
    snprintf(sql, sizeof(sql),
             "with made as (insert into chat_rooms (id, type, name, created_by, active_at, created_at, "
             "updated_at) "
             "select gen_random_uuid(), 'group', 'bench', 'bench', now(), now(), now() from "
             "generate_series(1, %d) "
             "returning id) select id from made",
             (int)b->room_count);
    r = run(conn, sql);
    for (int i = 0; i < (int)b->room_count; i++) {
        uuid_parse(PQgetvalue(r, i, 0), 36, &b->rooms[i]);
    }
    PQclear(r);
    snprintf(sql, sizeof(sql),
             "insert into chat_participants (room_id, user_id, role, joined_at) select r.id, 'user-' || n, "
             "'member', "
             "now() from chat_rooms r, generate_series(0, %d) n where name = 'bench' on conflict do nothing",
             USERS - 1);
    PQclear(run(conn, sql));
    PQclear(run(conn, "analyze"));
    PQclear(run(conn, "checkpoint"));
    PQfinish(conn);
}

static void make_items(struct bench *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct draft *d = &b->drafts[i];
        struct store_item *item = &b->items[i];
        uint64_t n = b->sent++;
        int64_t now_ms = clock_wall_ms();
        snprintf(d->client_message_id, sizeof(d->client_message_id), "%" PRId64 "-%" PRIu64, now_ms, n);
        d->type = "text";
        d->content = CONTENT;
        d->content_size = strlen(CONTENT);
        d->body_hash = (int64_t)n;
        *item = (struct store_item){.room = b->rooms[n % b->room_count],
                                    .user = b->users[n / b->room_count % USERS],
                                    .draft = d,
                                    .created_at_ms = now_ms};
        uuid_make(&item->id, now_ms);
    }
}

static void store_rows(struct bench *b, size_t batch)
{
    struct error e;
    if (store_batch(b->store, b->items, batch, clock_mono_ns() + DEADLINE_NS, &e) != 0) {
        fail("store_batch", e.text);
    }
    for (size_t i = 0; i < batch; i++) {
        if (b->items[i].outcome != STORE_STORED) {
            fail("not stored", b->items[i].error.text);
        }
    }
    store_flush(b->store, clock_mono_ns() + DEADLINE_NS, &e);
}

static void insert_rows(struct bench *b, size_t batch)
{
    struct params *p = &b->plain_batch.items;
    batch_sort(&b->plain_batch, b->items, batch);
    batch_fill(&b->plain_batch, b->items, batch, false);
    params_end(p);
    PGresult *r = PQexecPrepared(b->plain, "plain", p->count, p->values, p->sizes, p->formats, 1);
    if (PQresultStatus(r) != PGRES_COMMAND_OK) {
        fail("plain INSERT", PQerrorMessage(b->plain));
    }
    PQclear(r);
}

static void prepare_plain(struct bench *b)
{
    struct error e;
    b->plain = db_connect(b->config.database_url, "store_bench plain", 5000, &e);
    if (b->plain == NULL) {
        fail("connect", e.text);
    }
    PGresult *r = run(b->plain, "select 'parlor_item'::regtype::oid");
    b->plain_batch.item_oid = (uint32_t)strtoul(PQgetvalue(r, 0, 0), NULL, 10);
    PQclear(r);
    PQclear(run(
        b->plain,
        "set plan_cache_mode = force_generic_plan; prepare plain as insert into chat_messages (seq, id, "
        "room_id, sender_id, client_message_id, type, content, mentions, reply_to_id, created_at, body_hash) "
        "select " PLAIN_SEQ " + i.body_hash, i.id, i.room_id, i.sender_id, i.client_message_id, i.type, "
        "i.content, i.mentions, i.reply_to_id, i.created_at, i.body_hash from unnest($1::parlor_item[]) i"));
}

static void measure_turn(struct bench *b, size_t batch, void (*rows)(struct bench *, size_t),
                         struct cost *cost)
{
    int64_t server = cpu_of_server(b->postmaster), own = cpu_own(), start = clock_mono_ns();
    while (clock_mono_ns() - start < TURN_NS) {
        make_items(b, batch);
        rows(b, batch);
        cost->rows += batch;
    }
    cost->wall_ns += clock_mono_ns() - start;
    cost->own_ns += cpu_own() - own;
    cost->server_ns += cpu_of_server(b->postmaster) - server;
}

static void measure(struct bench *b, size_t batch, int64_t seconds)
{
    struct cost store = {0}, plain = {0};
    for (int64_t turn = 0; turn < seconds; turn++) {
        measure_turn(b, batch, store_rows, &store);
        measure_turn(b, batch, insert_rows, &plain);
    }
    double n = (double)store.rows;
    printf(
        "batch %4zu: %6.0f rows/s, server CPU %6.1f us a row (plain INSERT %6.1f), own CPU %5.1f us a row\n",
        batch, n * 1e9 / (double)store.wall_ns, (double)store.server_ns / 1e3 / n,
        (double)plain.server_ns / 1e3 / (double)plain.rows, (double)store.own_ns / 1e3 / n);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fail("usage", "store_bench DATABASE_URL [SECONDS [ROOMS [BATCH ...]]]");
    }
    struct bench *b = calloc(1, sizeof(*b));
    int64_t seconds = argc > 2 ? strtol(argv[2], NULL, 10) : 5;
    b->room_count = argc > 3 ? (uint64_t)strtol(argv[3], NULL, 10) : 50;
    if (b->room_count == 0 || b->room_count > ROOMS_MAX) {
        fail("ROOMS", "1 to 10000");
    }
    b->config =
        (struct config){.database_url = argv[1], .lock_timeout_ms = 1000, .database_timeout_ms = 10000};
    b->store = store_create(&b->config);
    for (size_t i = 0; i < USERS; i++) {
        snprintf(b->users[i], sizeof(b->users[i]), "user-%zu", i);
    }
    prepare_rooms(b);
    prepare_plain(b);
    struct error e;
    if (store_connect(b->store, clock_mono_ns() + DEADLINE_NS, &e) != 0) {
        fail("store_connect", e.text);
    }
    static const size_t usual[] = {1, 30, 300};
    for (int i = 0; i < (argc > 4 ? argc - 4 : 3); i++) {
        size_t batch = argc > 4 ? (size_t)strtol(argv[i + 4], NULL, 10) : usual[i];
        measure(b, batch < BATCH_MAX ? batch : BATCH_MAX, seconds);
    }
    store_destroy(&b->store);
    batch_finish(&b->plain_batch);
    PQfinish(b->plain);
    free(b);
    return 0;
}
