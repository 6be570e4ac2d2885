/* What parlorctl check says of a broker's configuration. */
#include "ctl/broker_findings.h"

#include "core/json.h"
#include "ctl/printable.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct findings findings;

static struct config config = {
    .wake_socket = (char[]){"/run/wake"}, .broker_port = 1883, .payload_bytes_max = 65536};

static void look(const char *text)
{
    char path[] = "/tmp/parlor-findings-XXXXXX";
    struct brokerconf *conf;
    struct error e = {0};
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    assert_int_equal(brokerconf_load(path, &conf, &e), 0);
    unlink(path);
    findings_finish(&findings);
    broker_findings(conf, &config, "/dev/full", &findings);
    brokerconf_destroy(&conf);
}

#define GOOD                                                                                                 \
    "listener 1883 127.0.0.1\nlistener 0 /run/wake\nplugin /dev/null/../mosquitto_parlor\n"                  \
    "plugin_opt_config /dev/full\nset_tcp_nodelay true\nallow_anonymous false\nacl_file /dev/null\n"

#define ASSERT_SAYS(level, part) assert_true(findings_have(&findings, level, part))
#define ASSERT_SILENT(level)     assert_int_equal(findings_count(&findings, level), 0)

static void test_good(void **state)
{
    (void)state;
    look(GOOD);
    ASSERT_SILENT(FINDING_WARN);
    /* The plugin's file is not there; nothing else is wrong. */
    assert_int_equal(findings_count(&findings, FINDING_WRONG), 1);
    ASSERT_SAYS(FINDING_WRONG, "there is no file");
    ASSERT_SAYS(FINDING_OK, "wake_socket has its listener");
    ASSERT_SAYS(FINDING_OK, "broker_port 1883 has its listener");
    ASSERT_SAYS(FINDING_NOTE, "acl_file stays in force");
}

static void test_plain_debian(void **state)
{
    (void)state;
    look("persistence true\nlog_dest file /x\n");
    ASSERT_SILENT(FINDING_WRONG);
    ASSERT_SAYS(FINDING_NOTE, "does not load Parlor yet");
    ASSERT_SAYS(FINDING_NOTE, "listens on localhost:1883");
    ASSERT_SAYS(FINDING_NOTE, "anonymous local clients");
    ASSERT_SAYS(FINDING_NOTE, "topics outside its prefix");
    ASSERT_SAYS(FINDING_NOTE, ":1: persistence true");
    ASSERT_SAYS(FINDING_NOTE, "`listener 0 /run/wake`");
}

static void test_per_listener(void **state)
{
    (void)state;
    look("per_listener_settings true\n" GOOD);
    ASSERT_SAYS(FINDING_WRONG, ":1: per_listener_settings true");
    look("per_listener_settings false\n" GOOD);
    assert_false(findings_have(&findings, FINDING_WRONG, "per_listener_settings"));
}

static void test_listeners(void **state)
{
    (void)state;
    look("plugin mosquitto_parlor.so\nlistener 0 /run/wake\n");
    ASSERT_SAYS(FINDING_WRONG, "the only listener is wake_socket's");
    ASSERT_SAYS(FINDING_WRONG, "no listener has it");
    look("plugin mosquitto_parlor.so\nlistener 1883\nprotocol websockets\n");
    ASSERT_SAYS(FINDING_WRONG, "is a WebSocket listener");
    ASSERT_SAYS(FINDING_WARN, "no listener serves wake_socket");
    look("plugin mosquitto_parlor.so\nlistener 1883\ncertfile /c\n");
    ASSERT_SAYS(FINDING_WRONG, "is a TLS listener");
}

static void test_others(void **state)
{
    (void)state;
    look(GOOD
         "allow_anonymous true\npassword_file /dev/zero\nretain_available false\nmax_packet_size 1000\n");
    ASSERT_SAYS(FINDING_NOTE, "allow_anonymous true");
    ASSERT_SAYS(FINDING_NOTE, "password_file stays in force");
    ASSERT_SAYS(FINDING_WARN, "retain_available false");
    ASSERT_SAYS(FINDING_WRONG, "max_packet_size is 1000");
    config.outside_prefix = OUTSIDE_ALLOW;
    look(GOOD);
    ASSERT_SAYS(FINDING_WARN, "outside_prefix allow");
    look("plugin mosquitto_parlor.so\nlistener 1883\n");
    ASSERT_SAYS(FINDING_NOTE, "$SYS closes for all clients");
    config.outside_prefix = OUTSIDE_DEFER;
    look("plugin mosquitto_parlor.so\nlistener 1883\n");
    ASSERT_SAYS(FINDING_WRONG, "no `plugin_opt_config FILE` follows");
}

/* What the plugin refuses to start with. */
static void test_options(void **state)
{
    (void)state;
    look(GOOD "plugin_opt_foo bar\nplugin_opt_outside_prefix allow\nauth_opt_x y\n");
    ASSERT_SAYS(FINDING_WRONG, ":8: plugin_opt_foo is no option of Parlor's");
    ASSERT_SAYS(FINDING_WRONG, ":9: plugin_opt_outside_prefix is no option of Parlor's");
    ASSERT_SAYS(FINDING_WRONG, "this is a key of that file");
    ASSERT_SAYS(FINDING_WRONG, ":10: auth_opt_x is no option");
    look(GOOD "plugin /dev/null\nplugin_opt_foo bar\n");
    assert_false(findings_have(&findings, FINDING_WRONG, "plugin_opt_foo"));
    look("plugin mosquitto_parlor.so\nlistener 1883\nplugin_opt_config\nplugin /dev/null\n"
         "plugin_opt_config /dev/full\n");
    ASSERT_SAYS(FINDING_WRONG, ":1: no `plugin_opt_config FILE` follows");
    look("plugin_opt_config /x\n" GOOD);
    ASSERT_SAYS(FINDING_WRONG, ":1: plugin_opt_config stands below no `plugin` line");
}

static void test_other_plugins(void **state)
{
    (void)state;
    look("plugin mosquitto_parlor.so\nauth_plugin /other.so\nlistener 1883\n");
    assert_false(findings_have(&findings, FINDING_NOTE, "no other plugin"));
    look("plugin mosquitto_parlor.so\nlistener 1883\n");
    ASSERT_SAYS(FINDING_NOTE, "no other plugin");
}

/* What Mosquitto refuses to start with. */
static void test_lines(void **state)
{
    (void)state;
    static const struct {
        const char *line, *text;
    } rows[] = {
        {"acl_file /nonexistent", ":8: acl_file: there is no file /nonexistent"},
        {"password_file /nonexistent", ":8: password_file: there is no file /nonexistent"},
        {"acl_file", ":8: acl_file has no value"},
        {"listener", ":8: listener has no value"},
        {"listener abc", ":8: listener is 'abc' but must be a port from 1 to 65535, or 0"},
        {"listener 0", ":8: listener is '0'"},
        {"listener 65536", ":8: listener is '65536'"},
        {"listener -1 /run/x", ":8: listener is '-1 /run/x'"},
        {"port 0", ":8: port is '0' but must be a port from 1 to 65535"},
        {"listner 1883",
         ":8: listner is no keyword of mosquitto.conf, and Mosquitto refuses it; did you mean "
         "listener?"},
        {"anonymous_allow true", "did you mean allow_anonymous?"},
        {"http_port 3000", ":8: http_port is no keyword"},
        {"allow_anonymous yes", ":8: allow_anonymous is 'yes' but must be true or false"},
        {"  # indented", ":8: spaces stand before the #"},
        {"listener\t1884", ":8: a tab stands where"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[600];
        snprintf(text, sizeof text, GOOD "%s\n", rows[i].line);
        look(text);
        if (!findings_have(&findings, FINDING_WRONG, rows[i].text))
            fail_msg("%s: '%s' is not said", rows[i].line, rows[i].text);
    }
    look(GOOD "cafile /nonexistent\n");
    ASSERT_SAYS(FINDING_WARN, ":8: cafile: there is no file /nonexistent");
    look("\xef\xbb\xbf" GOOD);
    ASSERT_SAYS(FINDING_WRONG, ":1: a byte order mark");
    ASSERT_SAYS(FINDING_OK, "broker_port 1883 has its listener");
    look(GOOD "listener 1884 localhost # it\nlistener 0 /run/x\nallow_anonymous true # x\nport 1885\n"
              "log_type all\npersistence_location here\nplugin_opt_config x\n");
    assert_int_equal(findings_count(&findings, FINDING_WRONG), 1); /* of GOOD */
}

static void test_printing(void **state)
{
    (void)state;
    struct buf out = {0};
    findings_finish(&findings);
    findings_add(&findings, FINDING_WRONG, "a", "bad \"%s\"", "x");
    findings_add(&findings, FINDING_OK, "b", "fine");
    findings_print(&findings, &out, false);
    assert_string_equal(
        out.data, "ok       b         fine\nwrong    a         bad \"x\"\n1 wrong, 0 warnings, 0 notes\n");
    buf_clear(&out);
    findings_print(&findings, &out, true);
    assert_int_equal(json_check(out.data, out.size, NULL), 0);
    assert_non_null(strstr(out.data, "{\"ok\":false,"));
    buf_finish(&out);
    findings_finish(&findings);
}

static void test_printable(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"", ""},
        {"plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80", "plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"},
        {"a\n\x1b[2J\x7f", "a\\x0a\\x1b[2J\\x7f"},
        {"\xc2\x9b"
         "1m",
         "\\xc2\\x9b1m"},
        {"cut \xe2\x82", "cut \\xe2\\x82"},
        {"\xff\xed\xa0\x80", "\\xff\\xed\\xa0\\x80"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf out = {0};
        buf_put_byte(&out, '>');
        printable_put(&out, rows[i][0]);
        assert_string_equal(out.data + 1, rows[i][1]);
        buf_clear(&out);
        printable_put_json(&out, rows[i][0]);
        assert_int_equal(json_check(out.data, out.size, NULL), 0);
        buf_finish(&out);
    }
    findings_finish(&findings);
    findings_add(&findings, FINDING_NOTE, "a", "%s", "\x1b");
    findings_add(&findings, FINDING_NOTE, "a", "%s", "");
    assert_string_equal(findings.list[0].text, "\\x1b");
    assert_string_equal(findings.list[1].text, "");
    findings_finish(&findings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),         cmocka_unit_test(test_plain_debian),
        cmocka_unit_test(test_per_listener), cmocka_unit_test(test_listeners),
        cmocka_unit_test(test_others),       cmocka_unit_test(test_printing),
        cmocka_unit_test(test_options),      cmocka_unit_test(test_other_plugins),
        cmocka_unit_test(test_lines),        cmocka_unit_test(test_printable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
