/* mosquitto.conf as the broker reads it. */
#include "core/brokerconf.h"

#include "core/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/parlor-brokerconf-XXXXXX";

static int setup_folder(void **state)
{
    (void)state;
    char name[64];
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(name, sizeof name, "%s/conf.d", folder);
    return mkdir(name, 0700);
}

static int remove_folder(void **state)
{
    (void)state;
    char name[64];
    snprintf(name, sizeof name, "%s/conf.d", folder);
    return rmdir(name) != 0 ? -1 : rmdir(folder);
}

static const char *place(const char *name)
{
    static char whole[128];
    snprintf(whole, sizeof whole, "%s/%s", folder, name);
    return whole;
}

static void write_text(const char *name, const char *text)
{
    FILE *file = fopen(place(name), "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static struct brokerconf *load(const char *text)
{
    write_text("mosquitto.conf", text);
    struct brokerconf *conf;
    struct error e = {0};
    if (brokerconf_load(place("mosquitto.conf"), &conf, &e) != 0)
        fail_msg("refused: %s", e.text);
    unlink(place("mosquitto.conf"));
    return conf;
}

static void assert_line(const struct brokerconf_line *line, const char *key, const char *value,
                        unsigned number)
{
    assert_non_null(line);
    assert_string_equal(line->key, key);
    assert_string_equal(line->value, value);
    assert_int_equal(line->line, number);
}

static void test_lines(void **state)
{
    (void)state;
    struct brokerconf *conf =
        load("# comment\n\nlistener 1883\r\n  user   some body  \n#x\nallow_anonymous\nlog_type all");
    assert_int_equal(brokerconf_count(conf), 4);
    assert_line(brokerconf_at(conf, 0), "listener", "1883", 3);
    assert_line(brokerconf_at(conf, 1), "user", "some body", 4);
    assert_line(brokerconf_at(conf, 2), "allow_anonymous", "", 6);
    assert_line(brokerconf_at(conf, 3), "log_type", "all", 7);
    assert_null(brokerconf_at(conf, 4));
    assert_string_equal(brokerconf_at(conf, 0)->file, place("mosquitto.conf"));
    brokerconf_destroy(&conf);
    assert_null(conf);
    brokerconf_destroy(&conf);
    brokerconf_destroy(NULL);
}

static void test_include_dir(void **state)
{
    (void)state;
    write_text("conf.d/b.conf", "acl_file /b\ninclude_dir /nowhere\n");
    write_text("conf.d/A.conf", "acl_file /A\n");
    write_text("conf.d/a.conf", "acl_file /a\n");
    write_text("conf.d/c.conf.off", "acl_file /off\n");
    write_text("conf.d/.conf", "acl_file /hidden\n");
    char text[160];
    snprintf(text, sizeof text, "acl_file /1\ninclude_dir %s/conf.d\nacl_file /2\n", folder);
    struct brokerconf *conf = load(text);
    static const char *const order[] = {"/1", "/A", "/a", "/b", "/2"};
    const struct brokerconf_line *at = NULL;
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        at = brokerconf_find(conf, "acl_file", at);
        assert_non_null(at);
        assert_string_equal(at->value, order[i]);
    }
    assert_null(brokerconf_find(conf, "acl_file", at));
    at = brokerconf_find(conf, "acl_file", brokerconf_find(conf, "acl_file", NULL));
    assert_string_equal(at->file, place("conf.d/A.conf"));
    brokerconf_destroy(&conf);
    static const char *const names[] = {"conf.d/b.conf", "conf.d/A.conf", "conf.d/a.conf",
                                        "conf.d/c.conf.off", "conf.d/.conf"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(unlink(place(names[i])), 0);
}

static void test_mistakes(void **state)
{
    (void)state;
    struct brokerconf *conf;
    struct error e;
    assert_int_equal(brokerconf_load("/nowhere/m.conf", &conf, &e), -1);
    assert_int_equal(e.code, ERROR_NOT_FOUND);
    assert_null(conf);
    write_text("mosquitto.conf", "user x\ninclude_dir /nowhere/conf.d\n");
    assert_int_equal(brokerconf_load(place("mosquitto.conf"), &conf, &e), -1);
    assert_non_null(strstr(
        e.text, "mosquitto.conf:2: cannot read include_dir /nowhere/conf.d: No such file or directory"));
    unlink(place("mosquitto.conf"));
}

static void test_switches(void **state)
{
    (void)state;
    struct brokerconf *conf = load(
        "persistence true\nallow_anonymous 1\nper_listener_settings true\nper_listener_settings false\n");
    assert_true(brokerconf_switch(conf, "persistence", false));
    assert_true(brokerconf_switch(conf, "allow_anonymous", false));
    assert_false(brokerconf_switch(conf, "per_listener_settings", true));
    assert_true(brokerconf_switch(conf, "absent", true));
    assert_false(brokerconf_switch(conf, "absent", false));
    brokerconf_destroy(&conf);
}

static void assert_listener(const struct brokerconf_listener *l, unsigned port, const char *address,
                            bool websockets, bool tls)
{
    assert_int_equal(l->port, port);
    if (address == NULL) {
        assert_null(l->address);
    } else {
        assert_int_equal(l->address_size, strlen(address));
        assert_memory_equal(l->address, address, strlen(address));
    }
    assert_int_equal(l->websockets, websockets);
    assert_int_equal(l->tls, tls);
}

static void test_listeners(void **state)
{
    (void)state;
    struct brokerconf_listener found[8];
    struct brokerconf *conf = load("persistence false\n");
    assert_int_equal(brokerconf_listeners(conf, found, 8), 1);
    assert_listener(&found[0], 1883, "localhost", false, false);
    assert_null(found[0].line);
    brokerconf_destroy(&conf);

    conf =
        load("listener 1883 127.0.0.1\nlistener 8083 # web\nprotocol websockets\nlistener 0 /run/wake.sock\n"
             "listener 8883 ::\nprotocol mqtt\ncertfile /c\n");
    assert_int_equal(brokerconf_listeners(conf, found, 8), 4);
    assert_listener(&found[0], 1883, "127.0.0.1", false, false);
    assert_listener(&found[1], 8083, NULL, true, false);
    assert_listener(&found[2], 0, "/run/wake.sock", false, false);
    assert_listener(&found[3], 8883, "::", false, true);
    assert_int_equal(found[3].line->line, 5);
    assert_int_equal(brokerconf_listeners(conf, found, 2), 4);
    assert_int_equal(brokerconf_listeners(conf, NULL, 0), 4);
    brokerconf_destroy(&conf);

    conf = load("bind_address 10.0.0.1\nport 1884\nprotocol websockets\nlistener 1885\n");
    assert_int_equal(brokerconf_listeners(conf, found, 8), 2);
    assert_listener(&found[0], 1884, "10.0.0.1", true, false);
    assert_listener(&found[1], 1885, NULL, false, false);
    brokerconf_destroy(&conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),    cmocka_unit_test(test_include_dir), cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_switches), cmocka_unit_test(test_listeners),
    };
    return cmocka_run_group_tests(tests, setup_folder, remove_folder);
}
