/* What a store has seen, kept in a file from one process to the next, against a real PostgreSQL: a database
 * that has gone back meanwhile is noticed, one that has not is left alone. */
#include "plugin/store.h"

#include "core/clock.h"
#include "core/file.h"
#include "tests/unit/pg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/stat.h>

#define DEADLINE_MS 5000

static char url[160], path[96], folder[64];
static struct config config;
static PGconn *conn; /* the test's own, beside the store's */
static struct store *store;
static struct uuid room;
static unsigned sent;

static int64_t in_ms(int64_t ms)
{
    return clock_mono_ns() + ms * 1000000;
}

static void store_one(void)
{
    struct error e = {0};
    struct draft draft = {.type = "text", .content = "hello", .content_size = 5, .body_hash = sent};
    snprintf(draft.client_message_id, sizeof(draft.client_message_id), "%u", ++sent);
    struct store_item item = {.room = room, .user = "ann", .draft = &draft, .created_at_ms = clock_wall_ms()};
    uuid_make(&item.id, item.created_at_ms);
    assert_int_equal(store_batch(store, &item, 1, in_ms(DEADLINE_MS), &e), 0);
    assert_int_equal(item.outcome, STORE_STORED);
}

static void end_process(void)
{
    store_end(store);
    store_destroy(&store);
}

static void begin_process(void)
{
    struct error e = {0};
    store = store_create(&config);
    if (store_connect(store, in_ms(DEADLINE_MS), &e) != 0) {
        fail_msg("%s: %s", e.word, e.text);
    }
}

static void another_process(void)
{
    end_process();
    begin_process();
}

static const char *epochs(void)
{
    return pg_sql(conn, "select min(epoch) || '/' || max(epoch) from chat_rooms");
}

/* What a restored backup looks like: the newest message is gone. */
static void go_back(void)
{
    pg_sql(conn,
           "delete from chat_messages m using chat_rooms r where r.id = m.room_id and m.seq = r.last_seq");
    pg_sql(conn, "update chat_rooms set last_seq = last_seq - 1 where last_seq > 0");
}

static void write_file(const char *text)
{
    struct error e = {0};
    assert_int_equal(file_replace(path, text, strlen(text), &e), 0);
}

/* The file's text, which the next call overwrites; "" when there is none. */
static const char *read_file(void)
{
    static char text[4096];
    struct buf bytes = {0};
    struct error e = {0};
    text[0] = '\0';
    if (file_read(path, sizeof(text) - 1, &bytes, &e) == 0) {
        memcpy(text, bytes.data, bytes.size + 1);
    }
    buf_finish(&bytes);
    return text;
}

static void test_a_plain_restart_changes_nothing(void **state)
{
    (void)state;
    struct stat facts;
    store_one();
    store_one();
    another_process();
    assert_string_equal(epochs(), "1/1");
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0600);
    assert_non_null(strstr(read_file(), " 2\nrooms 1\n"));
    store_one();
    another_process();
    assert_string_equal(epochs(), "1/1");
    assert_non_null(strstr(read_file(), " 3\nrooms 1\n"));
}

static void test_a_restored_backup_is_noticed_by_the_next_process(void **state)
{
    (void)state;
    store_one();
    store_one();
    end_process();
    go_back();
    begin_process();
    assert_string_equal(epochs(), "2/2");
    another_process(); /* and once only */
    assert_string_equal(epochs(), "2/2");
    store_one();
    another_process();
    assert_string_equal(epochs(), "2/2");
    assert_string_equal(pg_sql(conn, "select string_agg(seq::text, ' ' order by seq) from chat_messages"),
                        "1 2");
}

/* Killed, a process leaves what it wrote a second ago at most. */
static void test_the_file_is_written_while_the_process_lives(void **state)
{
    (void)state;
    struct error e = {0};
    store_one();
    for (int i = 0; i < 100 && strstr(read_file(), " 1\nrooms 1\n") == NULL; i++) {
        assert_int_equal(store_flush(store, in_ms(DEADLINE_MS), &e), 0);
        pg_sql(conn, "select pg_sleep(0.05)"); /* the interval of writes */
    }
    assert_non_null(strstr(read_file(), " 1\nrooms 1\n"));
    store_one();
    assert_non_null(strstr(read_file(), " 1\nrooms 1\n")); /* at most once a second */
}

static void test_another_system_is_noticed(void **state)
{
    (void)state;
    store_one();
    end_process();
    write_file("parlor-past 1\nidentity 17/00000001\nrooms 0\n");
    begin_process();
    assert_string_equal(epochs(), "2/2");
    another_process();
    assert_string_equal(epochs(), "2/2");
}

static void test_a_bad_file_counts_as_none(void **state)
{
    (void)state;
    store_one();
    end_process();
    write_file("parlor-past 1\nidentity 17/00000001\n");
    begin_process();
    assert_string_equal(epochs(), "1/1");
    store_end(store);
    assert_non_null(strstr(read_file(), "\nrooms 0\n")); /* and is written anew */
}

static void test_a_file_that_cannot_be_written_costs_nothing_else(void **state)
{
    (void)state;
    store_destroy(&store);
    config.past_file = (char[]){"/nowhere/at/all"};
    store = store_create(&config);
    store_one();
    another_process();
    store_one();
    assert_string_equal(epochs(), "1/1");
}

/* Rooms that no deadline has time for all at once. A lock holds the renewal up in the middle: nothing is
 * stored, nothing is forgotten, and it goes on from there. */
static void test_many_rooms_are_renewed_in_slices(void **state)
{
    (void)state;
    struct error e = {0};
    store_one();
    pg_sql(conn, "insert into chat_rooms (id, type, created_by, active_at, created_at, updated_at) "
                 "select gen_random_uuid(), 'group', 'x', now(), now(), now() from generate_series(1, 4499)");
    end_process();
    go_back();
    char before[4096];
    snprintf(before, sizeof(before), "%s", read_file());
    PGconn *locker = pg_connect("store");
    pg_sql(locker, "begin");
    pg_sql(locker,
           "select from chat_rooms where id = (select id from chat_rooms order by id offset 3500 limit 1) "
           "for update");
    store = store_create(&config);
    assert_int_equal(store_connect(store, in_ms(DEADLINE_MS), &e), -1);
    assert_int_equal(e.code, ERROR_UNAVAILABLE);
    assert_string_equal(pg_sql(conn, "select count(*) from chat_rooms where epoch = 2"), "3000");
    store_end(store);
    assert_string_equal(read_file(), before); /* who is killed now begins again */
    pg_sql(locker, "rollback");
    PQfinish(locker);
    int tries = 0; /* little time: at least a slice each */
    while (store_connect(store, in_ms(400), &e) != 0) {
        assert_string_equal(e.word, "gone_back");
        assert_true(++tries < 10);
    }
    assert_int_equal(tries, 2);
    assert_string_equal(epochs(), "2/2");
    store_end(store);
    assert_string_not_equal(read_file(), before);
}

static int set_up(void **state)
{
    (void)state;
    char id[UUID_TEXT_SIZE];
    conn = pg_database("store");
    pg_url("store", url);
    snprintf(folder, sizeof(folder), "/tmp/parlor-past-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/past", folder);
    config = (struct config){
        .database_url = url, .lock_timeout_ms = 300, .database_timeout_ms = 3000, .past_file = path};
    store = store_create(&config);
    uuid_make(&room, clock_wall_ms());
    uuid_format(&room, id);
    pg_sql(conn, "select parlor_room_create('%s', 'ann', 'group', 'g', '{bob}', null, null, 5000)", id);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_destroy(&store);
    PQfinish(conn);
    unlink(path);
    assert_int_equal(rmdir(folder), 0); /* no other file was left there */
    return 0;
}

static int start(void **state)
{
    (void)state;
    return pg_start("");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_a_plain_restart_changes_nothing),
                                       TEST(test_a_restored_backup_is_noticed_by_the_next_process),
                                       TEST(test_the_file_is_written_while_the_process_lives),
                                       TEST(test_another_system_is_noticed),
                                       TEST(test_a_bad_file_counts_as_none),
                                       TEST(test_a_file_that_cannot_be_written_costs_nothing_else),
                                       TEST(test_many_rooms_are_renewed_in_slices)};
    return cmocka_run_group_tests(tests, start, NULL);
}
