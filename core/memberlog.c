/* The follower is a loop of three: connected and listening; a read of what is new, or of everything; a wait
 * for a notification, a hurry, or a second. Each read ends in one batch, also when nothing is new, for then
 * it says that the mirror is current.
 *
 * Versions come in the order of commits and without gaps (sql/0001_chat.sql), so what is past ours is all
 * that we lack. When the log cannot continue from ours, because it was trimmed, went back, or is another
 * database's, all is loaded again. */
#include "core/memberlog.h"

#include "core/buf.h"
#include "core/clock.h"
#include "core/db.h"
#include "core/log.h"
#include "core/memberlog_batch.h"
#include "core/outbox.h"

#include <endian.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define READ_INTERVAL_MS 1000
#define RETRY_MS         500
#define STOP_INTERVAL_MS 100   /* how soon a long load sees that it is to stop */
#define CHANGES_MAX      10000 /* in one batch; more come with the next, at once */
#define LOAD_TIMEOUT_NS  INT64_C(60000000000)
#define COPY_HEADER_SIZE 19 /* signature, flags, length of the extension */
#define COPY_FIELDS      5
#define CHANGES_MAX_TEXT "10000"

struct memberlog {
    const struct config *config;
    char *application_name;
    memberlog_fn on_batch;
    void *context;
    pthread_t thread;
    int wake; /* eventfd */
    atomic_bool stopping;
    pthread_mutex_t lock; /* of the retired */
    struct memberlog_batch *retired;
    struct outbox *outbox; /* NULL: not followed */
    /* the thread's own */
    PGconn *conn;
    char identity[DB_IDENTITY_SIZE];
    int64_t version; /* -1: nothing is loaded */
    bool was_down;
};

/* ---- Reading everything. ---- */

static int command(struct memberlog *log, const char *sql, struct error *e)
{
    PGresult *r = db_exec(log->conn, sql, 0, NULL, log->config->database_timeout_ms, e);
    PQclear(r);
    return r == NULL ? -1 : 0;
}

static int malformed(struct error *e)
{
    return error_set(e, ERROR_INTERNAL, "internal", "the membership could not be read: a malformed row");
}

/* One row of COPY's binary form: the number of fields, then each with its length before it. */
static int add_copied(struct memberlog_batch *b, const char *row, size_t size, struct error *e)
{
    const char *fields[COPY_FIELDS];
    size_t sizes[COPY_FIELDS];
    const char *at = row + sizeof(uint16_t), *end = row + size;
    for (size_t i = 0; i < COPY_FIELDS; i++) {
        uint32_t length;
        if ((size_t)(end - at) < sizeof(length)) {
            return malformed(e);
        }
        memcpy(&length, at, sizeof(length));
        fields[i] = at + sizeof(length);
        sizes[i] = be32toh(length);
        if (sizes[i] > (size_t)(end - fields[i])) {
            return malformed(e);
        }
        at = fields[i] + sizes[i];
    }
    char type[16] = "", role[16] = "";
    uint64_t history;
    if (sizes[0] != sizeof(struct uuid) || sizes[1] >= sizeof(type) || sizes[3] >= sizeof(role) ||
        sizes[4] != sizeof(history)) {
        return malformed(e);
    }
    struct uuid room;
    memcpy(&history, fields[4], sizeof(history));
    memcpy(&room, fields[0], sizeof(room));
    memcpy(type, fields[1], sizes[1]);
    memcpy(role, fields[3], sizes[3]);
    bool good = batch_add(b, &room, type, fields[2], sizes[2], role, (int64_t)be64toh(history));
    return good ? 0 : malformed(e);
}

static int add_row(struct memberlog_batch *b, const char *row, size_t size, bool first, struct error *e)
{
    if (first) {
        row += COPY_HEADER_SIZE;
        size = size < COPY_HEADER_SIZE ? 0 : size - COPY_HEADER_SIZE;
    }
    uint16_t fields;
    if (size < sizeof(fields)) {
        return size == 0 ? 0 : malformed(e);
    }
    memcpy(&fields, row, sizeof(fields));
    if (fields == UINT16_MAX) {
        return 0; /* the trailer */
    }
    return be16toh(fields) == COPY_FIELDS ? add_copied(b, row, size, e) : malformed(e);
}

/* Waits until more of the COPY is there. */
static int wait_copy(struct memberlog *log, int64_t deadline_ns, struct error *e)
{
    struct pollfd p = {.fd = PQsocket(log->conn), .events = POLLIN};
    if (atomic_load(&log->stopping) || clock_mono_ns() > deadline_ns) {
        return error_set(e, ERROR_UNAVAILABLE, "database_unavailable",
                         "the membership could not be read in time");
    }
    poll(&p, 1, STOP_INTERVAL_MS);
    return PQconsumeInput(log->conn) == 1 ? 0 : db_error(log->conn, NULL, e);
}

static int copy_rows(struct memberlog *log, struct memberlog_batch *b, struct error *e)
{
    int64_t deadline_ns = clock_mono_ns() + LOAD_TIMEOUT_NS;
    for (bool first = true;;) {
        char *row = NULL;
        int size = PQgetCopyData(log->conn, &row, 1);
        if (size > 0) {
            int ok = add_row(b, row, (size_t)size, first, e);
            first = false;
            PQfreemem(row);
            if (ok != 0) {
                return -1;
            }
        } else if (size == 0) {
            if (wait_copy(log, deadline_ns, e) != 0) {
                return -1;
            }
        } else {
            return size == -1 ? 0 : db_error(log->conn, NULL, e);
        }
    }
}

/* The results of a finished COPY: its completion, and the NULL behind it. */
static int copy_end(struct memberlog *log, struct error *e)
{
    int ok = 0;
    PGresult *r;
    while ((r = PQgetResult(log->conn)) != NULL) {
        if (PQresultStatus(r) != PGRES_COMMAND_OK) {
            ok = db_error(log->conn, r, e);
        }
        PQclear(r);
        if (PQstatus(log->conn) != CONNECTION_OK) {
            return db_error(log->conn, NULL, e);
        }
    }
    return ok;
}

static int copy_all(struct memberlog *log, struct memberlog_batch *b, struct error *e)
{
    bool timed_out;
    if (PQsendQuery(log->conn, "copy (select p.room_id, r.type, p.user_id, p.role, p.history_seq "
                               "from chat_participants p join chat_rooms r on r.id = p.room_id) "
                               "to stdout (format binary)") != 1) {
        return db_error(log->conn, NULL, e);
    }
    PGresult *r = db_result(log->conn, clock_mono_ns() + LOAD_TIMEOUT_NS, &timed_out);
    int ok = PQresultStatus(r) == PGRES_COPY_OUT ? 0 : db_error(log->conn, r, e);
    PQclear(r);
    return ok != 0 || copy_rows(log, b, e) != 0 ? -1 : copy_end(log, e);
}

static int read_head(struct memberlog *log, int64_t *version_out, struct error *e)
{
    PGresult *r = db_exec(log->conn, "select version from chat_membership_head", 0, NULL,
                          log->config->database_timeout_ms, e);
    if (r == NULL) {
        return -1;
    }
    int ok = PQntuples(r) == 1 ? 0 : malformed(e);
    *version_out = ok == 0 ? strtoll(PQgetvalue(r, 0, 0), NULL, 10) : 0;
    PQclear(r);
    return ok;
}

/* One snapshot for the version and the rows. *out is set on success. */
static int load(struct memberlog *log, struct memberlog_batch **out, struct error *e)
{
    struct memberlog_batch *b = batch_create(true);
    if (command(log, "begin isolation level repeatable read read only", e) == 0 &&
        read_head(log, &b->version, e) == 0 && copy_all(log, b, e) == 0 && command(log, "commit", e) == 0) {
        log_info("memberlog", "loaded the membership: %zu participants at version %lld in %lld ms", b->count,
                 (long long)b->version, (long long)((clock_mono_ns() - b->read_ns) / 1000000));
        *out = b;
        return 0;
    }
    memberlog_batch_destroy(&b);
    return -1;
}

/* ---- Reading what is new. ---- */

enum change_column {
    CHANGE_HEAD,
    CHANGE_VERSION,
    CHANGE_ROOM,
    CHANGE_TYPE,
    CHANGE_USER,
    CHANGE_ROLE,
    CHANGE_HISTORY
};

static int add_change(struct memberlog_batch *b, const PGresult *r, int row, struct error *e)
{
    struct uuid room;
    if (!uuid_parse(PQgetvalue(r, row, CHANGE_ROOM), UUID_TEXT_SIZE - 1, &room)) {
        return malformed(e);
    }
    const char *role = PQgetisnull(r, row, CHANGE_ROLE) ? NULL : PQgetvalue(r, row, CHANGE_ROLE);
    b->version = strtoll(PQgetvalue(r, row, CHANGE_VERSION), NULL, 10);
    return batch_add(b, &room, PQgetvalue(r, row, CHANGE_TYPE), PQgetvalue(r, row, CHANGE_USER),
                     (size_t)PQgetlength(r, row, CHANGE_USER), role,
                     strtoll(PQgetvalue(r, row, CHANGE_HISTORY), NULL, 10))
               ? 0
               : malformed(e);
}

/* True when the rows (there is always one, with the head's version) continue from `version` without a hole.
 */
static bool continues(const PGresult *r, int64_t version)
{
    int64_t head = PQntuples(r) == 0 ? -1 : strtoll(PQgetvalue(r, 0, CHANGE_HEAD), NULL, 10);
    if (head <= version || PQgetisnull(r, 0, CHANGE_VERSION)) {
        return head == version;
    }
    return strtoll(PQgetvalue(r, 0, CHANGE_VERSION), NULL, 10) == version + 1;
}

/* 1 with *out, 0 when the log does not continue from our version, -1 on failure. */
static int read_changes(struct memberlog *log, struct memberlog_batch **out, struct error *e)
{
    struct buf version = {0};
    buf_printf(&version, "%lld", (long long)log->version);
    const char *const values[] = {version.data};
    struct memberlog_batch *b = batch_create(false);
    b->version = log->version;
    PGresult *r = db_exec(log->conn,
                          "select h.version, l.version, l.room_id, l.room_type, l.user_id, l.role, "
                          "l.history_seq "
                          "from chat_membership_head h left join lateral (select * from chat_membership_log "
                          "where version > $1::bigint order by version limit " CHANGES_MAX_TEXT ") l on true "
                          "order by l.version",
                          1, values, log->config->database_timeout_ms, e);
    buf_finish(&version);
    int ok = r == NULL ? -1 : continues(r, log->version) ? 1 : 0;
    for (int i = 0; ok == 1 && i < PQntuples(r) && !PQgetisnull(r, i, CHANGE_VERSION); i++) {
        ok = add_change(b, r, i, e) == 0 ? 1 : -1;
    }
    PQclear(r);
    if (ok == 1) {
        *out = b;
    } else {
        memberlog_batch_destroy(&b);
    }
    return ok;
}

/* ---- The thread. ---- */

static int load_again(struct memberlog *log, struct memberlog_batch **out, struct error *e)
{
    if (log->version >= 0) {
        log_warn("memberlog", "the log does not continue from version %lld: loading everything again",
                 (long long)log->version);
        log->version = -1;
        if (log->outbox != NULL) {
            outbox_forget(log->outbox);
        }
    }
    return load(log, out, e);
}

/* One batch: events first, then the changes, so that all changes before an event are there or still to come.
 * 1 when there is more to read, 0, or -1. */
static int read_batch(struct memberlog *log, struct error *e)
{
    int64_t timeout_ms = log->config->database_timeout_ms;
    struct memberlog_batch *batch = NULL;
    int more = log->outbox == NULL ? 0 : outbox_read(log->outbox, log->conn, timeout_ms, e);
    if (more < 0) {
        return -1;
    }
    int found = log->version < 0 ? 0 : read_changes(log, &batch, e);
    if (found < 0 || (found == 0 && load_again(log, &batch, e) != 0)) {
        return -1;
    }
    log->version = batch->version;
    if (log->outbox != NULL) {
        outbox_give(log->outbox, batch);
    }
    more = more || found == 0 || batch->count == CHANGES_MAX;
    log->on_batch(log->context, batch);
    return more;
}

static void free_retired(struct memberlog *log)
{
    pthread_mutex_lock(&log->lock);
    struct memberlog_batch *batch = log->retired;
    log->retired = NULL;
    pthread_mutex_unlock(&log->lock);
    while (batch != NULL) {
        struct memberlog_batch *next = batch->next;
        memberlog_batch_destroy(&batch);
        batch = next;
    }
}

static int read_now(struct memberlog *log, struct error *e)
{
    int more;
    do {
        more = read_batch(log, e);
    } while (more > 0 && !atomic_load(&log->stopping));
    free_retired(log);
    return more < 0 || log->outbox == NULL
               ? more
               : outbox_clean(log->outbox, log->conn, log->config->database_timeout_ms, e);
}

/* Listens before the first read, so that nothing falls between. */
static int connect_log(struct memberlog *log, struct error *e)
{
    char identity[DB_IDENTITY_SIZE];
    int64_t timeout_ms = log->config->database_timeout_ms;
    log->conn = db_connect(log->config->database_url, log->application_name, timeout_ms, e);
    if (log->conn == NULL || db_check(log->conn, DB_CHECK_MS, e) != 0 ||
        db_identity(log->conn, identity, timeout_ms, e) != 0 ||
        command(log, "listen parlor_members", e) != 0) {
        return -1;
    }
    if (strcmp(identity, log->identity) != 0) {
        log->version = -1;
        if (log->outbox != NULL) {
            outbox_forget(log->outbox);
        }
        memcpy(log->identity, identity, sizeof(identity));
    }
    return 0;
}

static void disconnect(struct memberlog *log)
{
    PQfinish(log->conn);
    log->conn = NULL;
}

/* Until a notification, a hurry, the end, or the timeout; several notifications are one. */
static void wait_for_news(struct memberlog *log, int timeout_ms)
{
    struct pollfd fds[] = {{.fd = log->wake, .events = POLLIN},
                           {.fd = log->conn == NULL ? -1 : PQsocket(log->conn), .events = POLLIN}};
    if (poll(fds, 2, timeout_ms) <= 0) {
        return;
    }
    uint64_t wakes;
    if (fds[0].revents != 0 && read(log->wake, &wakes, sizeof(wakes)) < 0) {
        wakes = 0; /* somebody's wake-up was taken before: nothing to do */
    }
    if (log->conn != NULL && fds[1].revents != 0) {
        PQconsumeInput(log->conn);
        PGnotify *notify;
        while ((notify = PQnotifies(log->conn)) != NULL) {
            PQfreemem(notify);
        }
    }
}

static void report(struct memberlog *log, bool up, const struct error *e)
{
    if (!up && !log->was_down) {
        log_warn("memberlog", "the membership can't be followed: %s", e->text);
    } else if (up && log->was_down) {
        log_info("memberlog", "the membership is followed again, at version %lld", (long long)log->version);
    }
    log->was_down = !up;
}

static void *follow(void *context)
{
    struct memberlog *log = context;
    while (!atomic_load(&log->stopping)) {
        struct error e;
        bool up = (log->conn != NULL || connect_log(log, &e) == 0) && read_now(log, &e) == 0;
        if (atomic_load(&log->stopping)) {
            break;
        }
        bool broke_now = !up && !log->was_down; /* most often the server has only dropped us: at once again */
        report(log, up, &e);
        if (!up) {
            disconnect(log);
        }
        wait_for_news(log, up ? READ_INTERVAL_MS : broke_now ? 0 : RETRY_MS);
    }
    disconnect(log);
    return NULL;
}

static int start_thread(struct memberlog *log)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&log->thread, NULL, follow, log);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed == 0 ? 0 : -1;
}

static void destroy(struct memberlog *log)
{
    if (log->wake >= 0) {
        close(log->wake);
    }
    free_retired(log);
    pthread_mutex_destroy(&log->lock);
    outbox_destroy(&log->outbox);
    free(log->application_name);
    free(log);
}

int memberlog_start(const struct config *config, const char *application_name, bool with_events,
                    memberlog_fn on_batch, void *context, struct memberlog **out, struct error *e)
{
    struct memberlog *log = mem_zalloc(1, sizeof(*log));
    log->config = config;
    log->application_name = mem_strdup(application_name);
    log->on_batch = on_batch;
    log->context = context;
    log->version = -1;
    log->outbox = with_events ? outbox_create() : NULL;
    pthread_mutex_init(&log->lock, NULL);
    log->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (log->wake < 0 || start_thread(log) != 0) {
        destroy(log);
        return error_set(e, ERROR_INTERNAL, "internal",
                         "the thread that follows the membership did not start");
    }
    *out = log;
    return 0;
}

void memberlog_done(struct memberlog *log, struct memberlog_batch **batch)
{
    struct memberlog_batch *b = *batch;
    *batch = NULL;
    if (log->outbox != NULL && b->event_count > 0) {
        outbox_published(log->outbox, b);
    }
    pthread_mutex_lock(&log->lock);
    b->next = log->retired;
    log->retired = b;
    pthread_mutex_unlock(&log->lock);
}

void memberlog_hurry(struct memberlog *log)
{
    uint64_t one = 1;
    if (write(log->wake, &one, sizeof(one)) < 0) {
        return; /* the count is full: it is awake already */
    }
}

void memberlog_stop(struct memberlog **log)
{
    if (log == NULL || *log == NULL) {
        return;
    }
    atomic_store(&(*log)->stopping, true);
    memberlog_hurry(*log);
    pthread_join((*log)->thread, NULL);
    destroy(*log);
    *log = NULL;
}
