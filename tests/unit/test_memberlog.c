/* The membership log and its follower against a real PostgreSQL: loading, changes as they are committed, and
 * what makes it load again. */
#include "core/memberlog.h"

#include "core/clock.h"
#include "core/log.h"
#include "tests/unit/pg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <time.h>

#define WAIT_S     20
#define PAIRS_MANY 200000

static char url[160];
static struct config config;
static PGconn *conn;
static struct memberlog *follower;
static struct members *members; /* applied on the follower's thread, under the lock */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t applied = PTHREAD_COND_INITIALIZER;
static int batches, resets;
static char changes[1024]; /* what on_change was told */
static char events[1024];  /* what came of the outbox */
static int numbered;       /* the number that the last event had as its payload */
static bool lose;          /* batches are dropped as if the owner had died before it published them */

static void on_change(void *context, const struct uuid *room, enum room_type type, const char *user,
                      size_t user_size, enum member_role role)
{
    (void)context;
    (void)room;
    size_t used = strlen(changes);
    snprintf(changes + used, sizeof(changes) - used, "%.*s:%s:%s ", (int)user_size, user,
             room_type_name(type), role == MEMBER_NONE ? "-" : member_role_name(role));
}

/* Whatever an event is about, its membership is applied. */
static void on_event(void *context, const struct memberlog_event *event)
{
    (void)context;
    size_t used = strlen(events);
    bool known = members_version(members) >= event->version;
    snprintf(events + used, sizeof(events) - used, "%s%s:%s:%s ", known ? "" : "TOO EARLY ",
             event->user[0] == '\0' ? "room" : event->user, event->messages ? "messages" : "events",
             event->payload);
    assert_int_equal(strlen(event->payload), event->payload_size);
    int number = (int)strtol(event->payload, NULL, 10);
    assert_true(number == 0 || number == numbered + 1);
    numbered = number;
}

static void on_batch(void *context, struct memberlog_batch *batch)
{
    (void)context;
    pthread_mutex_lock(&lock);
    memberlog_apply(batch, members, on_change, NULL);
    batches++;
    resets += memberlog_batch_is_reset(batch);
    memberlog_each_event(batch, on_event, NULL);
    if (lose) {
        memberlog_batch_destroy(&batch);
    } else {
        memberlog_done(follower, &batch);
    }
    pthread_cond_broadcast(&applied);
    pthread_mutex_unlock(&lock);
}

/* Waits until the mirror has the version, and `more_batches` came since `batches_before`. */
static void wait_version(int64_t version, int batches_before)
{
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += WAIT_S;
    pthread_mutex_lock(&lock);
    int timed_out = 0;
    while (timed_out == 0 && (members_version(members) < version || batches <= batches_before)) {
        timed_out = pthread_cond_timedwait(&applied, &lock, &end);
    }
    pthread_mutex_unlock(&lock);
    assert_int_equal(timed_out, 0);
}

static int batch_count(void)
{
    pthread_mutex_lock(&lock);
    int count = batches;
    pthread_mutex_unlock(&lock);
    return count;
}

static int64_t head(void)
{
    return strtoll(pg_sql(conn, "select version from chat_membership_head"), NULL, 10);
}

static struct uuid make_room(const char *type, const char *creator, const char *others)
{
    struct uuid id;
    char text[UUID_TEXT_SIZE];
    uuid_make(&id, clock_wall_ms());
    uuid_format(&id, text);
    pg_sql(conn, "select outcome from parlor_room_create('%s', '%s', '%s', null, '%s', null, null, 5000)",
           text, creator, type, others);
    return id;
}

static enum member_role role_of(const struct uuid *room, const char *user)
{
    pthread_mutex_lock(&lock);
    enum member_role role = members_role(members, room, user, strlen(user), NULL);
    pthread_mutex_unlock(&lock);
    return role;
}

static bool sees(const struct uuid *room, const char *user, int64_t seq)
{
    pthread_mutex_lock(&lock);
    bool answer = members_sees(members, room, user, strlen(user), seq);
    pthread_mutex_unlock(&lock);
    return answer;
}

static void start_follower(void)
{
    struct error e = {0};
    pthread_mutex_lock(&lock); /* on_batch waits until the follower is known */
    assert_int_equal(memberlog_start(&config, "parlor members", true, on_batch, NULL, &follower, &e), 0);
    pthread_mutex_unlock(&lock);
}

static int set_up(void **state)
{
    (void)state;
    conn = pg_database("memberlog");
    pg_url("memberlog", url);
    config = (struct config){.database_url = url, .database_timeout_ms = 2000};
    members = members_create();
    batches = resets = 0;
    changes[0] = events[0] = '\0';
    lose = false;
    numbered = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    memberlog_stop(&follower);
    members_destroy(&members);
    PQfinish(conn);
    return 0;
}

static void test_loads_then_follows(void **state)
{
    (void)state;
    struct uuid first = make_room("group", "ann", "{bob}");
    start_follower();
    wait_version(2, 0);
    assert_int_equal(role_of(&first, "ann"), MEMBER_OWNER);
    assert_int_equal(role_of(&first, "bob"), MEMBER_MEMBER);
    assert_int_equal(role_of(&first, "cid"), MEMBER_NONE);
    assert_string_equal(changes, "");

    struct uuid second = make_room("direct", "cid", "{ann}");
    wait_version(4, 0);
    assert_int_equal(role_of(&second, "cid"), MEMBER_MEMBER);
    pg_sql(conn, "update chat_participants set role = 'admin' where user_id = 'bob'");
    pg_sql(conn, "delete from chat_participants where user_id = 'bob'");
    wait_version(6, 0);
    assert_int_equal(role_of(&first, "bob"), MEMBER_NONE);
    assert_string_equal(changes, "ann:direct:member cid:direct:member bob:group:admin bob:group:- ");
    assert_int_equal(resets, 1);
}

/* How far back a member sees comes with the load and with each change, also of it alone. */
static void test_histories(void **state)
{
    (void)state;
    struct uuid room = make_room("group", "ann", "{bob,cid}");
    pg_sql(conn, "update chat_participants set history_seq = 7 where user_id = 'bob'");
    start_follower();
    wait_version(4, 0);
    assert_true(sees(&room, "ann", 1) && sees(&room, "cid", 1) && sees(&room, "bob", 8));
    assert_false(sees(&room, "bob", 7));
    pg_sql(conn, "update chat_participants set history_seq = 300 where user_id = 'cid'");
    pg_sql(conn, "update chat_participants set role = 'admin' where user_id = 'bob'");
    wait_version(6, 0);
    assert_false(sees(&room, "cid", 300) || sees(&room, "bob", 7));
    assert_true(sees(&room, "cid", 301) && sees(&room, "bob", 8));
    pg_sql(conn, "delete from chat_participants where user_id = 'bob'");
    pg_sql(conn, "insert into chat_participants (room_id, user_id, role, joined_at) "
                 "select id, 'bob', 'member', now() from chat_rooms");
    wait_version(8, 0);
    assert_true(sees(&room, "bob", 1));
    assert_int_equal(resets, 1);
}

static void test_watermarks_are_no_changes(void **state)
{
    (void)state;
    make_room("group", "ann", "{bob}");
    pg_sql(conn, "update chat_participants set read_seq = 5, role = role");
    assert_int_equal(head(), 2);
}

static void test_versions_have_no_gaps(void **state)
{
    (void)state;
    make_room("group", "ann", "{bob}");
    pg_sql(conn, "begin");
    make_room("group", "ann", "{bob,cid}");
    pg_sql(conn, "rollback");
    make_room("group", "ann", "{bob}");
    assert_string_equal(pg_sql(conn, "select string_agg(version::text, ' ' order by version) "
                                     "from chat_membership_log"),
                        "1 2 3 4");
}

/* A notification brings a change long before the second's read: ten in a row come faster than ten reads
 * would. */
static void test_a_notification_is_heeded(void **state)
{
    (void)state;
    start_follower();
    wait_version(0, 0);
    int64_t start_ns = clock_mono_ns();
    for (int i = 1; i <= 10; i++) {
        make_room("support", "ann", "{}");
        wait_version(i, 0);
    }
    assert_true(clock_mono_ns() - start_ns < INT64_C(5000000000));
}

static int64_t fresh_since_ns(void)
{
    pthread_mutex_lock(&lock);
    int64_t fresh_ns = members_fresh_ns(members);
    pthread_mutex_unlock(&lock);
    return fresh_ns;
}

static void test_freshness_comes_without_changes(void **state)
{
    (void)state;
    start_follower();
    wait_version(0, 0);
    int before = batch_count();
    int64_t asked_ns = clock_mono_ns();
    memberlog_hurry(follower);
    wait_version(0, before);
    if (fresh_since_ns() < asked_ns)
        wait_version(0, before + 1); /* the first was being read when it was asked for */
    assert_true(fresh_since_ns() >= asked_ns);
    wait_version(0, batch_count()); /* and once a second without a hurry */
}

static void drop_follower_connection(void)
{
    pg_sql(conn,
           "select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = 'parlor "
           "members'");
}

static void test_reconnects_and_continues(void **state)
{
    (void)state;
    start_follower();
    wait_version(0, 0);
    drop_follower_connection();
    struct uuid room = make_room("group", "ann", "{bob}");
    wait_version(2, 0);
    assert_int_equal(role_of(&room, "bob"), MEMBER_MEMBER);
    assert_int_equal(resets, 1); /* it continued from where it was */
}

static void test_a_trimmed_log_loads_again(void **state)
{
    (void)state;
    start_follower();
    wait_version(0, 0);
    pg_sql(conn, "begin");
    struct uuid room = make_room("group", "ann", "{bob}");
    pg_sql(conn, "delete from chat_membership_log where version = 1");
    pg_sql(conn, "commit");
    wait_version(2, 0);
    assert_int_equal(role_of(&room, "ann"), MEMBER_OWNER);
    assert_int_equal(resets, 2);
}

static void test_a_log_gone_back_loads_again(void **state)
{
    (void)state;
    struct uuid room = make_room("group", "ann", "{bob}");
    start_follower();
    wait_version(2, 0);
    pg_sql(conn, "begin");
    pg_sql(conn, "delete from chat_participants where user_id = 'bob'");
    pg_sql(conn, "delete from chat_membership_log where version > 1");
    pg_sql(conn, "update chat_membership_head set version = 1");
    pg_sql(conn, "commit");
    while (role_of(&room, "bob") != MEMBER_NONE) {
        memberlog_hurry(follower);
        wait_version(0, batch_count());
    }
    assert_int_equal(resets, 2);
}

static void wait_events(const char *expected)
{
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += WAIT_S;
    pthread_mutex_lock(&lock);
    while (strlen(events) < strlen(expected) && pthread_cond_timedwait(&applied, &lock, &end) == 0) {
    }
    assert_string_equal(events, expected);
    events[0] = '\0';
    pthread_mutex_unlock(&lock);
}

/* Until the outbox holds so many events. */
static void wait_outbox(const char *count)
{
    while (strcmp(pg_sql(conn, "select count(*) from event_outbox"), count) != 0) {
        memberlog_hurry(follower);
        wait_version(0, batch_count());
    }
}

static void put_event(const char *arguments)
{
    pg_sql(conn, "select parlor_event(%s)", arguments);
}

#define ROOM "'00000000-0000-7000-8000-000000000001'"

static void test_events_come_with_their_membership(void **state)
{
    (void)state;
    start_follower();
    wait_version(0, 0);
    pg_sql(conn, "begin");
    struct uuid room = make_room("group", "ann", "{}");
    pg_sql(conn, "delete from event_outbox"); /* what making a room tells is not looked at here */
    put_event(ROOM ", null, 'events', 'one'");
    put_event(ROOM ", 'bob', 'events', 'two'");
    pg_sql(conn, "commit");
    put_event(ROOM ", null, 'messages', 'three'");
    put_event("null, 'ann', 'events', ''");
    wait_events("room:events:one bob:events:two room:messages:three ann:events: ");
    assert_int_equal(role_of(&room, "ann"), MEMBER_OWNER);
}

static void test_published_events_are_deleted_once(void **state)
{
    (void)state;
    start_follower();
    put_event(ROOM ", null, 'events', 'one'");
    wait_events("room:events:one ");
    wait_outbox("0");
    put_event(ROOM ", null, 'events', 'two'");
    wait_events("room:events:two ");
    memberlog_stop(&follower);
    start_follower();
    wait_events("room:events:two "); /* was published, and perhaps lost with the broker's memory */
    wait_outbox("0");
    memberlog_stop(&follower);
    start_follower();
    wait_version(0, batch_count());
    wait_events("");
}

static void test_events_lost_by_their_owner_come_again(void **state)
{
    (void)state;
    lose = true;
    start_follower();
    put_event(ROOM ", null, 'events', 'one'");
    wait_events("room:events:one ");
    memberlog_stop(&follower);
    lose = false;
    start_follower();
    wait_events("room:events:one ");
    wait_outbox("0");
}

static void test_many_events_keep_their_order(void **state)
{
    (void)state;
    pg_sql(conn, "select parlor_events(array_agg(null::uuid), array_agg('u'::text), "
                 "array_agg('events'::text), array_agg(n::text order by n)) from generate_series(1, 1200) n");
    start_follower();
    wait_outbox("0");
    pthread_mutex_lock(&lock);
    assert_int_equal(numbered, 1200);
    pthread_mutex_unlock(&lock);
}

static bool was_refused;

static void on_log(enum log_level level, const char *line)
{
    pthread_mutex_lock(&lock);
    was_refused = was_refused || (level == LOG_LEVEL_WARN && strstr(line, "parlorctl migrate") != NULL);
    pthread_cond_broadcast(&applied);
    pthread_mutex_unlock(&lock);
}

static void test_waits_for_a_database(void **state)
{
    (void)state;
    pg_sql(conn, "alter table schema_migrations rename to hidden");
    log_init(on_log, LOG_LEVEL_INFO);
    start_follower();
    pthread_mutex_lock(&lock);
    while (!was_refused) {
        pthread_cond_wait(&applied, &lock);
    }
    pthread_mutex_unlock(&lock);
    pg_sql(conn, "alter table hidden rename to schema_migrations");
    make_room("group", "ann", "{}");
    wait_version(1, 0);
    memberlog_stop(&follower);
    log_init(NULL, LOG_LEVEL_INFO);
}

static void test_loads_many(void **state)
{
    (void)state;
    pg_sql(conn, "alter table chat_participants disable trigger user");
    pg_sql(conn,
           "insert into chat_rooms (id, type, created_by, active_at, created_at, updated_at) "
           "select gen_random_uuid(), 'group', 'x', now(), now(), now() from generate_series(1, %d)",
           PAIRS_MANY / 20);
    pg_sql(conn, "insert into chat_participants (room_id, user_id, role, joined_at) "
                 "select id, 'user-' || n, 'member', now() from chat_rooms, generate_series(1, 20) n");
    pg_sql(conn, "alter table chat_participants enable trigger user");
    start_follower();
    wait_version(0, 0);
    assert_int_equal(members_pairs(members), PAIRS_MANY);
}

/* Two people who open their direct room at the same moment get the same one. */
static void *create_direct(void *context)
{
    PGconn *own = pg_connect("memberlog");
    struct error e = {0};
    PGresult *r = db_exec(own,
                          "select room_id from parlor_room_create(gen_random_uuid(), 'ann', 'direct', null, "
                          "'{bob}', null, null, 5000)",
                          0, NULL, 20000, &e);
    snprintf(context, UUID_TEXT_SIZE, "%s", r == NULL ? "" : PQgetvalue(r, 0, 0));
    PQclear(r);
    PQfinish(own);
    return NULL;
}

static void test_raced_direct_rooms_are_one(void **state)
{
    (void)state;
    enum { RACERS = 8 };
    pthread_t threads[RACERS];
    char ids[RACERS][UUID_TEXT_SIZE];
    for (int i = 0; i < RACERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, create_direct, ids[i]), 0);
    }
    for (int i = 0; i < RACERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(strlen(ids[i]), UUID_TEXT_SIZE - 1);
        assert_string_equal(ids[i], ids[0]);
    }
    assert_string_equal(pg_sql(conn, "select count(*) || '/' || (select count(*) from chat_participants) "
                                     "from chat_rooms"),
                        "1/2");
}

static const char *create(const char *key, int hash, const char *id)
{
    static char answer[128];
    snprintf(
        answer, sizeof(answer), "%s",
        pg_sql(conn,
               "select outcome || ' ' || coalesce(room_id::text, '-') from parlor_room_create('%s', 'ann', "
               "'group', null, '{bob}', '%s', %d, 3)",
               id, key, hash));
    return answer;
}

#define ID(n) "00000000-0000-7000-8000-00000000000" n

static void test_idempotency_and_limits(void **state)
{
    (void)state;
    assert_string_equal(create("k", 1, ID("1")), "created " ID("1"));
    assert_string_equal(create("k", 1, ID("2")), "created " ID("1"));
    assert_string_equal(create("k", 2, ID("2")), "conflict " ID("1"));
    assert_string_equal(create("l", 1, ID("2")), "created " ID("2"));
    assert_string_equal(create("m", 1, ID("3")), "created " ID("3"));
    assert_string_equal(create("n", 1, ID("4")), "rooms_max -");
    pg_sql(conn, "delete from chat_participants where room_id = '" ID("1") "'");
    assert_string_equal(create("n", 1, ID("4")), "created " ID("4")); /* a refusal is not remembered */
    assert_string_equal(pg_sql(conn, "select count(*) from chat_rooms"), "4");
}

static int start(void **state)
{
    (void)state;
    return pg_start("");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_loads_then_follows),
                                       TEST(test_histories),
                                       TEST(test_watermarks_are_no_changes),
                                       TEST(test_versions_have_no_gaps),
                                       TEST(test_a_notification_is_heeded),
                                       TEST(test_freshness_comes_without_changes),
                                       TEST(test_reconnects_and_continues),
                                       TEST(test_a_trimmed_log_loads_again),
                                       TEST(test_a_log_gone_back_loads_again),
                                       TEST(test_events_come_with_their_membership),
                                       TEST(test_published_events_are_deleted_once),
                                       TEST(test_events_lost_by_their_owner_come_again),
                                       TEST(test_many_events_keep_their_order),
                                       TEST(test_waits_for_a_database),
                                       TEST(test_loads_many),
                                       TEST(test_raced_direct_rooms_are_one),
                                       TEST(test_idempotency_and_limits)};
    return cmocka_run_group_tests(tests, start, NULL);
}
