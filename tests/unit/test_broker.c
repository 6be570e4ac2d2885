/* The service's end of the link against a stock Mosquitto, with the plugin's part played by a second link:
 * one packet a turn, resends with the same ids, watches, barriers, lost packets, a broker that is killed. */
#include "tests/unit/broker_world.h"

static void a_turn_goes_in_one_packet(void **state)
{
    struct world *w = *state;
    struct told told[3] = {0};
    unsigned before = w->got_count;
    for (int i = 0; i < 3; i++)
        send_text(w, &told[i], "{\"content\":\"x\"}");
    TURN_UNTIL(w, w->got_count == before + 3);
    const struct kept *k = &w->got[before];
    assert_int_equal(k[0].type, WIRE_SEND);
    assert_int_equal(k[0].packet, k[2].packet);
    assert_string_equal(k[0].user, "ann");
    assert_string_equal(k[0].payload, "{\"content\":\"x\"}");
    assert_int_equal(strlen(k[0].fallback_id), 36);
    assert_string_not_equal(k[0].fallback_id, k[1].fallback_id);
    struct wire_record answers[] = {
        {.type = WIRE_MESSAGE,
         .request = k[1].request,
         .room = room_of(1),
         .seq = 7,
         .payload = "{\"m\":1}",
         .payload_size = 7},
        {.type = WIRE_STORED,
         .request = k[0].request,
         .room = room_of(1),
         .seq = 6,
         .payload = "{\"m\":0}",
         .payload_size = 7},
        {.type = WIRE_REJECTED,
         .request = k[2].request,
         .word = "conflict",
         .word_size = 8,
         .error_code = ERROR_CONFLICT,
         .payload = "no",
         .payload_size = 2},
    };
    plugin_say(w, answers, 3);
    TURN_UNTIL(w, told[0].done && told[1].done && told[2].done);
    assert_true(told[0].stored && told[1].stored && !told[2].stored);
    assert_int_equal(told[0].seq, 6);
    assert_string_equal(told[1].message, "{\"m\":1}");
    assert_int_equal(told[2].error.code, ERROR_CONFLICT);
    assert_string_equal(told[2].error.word, "conflict");
    assert_string_equal(told[2].error.text, "no");
    assert_int_equal(broker_unanswered(w->broker), 0);
    assert_int_equal(w->messages, 0); /* the room is not watched */
}

static void messages_come_to_watched_rooms(void **state)
{
    struct world *w = *state;
    struct broker_port *port = broker_port(w->broker);
    struct uuid room = room_of(1);
    port->watch(port, &room);
    assert_int_equal(w->watched, 0);
    TURN_UNTIL(w, w->watched == 1);
    struct told told = {0};
    send_text(w, &told, "{}");
    TURN_UNTIL(w, count_got(w, WIRE_SEND) == 1);
    struct wire_record answer = {.type = WIRE_MESSAGE,
                                 .request = last_got(w, WIRE_SEND)->request,
                                 .room = room,
                                 .seq = 9,
                                 .payload = "{\"m\":1}",
                                 .payload_size = 7};
    plugin_say(w, &answer, 1);
    TURN_UNTIL(w, told.done);
    assert_int_equal(w->messages, 1);
    assert_int_equal(w->last_seq, 9);
    assert_true(w->last_message_order < told.order); /* the message first, then its ack */
    /* Quickly left and entered again: told once, for the second watch. */
    port->unwatch(port, &room);
    port->watch(port, &room);
    port->unwatch(port, &room);
    port->watch(port, &room);
    TURN_UNTIL(w, count_got(w, WIRE_WATCH) == 3);
    struct told after = {0};
    send_text(w, &after, "{}");
    TURN_UNTIL(w, count_got(w, WIRE_SEND) == 2);
    answer.request = last_got(w, WIRE_SEND)->request;
    plugin_say(w, &answer, 1);
    TURN_UNTIL(w, after.done);
    assert_int_equal(w->watched, 2);
    port->unwatch(port, &room);
    answer.request = 0;
    plugin_say(w, &answer, 1);
    say_state(w, 6, false);
    TURN_UNTIL(w, !port->ready(port));
    assert_int_equal(w->messages, 2);
}

static void a_killed_broker_loses_nothing(void **state)
{
    struct world *w = *state;
    struct broker_port *port = broker_port(w->broker);
    struct uuid room = room_of(2);
    port->watch(port, &room);
    TURN_UNTIL(w, w->watched == 1);
    struct told told[3] = {0};
    send_text(w, &told[0], "{\"n\":0}");
    send_text(w, &told[1], "{\"n\":1}");
    TURN_UNTIL(w, count_got(w, WIRE_SEND) == 2);
    char first_id[40];
    snprintf(first_id, sizeof first_id, "%s", w->got[w->got_count - 2].fallback_id);
    mosquitto_kill();
    TURN_UNTIL(w, !broker_linked(w->broker) && !w->plugin_up);
    send_text(w, &told[2], "{\"n\":2}");
    assert_false(port->ready(port));
    mosquitto_start();
    TURN_UNTIL(w, count_got(w, WIRE_SEND) >= 5 && broker_linked(w->broker));
    TURN_UNTIL(w, w->watched >= 2);
    const struct kept *k = &w->got[w->got_count - 3];
    assert_string_equal(k[0].payload, "{\"n\":0}");
    assert_string_equal(k[0].fallback_id, first_id);
    assert_string_equal(k[1].payload, "{\"n\":1}");
    assert_string_equal(k[2].payload, "{\"n\":2}");
    for (int i = 0; i < 3; i++)
        assert_string_equal(k[i].request_id, k[i].payload); /* as send_text gave them */
    /* A limit met by a resend says nothing of the first try: it is asked again. */
    struct wire_record busy = {.type = WIRE_REJECTED,
                               .request = k[0].request,
                               .word = "busy",
                               .word_size = 4,
                               .error_code = ERROR_UNAVAILABLE,
                               .payload = "",
                               .payload_size = 0};
    unsigned sends = count_got(w, WIRE_SEND);
    plugin_say(w, &busy, 1);
    TURN_UNTIL(w, count_got(w, WIRE_SEND) > sends);
    assert_string_equal(last_got(w, WIRE_SEND)->fallback_id, first_id);
    assert_false(told[0].done);
    struct wire_record answers[3];
    for (int i = 0; i < 3; i++)
        answers[i] = (struct wire_record){.type = WIRE_STORED,
                                          .request = told[i].done ? 0 : (uint64_t)i + 1,
                                          .room = room,
                                          .seq = i + 1,
                                          .payload = "{}",
                                          .payload_size = 2};
    plugin_say(w, answers, 3);
    TURN_UNTIL(w, told[0].done && told[1].done && told[2].done);
    assert_int_equal(told[2].seq, 3);
}

static void a_send_without_answer_is_uncertain(void **state)
{
    struct world *w = *state;
    w->config.answer_timeout_ms = 1500;
    struct told told = {0};
    send_text(w, &told, "{}");
    int64_t from_ns = clock_mono_ns();
    TURN_UNTIL(w, told.done);
    assert_int_equal(told.error.code, ERROR_UNCERTAIN);
    assert_string_equal(told.error.word, "uncertain");
    assert_true((clock_mono_ns() - from_ns) / 1000000 >= 1500);
}

static void a_send_that_never_left_is_unavailable(void **state)
{
    struct world *w = *state;
    w->config.answer_timeout_ms = 2500; /* sends wait for four fifths of it */
    mosquitto_kill();
    TURN_UNTIL(w, !w->plugin_up && !broker_linked(w->broker));
    int64_t from_ns = clock_mono_ns();
    for (int i = 0; i < 3; i++) /* the link's own note may come a turn later */
        loop_turn(w->loop, true);
    struct told told = {0}, later = {0};
    send_text(w, &told, "{}");
    TURN_UNTIL(w, told.done);
    assert_int_equal(told.error.code, ERROR_UNAVAILABLE);
    assert_string_equal(told.error.word, "broker_unavailable");
    int64_t took_ms = (clock_mono_ns() - from_ns) / 1000000;
    assert_true(took_ms > 1500);
    /* With the link away for so long already, the next one need not wait. */
    from_ns = clock_mono_ns();
    send_text(w, &later, "{}");
    TURN_UNTIL(w, later.done);
    assert_string_equal(later.error.word, "broker_unavailable");
    assert_true((clock_mono_ns() - from_ns) / 1000000 < 1500);
}

static void a_lost_packet_begins_anew(void **state)
{
    struct world *w = *state;
    struct broker_port *port = broker_port(w->broker);
    struct uuid room = room_of(3);
    port->watch(port, &room);
    TURN_UNTIL(w, w->watched == 1);
    struct told told = {0};
    send_text(w, &told, "{}");
    TURN_UNTIL(w, count_got(w, WIRE_SEND) == 1);
    unsigned hellos = count_got(w, WIRE_HELLO);
    w->number_out++;
    say_state(w, 5, true);
    TURN_UNTIL(w, w->lost == 1);
    TURN_UNTIL(w, w->watched == 2 && count_got(w, WIRE_SEND) == 2);
    assert_int_equal(count_got(w, WIRE_HELLO), hellos + 1);
    TURN_UNTIL(w, broker_linked(w->broker));
    struct wire_record answer = {.type = WIRE_STORED,
                                 .request = last_got(w, WIRE_SEND)->request,
                                 .room = room,
                                 .seq = 1,
                                 .payload = "{}",
                                 .payload_size = 2};
    plugin_say(w, &answer, 1);
    TURN_UNTIL(w, told.done);
    assert_true(told.stored);
    assert_int_equal(w->lost, 1);
}

static void a_mute_plugin_is_greeted_again(void **state)
{
    struct world *w = *state;
    w->mute = true;
    TURN_UNTIL(w, count_got(w, WIRE_HELLO) == 2);
    assert_false(broker_linked(w->broker));
    w->mute = false;
    TURN_UNTIL(w, broker_linked(w->broker));
    struct broker_port *port = broker_port(w->broker);
    assert_true(port->ready(port));
}

static void barriers_wait_for_both(void **state)
{
    struct world *w = *state;
    struct broker_port *port = broker_port(w->broker);
    members_set_version(w->members, 5, 1);
    port->barrier(port, 5, 5000, on_barrier, w); /* the plugin has said 5 */
    assert_int_equal(w->barriers_true, 0);
    TURN_UNTIL(w, w->barriers_true == 1);
    port->barrier(port, 6, 5000, on_barrier, w);
    port->barrier(port, 7, 200, on_barrier, w);
    say_state(w, 6, false);
    TURN_UNTIL(w, !port->ready(port));
    loop_turn(w->loop, false);
    assert_int_equal(w->barriers_true, 1); /* our own mirror is at 5 */
    members_set_version(w->members, 6, 1);
    broker_members_applied(w->broker);
    TURN_UNTIL(w, w->barriers_true == 2);
    TURN_UNTIL(w, w->barriers_false == 1);
    port->barrier(port, 9, 60000, on_barrier, w);
    broker_destroy(&w->broker);
    assert_int_equal(w->barriers_false, 2);
}

/* ---- Marks, events, typing, presence. ---- */

static void a_mark_is_answered_by_its_receipt(void **state)
{
    struct world *w = *state;
    struct broker_port *port = broker_port(w->broker);
    struct told read = {0}, delivered = {0};
    struct broker_send mark = {
        .user = "ann", .room = room_of(1), .payload = "{\"seq\":4}", .payload_size = 9, .request_id = "r-4"};
    unsigned before = w->got_count;
    port->mark(port, false, &mark, on_answer, &read);
    port->mark(port, true, &mark, on_answer, &delivered);
    TURN_UNTIL(w, w->got_count == before + 2);
    assert_int_equal(w->got[before].type, WIRE_READ);
    assert_int_equal(w->got[before + 1].type, WIRE_DELIVERED);
    assert_string_equal(w->got[before].payload, "{\"seq\":4}");
    assert_string_equal(w->got[before].request_id, "r-4");
    struct wire_record answers[] = {
        {.type = WIRE_RECEIPT,
         .request = w->got[before].request,
         .room = room_of(1),
         .seq = 4,
         .user = "ann",
         .user_size = 3,
         .payload = "{\"m\":4}",
         .payload_size = 7},
        {.type = WIRE_REJECTED,
         .request = w->got[before + 1].request,
         .word = "room_not_found",
         .word_size = 14,
         .error_code = ERROR_NOT_FOUND,
         .payload = "no",
         .payload_size = 2},
    };
    plugin_say(w, answers, 2);
    TURN_UNTIL(w, read.done && delivered.done);
    assert_true(read.stored);
    assert_int_equal(read.seq, 4);
    assert_string_equal(read.message, "{\"m\":4}");
    assert_string_equal(delivered.error.word, "room_not_found");
    assert_string_equal(w->heard, ""); /* the room is not watched */
}

static void a_mark_is_repeated_on_a_new_link(void **state)
{
    struct world *w = *state;
    struct broker_port *port = broker_port(w->broker);
    struct told told = {0};
    port->mark(
        port, false,
        &(struct broker_send){.user = "ann", .room = room_of(1), .payload = "{\"seq\":4}", .payload_size = 9},
        on_answer, &told);
    TURN_UNTIL(w, count_got(w, WIRE_READ) == 1);
    w->number_out += 5;
    say_state(w, 5, true); /* packets were lost: all begins anew */
    TURN_UNTIL(w, count_got(w, WIRE_READ) == 2);
    /* What the second try is told is final: a mark may be made twice. */
    plugin_say(w,
               &(struct wire_record){.type = WIRE_REJECTED,
                                     .request = last_got(w, WIRE_READ)->request,
                                     .word = "room_not_found",
                                     .word_size = 14,
                                     .error_code = ERROR_NOT_FOUND,
                                     .payload = "no",
                                     .payload_size = 2},
               1);
    TURN_UNTIL(w, told.done);
    assert_string_equal(told.error.word, "room_not_found");
}

static void what_happens_in_watched_rooms_is_told(void **state)
{
    struct world *w = *state;
    struct broker_port *port = broker_port(w->broker);
    struct uuid room = room_of(1);
    port->watch(port, &room);
    TURN_UNTIL(w, w->watched == 1);
    struct wire_record records[] = {
        {.type = WIRE_RECEIPT,
         .room = room,
         .seq = 3,
         .user = "bob",
         .user_size = 3,
         .payload = "{}",
         .payload_size = 2},
        {.type = WIRE_EVENT,
         .room = room,
         .seq = 7,
         .version = 5,
         .word = "events",
         .word_size = 6,
         .payload = "{}",
         .payload_size = 2},
        {.type = WIRE_EVENT,
         .room = room_of(2),
         .seq = 8,
         .word = "events",
         .word_size = 6,
         .payload = "{}",
         .payload_size = 2},
        {.type = WIRE_EVENT,
         .seq = 9,
         .user = "ann",
         .user_size = 3,
         .word = "events",
         .word_size = 6,
         .payload = "{}",
         .payload_size = 2},
        {.type = WIRE_TYPED, .room = room, .user = "bob", .user_size = 3, .on = true},
        {.type = WIRE_TYPED, .room = room_of(2), .user = "bob", .user_size = 3, .on = true},
        {.type = WIRE_PRESENCE, .user = "bob", .user_size = 3, .on = true, .seq = 1},
    };
    plugin_say(w, records, sizeof records / sizeof *records);
    TURN_UNTIL(w, strstr(w->heard, "presence") != NULL);
    assert_string_equal(w->heard, "receipt 1 bob 3 {}\n"
                                  "event 1 '' events {}\n"
                                  "event 0 'ann' events {}\n"
                                  "typing 1 bob 1\n"
                                  "presence bob 1 seen\n");
    port->typing(port, &room, "ann", true);
    TURN_UNTIL(w, count_got(w, WIRE_TYPING) == 1);
    assert_string_equal(last_got(w, WIRE_TYPING)->user, "ann");
    assert_true(last_got(w, WIRE_TYPING)->on);
}

static void say_event(struct world *w, int64_t number, const char *payload)
{
    plugin_say(w,
               &(struct wire_record){.type = WIRE_EVENT,
                                     .seq = number,
                                     .user = "ann",
                                     .user_size = 3,
                                     .word = "events",
                                     .word_size = 6,
                                     .payload = payload,
                                     .payload_size = strlen(payload)},
               1);
}

/* A broker that was killed publishes its last events again; another database numbers them anew. */
static void an_event_is_told_once(void **state)
{
    struct world *w = *state;
    static const char *const payloads[] = {"[5]", "[6]", "[5]", "[6]", "[7]"};
    for (size_t i = 0; i < sizeof payloads / sizeof *payloads; i++)
        say_event(w, payloads[i][1] - '0', payloads[i]);
    TURN_UNTIL(w, strstr(w->heard, "[7]") != NULL);
    broker_members_reset(w->broker);
    say_event(w, 1, "[1]");
    TURN_UNTIL(w, strstr(w->heard, "[1]") != NULL);
    assert_string_equal(w->heard, "event 0 'ann' events [5]\n"
                                  "event 0 'ann' events [6]\n"
                                  "event 0 'ann' events [7]\n"
                                  "event 0 'ann' events [1]\n");
}

/* What was lost on the way is asked for, and what came behind it waits for that. */
static void lost_events_are_asked_for(void **state)
{
    struct world *w = *state;
    assert_int_equal(last_got(w, WIRE_HELLO)->seq, 0);
    say_event(w, 7, "[7]");
    w->number_out += 5;
    say_event(w, 9, "[9]");
    TURN_UNTIL(w, count_got(w, WIRE_HELLO) == 2);
    assert_int_equal(last_got(w, WIRE_HELLO)->seq, 8);
    say_event(w, 8, "[8]");
    say_event(w, 9, "[9]");
    TURN_UNTIL(w, strstr(w->heard, "[9]") != NULL);
    assert_string_equal(w->heard, "event 0 'ann' events [7]\n"
                                  "event 0 'ann' events [8]\n"
                                  "event 0 'ann' events [9]\n");
}

/* One that has just begun need not know what was told before, but what is told from then on. */
static void a_new_one_asks_from_where_it_began(void **state)
{
    struct world *w = *state;
    struct wire_record news = {.type = WIRE_STATE, .boot = 1, .version = 4, .database_up = true, .seq = 12};
    plugin_say(w, &news, 1); /* of another database, perhaps */
    w->number_out += 5;
    plugin_say(w, &news, 1);
    TURN_UNTIL(w, count_got(w, WIRE_HELLO) == 2);
    assert_int_equal(last_got(w, WIRE_HELLO)->seq, 0);
    members_set_version(w->members, 4, 1);
    plugin_say(w, &news, 1);
    w->number_out += 5;
    plugin_say(w, &news, 1);
    TURN_UNTIL(w, count_got(w, WIRE_HELLO) == 3);
    assert_int_equal(last_got(w, WIRE_HELLO)->seq, 13);
}

static void who_is_here_is_told_again_after_a_hello(void **state)
{
    struct world *w = *state;
    struct broker_port *port = broker_port(w->broker);
    port->online(port, "ann", true);
    port->online(port, "bob", true);
    port->online(port, "bob", false);
    TURN_UNTIL(w, count_got(w, WIRE_ONLINE) == 3);
    assert_false(last_got(w, WIRE_ONLINE)->on);
    w->number_out += 5;
    say_state(w, 5, true);
    TURN_UNTIL(w, count_got(w, WIRE_ONLINE) == 4);
    assert_string_equal(last_got(w, WIRE_ONLINE)->user, "ann");
    assert_true(last_got(w, WIRE_ONLINE)->on);
}

static void say_online(struct world *w, const char *user, bool on)
{
    plugin_say(
        w, &(struct wire_record){.type = WIRE_PRESENCE, .user = user, .user_size = 3, .on = on, .seq = 7}, 1);
}

/* The same names after a new HELLO are no change; those not named again are offline after the grace. */
static void presence_is_told_once(void **state)
{
    struct world *w = *state;
    say_online(w, "ann", true);
    say_online(w, "bob", true);
    say_online(w, "ann", true);
    TURN_UNTIL(w, strstr(w->heard, "bob") != NULL);
    w->heard[0] = '\0';
    unsigned hellos = count_got(w, WIRE_HELLO);
    w->number_out += 5;
    say_state(w, 5, true);
    TURN_UNTIL(w, count_got(w, WIRE_HELLO) == hellos + 1);
    say_online(w, "bob", true);
    TURN_UNTIL(w, w->heard[0] != '\0');
    assert_string_equal(w->heard, "presence ann 0 seen\n");
    say_online(w, "bob", false);
    TURN_UNTIL(w, strstr(w->heard, "bob") != NULL);
    assert_int_equal(broker_online(w->broker), 0);
}

#define CASE(name, up) cmocka_unit_test_setup_teardown(name, up, tear_down)

int main(void)
{
    snprintf(mosquitto_conf, sizeof mosquitto_conf, "/tmp/parlor-broker-%d.conf", (int)getpid());
    mosquitto_port = free_port();
    const struct CMUnitTest tests[] = {
        CASE(a_mark_is_answered_by_its_receipt, set_up_linked),
        CASE(a_mark_is_repeated_on_a_new_link, set_up_linked),
        CASE(what_happens_in_watched_rooms_is_told, set_up_linked),
        CASE(an_event_is_told_once, set_up_linked),
        CASE(lost_events_are_asked_for, set_up_linked),
        CASE(a_new_one_asks_from_where_it_began, set_up_linked),
        CASE(who_is_here_is_told_again_after_a_hello, set_up_linked),
        CASE(presence_is_told_once, set_up_linked),
        CASE(a_turn_goes_in_one_packet, set_up_linked),
        CASE(messages_come_to_watched_rooms, set_up_linked),
        CASE(a_killed_broker_loses_nothing, set_up_linked),
        CASE(a_send_without_answer_is_uncertain, set_up_linked),
        CASE(a_send_that_never_left_is_unavailable, set_up_linked),
        CASE(a_lost_packet_begins_anew, set_up_linked),
        CASE(a_mute_plugin_is_greeted_again, set_up),
        CASE(barriers_wait_for_both, set_up_linked),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    mosquitto_kill();
    unlink(mosquitto_conf);
    return rc;
}
