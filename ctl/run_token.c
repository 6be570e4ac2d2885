#include "ctl/ctl.h"

#include "core/clock.h"
#include "core/json.h"
#include "core/token.h"
#include "ctl/token_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define TTL_DEFAULT_S 3600

/* The issuer's key where its word would count, for then the token is such as users have; else the operator's.
 */
static enum token_signer choose_signer(const struct config *config, enum role role)
{
    bool issuer_signs = config->jwt_secret != NULL && (config_list_has(config->jwt_algorithms, "HS256") ||
                                                       config_list_has(config->jwt_algorithms, "HS384") ||
                                                       config_list_has(config->jwt_algorithms, "HS512"));
    bool trusted = role == ROLE_USER || config_list_has(config->trusted_roles, role_name(role));
    return issuer_signs && trusted ? TOKEN_BY_ISSUER : TOKEN_BY_OPERATOR;
}

static int print_token(struct ctl *ctl, struct token_keys *keys, const char *user, enum role role,
                       struct error *e)
{
    int64_t now_s = clock_wall_ms() / 1000;
    int64_t ttl_s = (ctl->options->given & OPTION_TTL) != 0 ? ctl->options->ttl_s : TTL_DEFAULT_S;
    struct buf token = {0};
    char expires[CLOCK_TEXT_SIZE];
    int result = token_issue(keys, choose_signer(ctl->config, role), user, role, now_s, ttl_s, &token, e);
    clock_format((now_s + ttl_s) * 1000, expires);
    if (result == 0 && ctl_json(ctl)) {
        buf_put_text(&ctl->out, "{\"ok\":true,\"token\":");
        json_put_text(&ctl->out, token.data);
        buf_put_text(&ctl->out, ",\"userId\":");
        json_put_text(&ctl->out, user);
        buf_printf(&ctl->out, ",\"role\":\"%s\",\"expiresAt\":\"%s\"}\n", role_name(role), expires);
    } else if (result == 0) {
        buf_printf(&ctl->out, "%s\n", token.data);
    }
    buf_finish(&token);
    return result;
}

static int issue(struct ctl *ctl, struct token_keys *keys, struct error *e)
{
    const char *user = ctl->options->words[0], *role_text = ctl->options->role;
    enum role role = ROLE_USER;
    if (!user_id_valid(user, strlen(user)))
        return error_set(e, ERROR_INVALID, "no_user",
                         "'%s' is no user id: 1 to 128 of A-Z a-z 0-9 . _ @ | = -, but not . or ..", user);
    if (role_text != NULL && !role_parse(role_text, &role))
        return error_set(e, ERROR_INVALID, "usage", "--role is '%s' but must be user, agent or operator",
                         role_text);
    return print_token(ctl, keys, user, role, e);
}

/* From the command line, or from stdin: a command line is seen by everybody on the machine. */
static int read_token(const char *word, struct buf *out, struct error *e)
{
    if (strcmp(word, "-") != 0) {
        buf_put_text(out, word);
        return 0;
    }
    char bytes[TOKEN_TEXT_MAX + 2];
    size_t size = fread(bytes, 1, sizeof bytes, stdin);
    while (size != 0 && (bytes[size - 1] == '\n' || bytes[size - 1] == '\r' || bytes[size - 1] == ' '))
        size--;
    if (size == 0)
        return error_set(e, ERROR_INVALID, "usage", "no token on stdin");
    buf_put(out, bytes, size);
    return 0;
}

static int check(struct ctl *ctl, struct token_keys *keys, struct error *e)
{
    struct buf text = {0};
    struct token_report report;
    if (read_token(ctl->options->words[1], &text, e) != 0) {
        buf_finish(&text);
        return -1;
    }
    token_report_make(ctl->config, keys, text.data, text.size, clock_wall_ms() / 1000, &report);
    token_report_print(&ctl->out, &report, ctl_json(ctl));
    buf_finish(&text);
    return report.valid ? 0 : EX_NOPERM;
}

int run_token(struct ctl *ctl, struct error *e)
{
    struct token_keys *keys = NULL;
    if (token_keys_create(ctl->config, &keys, e) != 0)
        return -1;
    int result = issue(ctl, keys, e);
    token_keys_destroy(&keys);
    return result;
}

int run_token_check(struct ctl *ctl, struct error *e)
{
    struct token_keys *keys = NULL;
    if (token_keys_create(ctl->config, &keys, e) != 0)
        return -1;
    int result = check(ctl, keys, e);
    token_keys_destroy(&keys);
    return result;
}
