/* parlor.conf: defaults, lines, environment, secrets in files, and what is said of each mistake. */
#include "core/config.h"

#include "core/config_table.h"
#include "core/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECRET_A "0123456789abcdef0123456789abcdef"
#define SECRET_B "fedcba9876543210fedcba9876543210"
#define SECRET_C "00112233445566778899aabbccddeeff"

static char folder[] = "/tmp/parlor-config-XXXXXX";
static char path[64];
static char text[ERROR_TEXT_MAX]; /* of the last refusal, without the folder's name */

static int setup_folder(void **state)
{
    (void)state;
    /* What the machine's environment sets is none of these tests' business. */
    for (size_t i = 0; i < config_keys_count; i++) {
        char name[80];
        for (int file = 0; file < 2; file++) {
            snprintf(name, sizeof name, "PARLOR_%s%s", config_keys[i].name, file ? "_FILE" : "");
            for (char *at = name; *at != '\0'; at++)
                *at = (char)(*at >= 'a' && *at <= 'z' ? *at - 32 : *at);
            unsetenv(name);
        }
    }
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/parlor.conf", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static void write_bytes(const char *name, const char *bytes, size_t size)
{
    char whole[96];
    snprintf(whole, sizeof whole, "%s/%s", folder, name);
    FILE *file = fopen(whole, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static void remove_file(const char *name)
{
    char whole[96];
    snprintf(whole, sizeof whole, "%s/%s", folder, name);
    assert_int_equal(unlink(whole), 0);
}

static struct config *load_as(enum config_reader reader, const char *content)
{
    write_bytes("parlor.conf", content, strlen(content));
    struct config *config;
    struct error e = {0};
    if (config_load(path, reader, &config, &e) != 0)
        fail_msg("refused: %s", e.text);
    return config;
}

static struct config *load(const char *content)
{
    return load_as(CONFIG_CTL, content);
}

/* Loads what must be refused and leaves the text, in which `F` stands for the file. */
static const char *refused_as(enum config_reader reader, const char *content, size_t size)
{
    write_bytes("parlor.conf", content, size);
    struct config *config;
    struct error e = {0};
    assert_int_equal(config_load(path, reader, &config, &e), -1);
    assert_null(config);
    assert_int_equal(e.code, ERROR_INVALID);
    assert_string_equal(e.word, "bad_option");
    if (strncmp(e.text, path, strlen(path)) == 0)
        snprintf(text, sizeof text, "F%s", e.text + strlen(path));
    else
        snprintf(text, sizeof text, "%s", e.text);
    return text;
}

static const char *refused(const char *content)
{
    return refused_as(CONFIG_CTL, content, strlen(content));
}

static void assert_has(const char *haystack, const char *needle)
{
    if (strstr(haystack, needle) == NULL)
        fail_msg("'%s' is not in '%s'", needle, haystack);
}

static void test_defaults(void **state)
{
    (void)state;
    struct config *c;
    struct error e;
    assert_int_equal(config_load(NULL, CONFIG_CTL, &c, &e), 0);
    assert_null(c->database_url);
    assert_string_equal(c->prefix, "chat/v1");
    assert_true(c->limits);
    assert_string_equal(c->jwt_algorithms, "HS256");
    assert_false(c->jwt_secret_short);
    assert_int_equal(c->outside_prefix, OUTSIDE_DEFER);
    assert_int_equal(c->batch_max, 300);
    assert_true(c->queue_bytes_max == 64 * 1024 * 1024);
    assert_int_equal(c->http_port, 3000);
    assert_int_equal(c->admin_port, 3001);
    assert_string_equal(c->service_addresses, "127.0.0.1,::1");
    assert_int_equal(c->content_bytes_max, 16384);
    assert_int_equal(c->sends_burst, 300);
    config_destroy(&c);
    assert_null(c);
    config_destroy(&c);
    config_destroy(NULL);
}

static void test_lines(void **state)
{
    (void)state;
    struct config *c = load("# a comment\n"
                            "\n"
                            "   # another\n"
                            "http_port 8080\n"
                            "  database_url   host=/run/pg  dbname=parlor # no comment  \t\r\n"
                            "outside_prefix\tallow\n"
                            "limits off\n"
                            "jwt_secret_short true\n"
                            "trusted_roles none\n"
                            "prefix talk");
    assert_int_equal(c->http_port, 8080);
    assert_string_equal(c->database_url, "host=/run/pg  dbname=parlor # no comment");
    assert_int_equal(c->outside_prefix, OUTSIDE_ALLOW);
    assert_false(c->limits);
    assert_true(c->jwt_secret_short);
    assert_string_equal(c->prefix, "talk");
    config_destroy(&c);
}

static void test_mistakes_name_their_place(void **state)
{
    (void)state;
    assert_string_equal(refused("\nhtpp_port 3000\n"), "F:2: unknown key htpp_port; did you mean http_port?");
    assert_has(refused("zzzzzzzzzzz 1"), "F:1: unknown key zzzzzzzzzzz; the nearest is ");
    assert_string_equal(refused("http_port 1\n# x\nhttp_port 1"),
                        "F:3: http_port is given twice, first in line 1");
    assert_string_equal(refused("http_port"), "F:1: http_port has no value");
    assert_string_equal(refused("http_port 65536"),
                        "F:1: http_port is '65536' but must be a number from 1 to 65535");
    assert_string_equal(refused("http_port 0"), "F:1: http_port is '0' but must be a number from 1 to 65535");
    assert_has(refused("http_port 80a"), "must be a number");
    assert_has(refused("http_port -"), "must be a number");
    assert_has(refused("http_port 0x50"), "must be a number");
    assert_has(refused("batch_max 99999999999999999999"), "must be a number");
    assert_has(refused("limits no"), "must be on or off");
    assert_has(refused("outside_prefix deny"), "must be one of: defer allow");
    assert_has(refused("prefix /chat"), "prefix is '/chat' but must be");
    assert_has(refused("prefix chat/+"), "without + #");
    assert_has(refused("prefix a//b"), "single slashes");
    assert_has(refused("log_level loud"), "error, warn, info or debug");
    assert_has(refused("jwt_algorithms none"), "comma list of HS256");
    assert_has(refused("jwt_algorithms HS256,"), "comma list of HS256");
    assert_has(refused("trusted_roles agent,service"), "agent and operator");
    assert_has(refused("service_addresses 127.0.0.1,localhost"), "IPv4 and IPv6 addresses");
    assert_has(refused("http_address 127.0.0.1,::1"), "an IPv4 or IPv6 address");
    assert_has(refused("cors_origins app.example.com"), "https://app.example.com");
    assert_has(refused("cors_origins https://app.example.com/x"), "no path");
    assert_has(refused("jwt_issuer \xff"), "no valid UTF-8");
    assert_has(refused_as(CONFIG_CTL, "prefix a\0b", 10), "F:1: a zero byte");
    assert_string_equal(refused("http_port 1\ncontent_bytes_max 100000"),
                        "F:2: content_bytes_max is 100000, more than payload_bytes_max, which is 65536");
}

static void test_secrets_are_never_shown(void **state)
{
    (void)state;
    assert_null(strstr(refused("service_secret hunter2"), "hunter2"));
    assert_string_equal(
        text,
        "F:1: service_secret must be at least 32 bytes (`openssl rand -hex 32` makes one); it has 7 bytes");
    assert_null(strstr(refused("http_port 1\njwt_secret hunter2"), "hunter2"));
    assert_has(text, "F:2: jwt_secret has 7 bytes but must have at least 32");
    assert_has(text, "jwt_secret_short on");
    assert_null(strstr(refused("jwt_secret " SECRET_A "\nservice_secret " SECRET_A), SECRET_A));
    assert_has(text, "F:2: jwt_secret and service_secret are the same");
}

static void test_short_secret_by_option(void **state)
{
    (void)state;
    struct config *c = load("jwt_secret short\njwt_secret_short on\n");
    assert_string_equal(c->jwt_secret, "short");
    config_destroy(&c);
    /* A secret that no algorithm uses is not weighed. */
    c = load("jwt_secret short\njwt_algorithms RS256\n");
    config_destroy(&c);
}

#define NEEDED "database_url x\nservice_secret " SECRET_A "\n"

static void test_needs_of_each_reader(void **state)
{
    (void)state;
    struct config *c = load("");
    config_destroy(&c);
    c = load_as(CONFIG_SERVICE, NEEDED "jwt_secret " SECRET_B);
    config_destroy(&c);
    c = load_as(CONFIG_PLUGIN, NEEDED "wake_socket /run/w\njwt_secret " SECRET_B);
    config_destroy(&c);
    c = load_as(CONFIG_SERVICE, NEEDED "jwt_algorithms RS256, EdDSA\njwt_public_key_file /k.pem");
    config_destroy(&c);
    c = load_as(CONFIG_SERVICE,
                NEEDED "jwt_algorithms HS256,RS256\njwt_public_key_file /k.pem\njwt_secret " SECRET_B);
    config_destroy(&c);
    static const struct {
        enum config_reader reader;
        const char *content, *text;
    } rows[] = {
        {CONFIG_PLUGIN, NEEDED "jwt_secret " SECRET_B,
         "F: wake_socket is needed and not set (here or as PARLOR_WAKE_SOCKET)"},
        {CONFIG_SERVICE, "database_url x\njwt_secret " SECRET_B,
         "F: service_secret is needed and not set (here or as PARLOR_SERVICE_SECRET)"},
        {CONFIG_SERVICE, "service_secret " SECRET_A,
         "F: database_url is needed and not set (here or as PARLOR_DATABASE_URL)"},
        {CONFIG_SERVICE, NEEDED,
         "F: jwt_algorithms has HS256, which needs jwt_secret (or jwt_secret_file, or PARLOR_JWT_SECRET)"},
        {CONFIG_SERVICE, NEEDED "jwt_algorithms ES256\njwt_secret " SECRET_B,
         "F:3: jwt_algorithms has ES256, which needs jwt_public_key_file"},
        {CONFIG_SERVICE, NEEDED "jwt_algorithms HS256,RS256\njwt_secret " SECRET_B,
         "F:3: jwt_algorithms has HS256,RS256, which needs jwt_public_key_file"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_string_equal(refused_as(rows[i].reader, rows[i].content, strlen(rows[i].content)),
                            rows[i].text);
}

static void test_environment_overrides(void **state)
{
    (void)state;
    setenv("PARLOR_HTTP_PORT", "9000", 1);
    setenv("PARLOR_LIMITS", "off", 1);
    setenv("PARLOR_PREFIX", "", 1);
    struct config *c = load("http_port 8080\nprefix talk\n");
    assert_int_equal(c->http_port, 9000);
    assert_false(c->limits);
    assert_string_equal(c->prefix, "talk"); /* an empty variable is none */
    config_destroy(&c);
    setenv("PARLOR_HTTP_PORT", "x", 1);
    assert_string_equal(
        refused(""),
        "PARLOR_HTTP_PORT in the environment: http_port is 'x' but must be a number from 1 to 65535");
    setenv("PARLOR_HTTP_PORT", "9000", 1);
    setenv("PARLOR_JWT_SECRET", "short", 1);
    const char *said = refused("\njwt_secret " SECRET_A "\n");
    assert_has(said, "PARLOR_JWT_SECRET in the environment: jwt_secret has 5 bytes");
    assert_null(strstr(said, "F:"));
    unsetenv("PARLOR_JWT_SECRET");
    assert_has(refused("\njwt_secret short\n"), "F:2: jwt_secret has 5 bytes");
    unsetenv("PARLOR_HTTP_PORT");
    unsetenv("PARLOR_LIMITS");
    unsetenv("PARLOR_PREFIX");
}

static void test_secrets_in_files(void **state)
{
    (void)state;
    write_bytes("secret", SECRET_A "\r\n", 34);
    write_bytes("other", SECRET_B "\n\n", 34);
    struct config *c = load("service_secret_file secret\njwt_public_key_file key.pem\njwt_secret_file other");
    assert_string_equal(c->service_secret, SECRET_A);
    assert_string_equal(c->jwt_secret, SECRET_B "\n"); /* one line end is taken off, not two */
    char expected[96];
    snprintf(expected, sizeof expected, "%s/key.pem", folder);
    assert_string_equal(c->jwt_public_key_file, expected);
    config_destroy(&c);

    char name[96];
    snprintf(name, sizeof name, "%s/secret", folder);
    setenv("PARLOR_SERVICE_SECRET_FILE", name, 1);
    c = load("service_secret " SECRET_C);
    assert_string_equal(c->service_secret, SECRET_A);
    config_destroy(&c);
    setenv("PARLOR_SERVICE_SECRET", SECRET_B, 1);
    assert_string_equal(
        refused(""),
        "PARLOR_SERVICE_SECRET and PARLOR_SERVICE_SECRET_FILE are both set; one of them must go");
    unsetenv("PARLOR_SERVICE_SECRET_FILE");
    c = load("");
    assert_string_equal(c->service_secret, SECRET_B);
    config_destroy(&c);
    unsetenv("PARLOR_SERVICE_SECRET");

    assert_has(refused("service_secret_file nowhere"), "/nowhere: No such file or directory");
    assert_has(refused("service_secret_file ."), "it is no file");
    assert_string_equal(refused("service_secret_file secret\nservice_secret " SECRET_B),
                        "F:2: service_secret is given twice, first in line 1");
    assert_has(refused("http_port_file secret"), "unknown key http_port_file");
    write_bytes("secret", "\n", 1);
    assert_has(refused("service_secret_file secret"), "is empty");
    write_bytes("secret", "a\0b", 3);
    assert_has(refused("service_secret_file secret"), "zero bytes");
    remove_file("secret");
    remove_file("other");
}

static void test_missing_file(void **state)
{
    (void)state;
    struct config *c;
    struct error e;
    assert_int_equal(config_load("/nowhere/parlor.conf", CONFIG_CTL, &c, &e), -1);
    assert_int_equal(e.code, ERROR_NOT_FOUND);
    assert_string_equal(e.word, "no_config");
    assert_string_equal(e.text, "cannot read /nowhere/parlor.conf: No such file or directory");
    assert_int_equal(config_load("/nowhere/parlor.conf", CONFIG_CTL, &c, NULL), -1);
}

static void test_nearest_key(void **state)
{
    (void)state;
    static const char *const rows[][2] = {{"databse_url", "database_url"},
                                          {"jwt_secert", "jwt_secret"},
                                          {"httpport", "http_port"},
                                          {"log_levl", "log_level"},
                                          {"broker_prot", "broker_port"},
                                          {"unsent_byte_max", "unsent_bytes_max"},
                                          {"BATCH_MAX", "batch_max"},
                                          {"max_batch", "batch_max"},
                                          {"Http-Port", "http_port"},
                                          {"secret_operator", "operator_secret"},
                                          {"max_bytes_queue", "queue_bytes_max"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct nearest nearest = config_key_nearest(rows[i][0], strlen(rows[i][0]));
        assert_string_equal(nearest.name, rows[i][1]);
        assert_true(nearest_close(&nearest));
    }
    /* What is far is named as well, but not as what was meant. */
    char big[200];
    memset(big, 'x', sizeof big);
    const char *const far[] = {"persistence", "foo", "_", "big"};
    for (size_t i = 0; i < sizeof far / sizeof far[0]; i++) {
        bool is_big = strcmp(far[i], "big") == 0;
        struct nearest nearest =
            config_key_nearest(is_big ? big : far[i], is_big ? sizeof big : strlen(far[i]));
        assert_non_null(nearest.name);
        assert_false(nearest_close(&nearest));
    }
    assert_has(refused("foo 1"), "F:1: unknown key foo; the nearest is ");
}

/* What another process writes, and what nobody does. */
static void test_pipes(void **state)
{
    (void)state;
    struct buf got = {0};
    struct error e = {0};
    char whole[96];
    snprintf(whole, sizeof whole, "%s/pipe", folder);
    assert_int_equal(mkfifo(whole, 0600), 0);
    assert_int_equal(file_read(whole, 100, &got, &e), -1);
    assert_has(e.text, "it is a pipe, and nothing came");
    pid_t child = fork();
    if (child == 0) {
        int writer = open(whole, O_WRONLY);
        usleep(100000);
        bool written = write(writer, "x 1\n", 4) == 4;
        usleep(100000);
        _exit(written && write(writer, "y 2\n", 4) == 4 ? 0 : 1);
    }
    assert_int_equal(file_read(whole, 100, &got, &e), 0);
    assert_string_equal(got.data, "x 1\ny 2\n");
    buf_finish(&got);
    waitpid(child, NULL, 0);
    unlink(whole);
}

static void test_byte_order_mark(void **state)
{
    (void)state;
    assert_has(refused("\xef\xbb\xbfhttp_port 3000\n"), "F:1: a byte order mark");
}

/* Every default passes its own check, names are unique and in the alphabet of variables. */
static void test_table_is_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < config_keys_count; i++) {
        const struct config_key *key = &config_keys[i];
        assert_ptr_equal(config_key_find(key->name, strlen(key->name), NULL), key);
        assert_int_equal(strspn(key->name, "abcdefghijklmnopqrstuvwxyz_"), strlen(key->name));
        assert_non_null(key->help);
        assert_int_equal(key->help[strlen(key->help) - 1], '.');
        assert_null(strchr(key->help, '|'));
        if (key->kind == KEY_NUMBER) {
            assert_true(key->min < key->max);
            assert_non_null(key->standard);
        }
    }
}

static void test_list_has(void **state)
{
    (void)state;
    assert_true(config_list_has("agent", "agent"));
    assert_true(config_list_has(" a , b\t,c ", "b"));
    assert_true(config_list_has("a,b", "b"));
    assert_false(config_list_has("agents", "agent"));
    assert_false(config_list_has("a,,b", ""));
    assert_false(config_list_has("", "a"));
    assert_false(config_list_has(NULL, "a"));
    assert_false(config_list_has("a b", "a"));
}

static void test_documentation_is_the_reference(void **state)
{
    (void)state;
    char name[4096];
    snprintf(name, sizeof name, "%s", __FILE__);
    *strrchr(name, '/') = '\0';
    snprintf(name + strlen(name), sizeof name - strlen(name), "/../../docs/configuration.md");
    struct buf file = {0}, reference = {0};
    struct error e = {0};
    if (file_read(name, 1 << 20, &file, &e) != 0)
        fail_msg("%s", e.text);
    config_print_reference(&reference);
    if (file.size != reference.size || memcmp(file.data, reference.data, file.size) != 0)
        fail_msg(
            "docs/configuration.md is not what the table says: parlorctl reference > docs/configuration.md");
    buf_finish(&file);
    buf_finish(&reference);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_mistakes_name_their_place),
        cmocka_unit_test(test_secrets_are_never_shown),
        cmocka_unit_test(test_short_secret_by_option),
        cmocka_unit_test(test_needs_of_each_reader),
        cmocka_unit_test(test_environment_overrides),
        cmocka_unit_test(test_secrets_in_files),
        cmocka_unit_test(test_missing_file),
        cmocka_unit_test(test_nearest_key),
        cmocka_unit_test(test_byte_order_mark),
        cmocka_unit_test(test_pipes),
        cmocka_unit_test(test_table_is_sound),
        cmocka_unit_test(test_list_has),
        cmocka_unit_test(test_documentation_is_the_reference),
    };
    return cmocka_run_group_tests(tests, setup_folder, remove_folder);
}
