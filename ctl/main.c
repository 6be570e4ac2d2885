/* parlorctl: what an operator asks of Parlor. */
#include "core/json.h"
#include "core/log.h"
#include "ctl/ctl.h"
#include "ctl/printable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

/* A command, or with `form` the form of it that its first word calls. */
struct command {
    const char *name, *form;
    int (*run)(struct ctl *ctl, struct error *e);
    size_t words_min, words_max;
    unsigned options; /* beside the common ones */
    bool needs_config;
    const char *usage, *help;
};

static const struct command commands[] = {
    {"token", "check", run_token_check, 2, 2, 0, true, "token check TOKEN",
     "Says of TOKEN (- reads it from stdin) which key it asks for and what each check says."},
    {"token", NULL, run_token, 1, 1, OPTION_ROLE | OPTION_TTL, true, "token USER [--role R] [--ttl S]",
     "Prints a token for USER (role user, agent or operator; for 1h, or S seconds, or such as 30m, 8h, "
     "7d).\n"
     "A user called check is told apart by `token -- check`."},
    {"migrate", NULL, run_migrate, 0, 0, OPTION_DRY_RUN, true, "migrate [--dry-run]",
     "Brings the database's schema up to this version; with --dry-run only says what would be done."},
    {"status", NULL, run_status, 0, 0, 0, true, "status",
     "Asks database, broker and parlord whether they are up."},
    {"check", NULL, run_check, 0, 0, OPTION_BROKER_CONF, false, "check [--broker-conf FILE]",
     "Reads parlor.conf and the broker's own configuration (/etc/mosquitto/mosquitto.conf), looks at "
     "database, keys,\n"
     "clock and ports, and names what is wrong and what the plugin will change for the broker's other "
     "clients."},
    {"why", NULL, run_why, 3, 3, OPTION_ROLE, true, "why USER ACCESS TOPIC [--role R]",
     "Says whether USER may read, write or subscribe to TOPIC, by which rule, and what would change it."},
    {"reference", NULL, run_reference, 0, 0, 0, false, "reference",
     "Prints all keys of parlor.conf in Markdown."},
};

#define COMMANDS_COUNT (sizeof commands / sizeof commands[0])

/* A form stands before the command's row without one. */
static const struct command *find_command(const struct options *options)
{
    const char *first = options->count != 0 && options->sure_from != 0 ? options->words[0] : NULL;
    for (size_t i = 0; i < COMMANDS_COUNT && options->command != NULL; i++) {
        const struct command *at = &commands[i];
        if (strcmp(at->name, options->command) == 0 &&
            (at->form == NULL || (first != NULL && strcmp(at->form, first) == 0)))
            return at;
    }
    return NULL;
}

/* Of a command all forms, of a form itself alone. */
static void print_command_help(const struct command *command, FILE *to)
{
    for (const struct command *at = commands; at < commands + COMMANDS_COUNT; at++) {
        if (at == command || (command->form == NULL && strcmp(at->name, command->name) == 0))
            fprintf(to, "usage: parlorctl %s\n%s\n\n", at->usage, at->help);
    }
}

static void print_help(const struct command *command, FILE *to)
{
    static const char common[] =
        "  --config FILE   parlor.conf (else $PARLOR_CONFIG, ./parlor.conf, /etc/parlor/parlor.conf)\n"
        "  --json          print one JSON object\n"
        "  --help          this text\n";
    if (command != NULL) {
        print_command_help(command, to);
        fputs(common, to);
        return;
    }
    fputs("usage: parlorctl COMMAND [options]\n\n", to);
    for (size_t i = 0; i < COMMANDS_COUNT; i++)
        fprintf(to, "  parlorctl %s\n", commands[i].usage);
    fprintf(to, "\n%s\nparlorctl COMMAND --help says more. Exit codes are those of sysexits.h; 0 is yes.\n",
            common);
}

/* ---- The configuration's place ---- */

static const char *find_config(const struct options *options)
{
    static const char *const places[] = {"./parlor.conf", "/etc/parlor/parlor.conf"};
    const char *named = options->config != NULL ? options->config : getenv("PARLOR_CONFIG");
    if (named != NULL && named[0] != '\0')
        return named;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (access(places[i], F_OK) == 0)
            return places[i];
    }
    return NULL;
}

/* ---- Running ---- */

static int check_usage(const struct command *command, const struct options *options, struct error *e)
{
    const char *misplaced = options_misplaced(options, OPTIONS_COMMON | command->options);
    if (misplaced != NULL)
        return error_set(e, ERROR_INVALID, "usage", "%s%s%s has no option %s", command->name,
                         command->form != NULL ? " " : "", command->form != NULL ? command->form : "",
                         misplaced);
    if (options->count < command->words_min || options->count > command->words_max)
        return error_set(e, ERROR_INVALID, "usage", "usage: parlorctl %s", command->usage);
    return 0;
}

static int run(const struct command *command, struct ctl *ctl, struct error *e)
{
    if (check_usage(command, ctl->options, e) != 0)
        return -1;
    if (command->needs_config && config_load(ctl->config_path, CONFIG_CTL, &ctl->config, e) != 0)
        return -1;
    return command->run(ctl, e);
}

static int report_failure(const struct options *options, const struct error *e)
{
    struct buf out = {0};
    buf_put_text(&out, "parlorctl: ");
    printable_put(&out, e->text);
    fprintf(stderr, "%s\n", out.data);
    buf_clear(&out);
    if ((options->given & OPTION_JSON) != 0) {
        buf_put_text(&out, "{\"ok\":false,\"code\":");
        json_put_text(&out, e->word);
        buf_put_text(&out, ",\"message\":");
        printable_put_json(&out, e->text);
        buf_put_text(&out, "}");
        puts(out.data);
    }
    buf_finish(&out);
    return ctl_exit_code(e);
}

static int run_command(const struct command *command, const struct options *options)
{
    struct error e = {0};
    struct ctl ctl = {.options = options, .config_path = find_config(options)};
    int code = run(command, &ctl, &e);
    if (code >= 0 && ctl.out.size != 0 &&
        (fwrite(ctl.out.data, 1, ctl.out.size, stdout) != ctl.out.size || fflush(stdout) != 0)) {
        perror("parlorctl: stdout");
        code = EX_IOERR;
    }
    if (code < 0)
        code = report_failure(options, &e);
    buf_finish(&ctl.out);
    config_destroy(&ctl.config);
    return code;
}

static int no_command(const struct options *options)
{
    struct error e = {0};
    if (options->command == NULL && (options->given & OPTION_JSON) == 0) {
        print_help(NULL, stderr);
        return EX_USAGE;
    }
    if (options->command != NULL)
        error_set(&e, ERROR_INVALID, "usage", "no command %s; parlorctl --help lists them", options->command);
    else
        error_set(&e, ERROR_INVALID, "usage", "no command is named; parlorctl --help lists them");
    return report_failure(options, &e);
}

int main(int argc, char **argv)
{
    struct options options;
    struct error e = {0};
    log_init(NULL, LOG_LEVEL_ERROR);
    if (options_parse(argc, argv, &options, &e) != 0)
        return report_failure(&options, &e);
    const struct command *command = find_command(&options);
    if ((options.given & OPTION_HELP) != 0 ||
        (options.command != NULL && strcmp(options.command, "help") == 0)) {
        print_help(command, stdout);
        return 0;
    }
    return command != NULL ? run_command(command, &options) : no_command(&options);
}
