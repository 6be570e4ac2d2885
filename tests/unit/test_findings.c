/* What parlorctl check says of a broker's configuration. */
#include "ctl/broker_findings.h"

#include "core/json.h"

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
    broker_findings(conf, &config, "/etc/parlor.conf", &findings);
    brokerconf_destroy(&conf);
}

#define GOOD                                                                                                 \
    "listener 1883 127.0.0.1\nlistener 0 /run/wake\nplugin /dev/null/../mosquitto_parlor\n"                  \
    "plugin_opt_config /etc/parlor.conf\nset_tcp_nodelay true\nallow_anonymous false\nacl_file /a\n"

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
    look(GOOD "allow_anonymous true\npassword_file /p\nretain_available false\nmax_packet_size 1000\n");
    ASSERT_SAYS(FINDING_NOTE, "allow_anonymous true");
    ASSERT_SAYS(FINDING_NOTE, "password_file stays in force");
    ASSERT_SAYS(FINDING_WARN, "retain_available false");
    ASSERT_SAYS(FINDING_WRONG, "max_packet_size is 1000");
    config.outside_prefix = OUTSIDE_ALLOW;
    look(GOOD);
    ASSERT_SAYS(FINDING_WARN, "outside_prefix allow");
    config.outside_prefix = OUTSIDE_DEFER;
    look("plugin mosquitto_parlor.so\nlistener 1883\n");
    ASSERT_SAYS(FINDING_WARN, "no plugin_opt_config follows");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),         cmocka_unit_test(test_plain_debian),
        cmocka_unit_test(test_per_listener), cmocka_unit_test(test_listeners),
        cmocka_unit_test(test_others),       cmocka_unit_test(test_printing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
