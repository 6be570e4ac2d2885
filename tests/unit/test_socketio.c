/* Socket.IO packets: a table of texts and what they say. */
#include "bridge/socketio.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* As type/attachments/namespace/ack/name/args, NULL where it must be refused. */
static const struct {
    const char *text, *parts;
} PACKETS[] = {
    {"0", "0/0/ / / / "},
    {"0{\"token\":\"1\"}", "0/0/ / / / "},
    {"0/chat,", "0/0/chat / / / "},
    {"0/chat", "0/0/chat / / / "},
    {"0/chat,{}", "0/0/chat / / / "},
    {"0[]", NULL},
    {"0{", NULL},
    {"0{\"a\":\"}\"", NULL},
    {"0{}x", NULL},
    {"1", "1/0/ / / / "},
    {"1/chat,", "1/0/chat / / / "},
    {"1/chat,{}", NULL},
    {"2[\"message\"]", "2/0/ / /message/ "},
    {"2[\"message\",1,\"2\",{\"3\":[true]}]", "2/0/ / /message/1,\"2\",{\"3\":[true]} "},
    {"2/chat,12[\"m\",{}]", "2/0/chat /12 /m/{} "},
    {"2/chat,[ \"m\" , {} ]", "2/0/chat / /m/{} "},
    {"2[7,1]", "2/0/ / /7/1 "},
    {"2[\"a\\\"b,\",1]", "2/0/ / /a\\\"b,/1 "},
    {"2[\"]\",\"[\"]", "2/0/ / /]/\"[\" "},
    {"2/chat,1 \t[\"m\",{}]\r\n", "2/0/chat /1 /m/{} "},
    {"2", NULL},
    {"2{}", NULL},
    {"2[]", NULL},
    {"2[{}]", NULL},
    {"2[null]", NULL},
    {"2[\"a\"", NULL},
    {"2[\"a\"]]", NULL},
    {"2[\"a\"}", NULL},
    {"2[\"a\"],", NULL},
    {"2[\"a\"x]", NULL},
    {"2[\"a]", NULL},
    {"2abc[\"a\"]", NULL},
    {"212345678901234567890[\"a\"]", NULL},
    {"3/chat,5[]", "3/0/chat /5 // "},
    {"35[1,2]", "3/0/ /5 //1,2 "},
    {"35{}", NULL},
    {"52-[\"m\",{\"_placeholder\":true,\"num\":0}]", "5/2/ / /m/{\"_placeholder\":true,\"num\":0} "},
    {"51-/chat,7[\"m\"]", "5/1/chat /7 /m/ "},
    {"61-7[1]", "6/1/ /7 //1 "},
    {"5[\"m\"]", NULL},
    {"5-[\"m\"]", NULL},
    {"599999999999-[\"m\"]", NULL},
    {"4{\"message\":\"no\"}", "4/0/ / / / "},
    {"7", NULL},
    {"abc", NULL},
    {"", NULL},
};

static void put(struct buf *out, struct slice s)
{
    if (s.size > 0)
        buf_put(out, s.text, s.size);
}

static void test_packets(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof PACKETS / sizeof *PACKETS; i++) {
        struct socketio_packet p;
        struct buf got = {0};

        if (!socketio_parse(PACKETS[i].text, strlen(PACKETS[i].text), &p)) {
            if (PACKETS[i].parts != NULL)
                fail_msg("%s was refused", PACKETS[i].text);
            continue;
        }
        if (PACKETS[i].parts == NULL)
            fail_msg("%s was accepted", PACKETS[i].text);
        buf_printf(&got, "%d/%u", (int)p.type, p.attachments);
        put(&got, p.nsp);
        buf_put_text(&got, " /");
        put(&got, p.ack);
        buf_put_text(&got, " /");
        put(&got, p.name);
        buf_put_text(&got, p.type == SOCKETIO_CONNECT || p.type == SOCKETIO_DISCONNECT ||
                                   p.type == SOCKETIO_CONNECT_ERROR
                               ? " /"
                               : "/");
        put(&got, p.args);
        buf_put_byte(&got, ' ');
        assert_string_equal(got.data, PACKETS[i].parts);
        buf_finish(&got);
    }
}

static void test_put(void **state)
{
    struct buf b = {0};

    (void)state;
    socketio_put(&b, SOCKETIO_EVENT, 0, "/", (struct slice){NULL, 0});
    assert_string_equal(b.data, "2");
    buf_clear(&b);
    socketio_put(&b, SOCKETIO_BINARY_ACK, 2, "/chat", (struct slice){"17x", 2});
    assert_string_equal(b.data, "62-/chat,17");
    buf_finish(&b);
}

static void test_reserved(void **state)
{
    (void)state;
    assert_true(socketio_is_reserved((struct slice){"disconnect", 10}));
    assert_false(socketio_is_reserved((struct slice){"ping", 4}));
    assert_false(socketio_is_reserved((struct slice){"send_message", 12}));
    assert_false(socketio_is_reserved((struct slice){"disconnec", 9}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_packets), cmocka_unit_test(test_put),
                                       cmocka_unit_test(test_reserved)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
