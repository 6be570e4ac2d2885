#include "ctl/token_report.h"

#include "core/claims.h"
#include "core/clock.h"
#include "core/json.h"
#include "ctl/printable.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIME_TEXT_MAX    64
#define TIME_PRINTED_MAX 253402300799 /* the last second of 9999 */

__attribute__((format(printf, 4, 5))) static void say(struct token_report *report, const char *name,
                                                      enum check_result result, const char *format, ...)
{
    struct token_report_line *line = &report->lines[report->count++];
    va_list args;
    line->name = name;
    line->result = result;
    va_start(args, format);
    vsnprintf(line->text, sizeof line->text, format, args);
    va_end(args);
}

/* ---- Reading what the token says of itself ---- */

static int base64url_value(char c)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *at = c != '\0' ? strchr(alphabet, c) : NULL;
    return at != NULL ? (int)(at - alphabet) : -1;
}

/* A part of the token as a JSON object; NULL when it is none. */
static struct json *read_part(const char *part, size_t size)
{
    struct buf bytes = {0};
    unsigned held = 0, bits = 0;
    for (size_t i = 0; i < size; i++) {
        int value = base64url_value(part[i]);
        if (value < 0)
            break;
        bits = (bits << 6 | (unsigned)value) & 0xffffff;
        held += 6;
        if (held >= 8) {
            held -= 8;
            buf_put_byte(&bytes, (unsigned char)(bits >> held));
        }
    }
    struct json *tree = json_parse(bytes.data, bytes.size, NULL);
    if (json_kind(tree) != JSON_OBJECT)
        json_destroy(&tree);
    buf_finish(&bytes);
    return tree;
}

static void split(const char *text, size_t size, struct json **header, struct json **claims)
{
    const char *first = memchr(text, '.', size);
    *header = *claims = NULL;
    if (first == NULL)
        return;
    *header = read_part(text, (size_t)(first - text));
    size_t left = size - (size_t)(first + 1 - text);
    const char *second = memchr(first + 1, '.', left);
    *claims = read_part(first + 1, second != NULL ? (size_t)(second - first - 1) : left);
}

/* ---- The lines ---- */

static enum token_signer signer_of(const struct json *header)
{
    const char *kid = json_string(json_get(header, "kid"));
    if (kid != NULL && strcmp(kid, "parlor-operator") == 0)
        return TOKEN_BY_OPERATOR;
    return kid != NULL && strcmp(kid, "parlor-service") == 0 ? TOKEN_BY_SERVICE : TOKEN_BY_ISSUER;
}

static void say_key(struct token_report *report, const struct config *config, const struct json *header)
{
    static const char *const whose[] = {[TOKEN_BY_ISSUER] = "the issuer's",
                                        [TOKEN_BY_OPERATOR] = "the operator's (operator_secret)",
                                        [TOKEN_BY_SERVICE] = "parlord's (service_secret)"};
    const char *alg = json_string(json_get(header, "alg"));
    enum token_signer signer = signer_of(header);
    bool known = alg != NULL && (signer == TOKEN_BY_ISSUER ? config_list_has(config->jwt_algorithms, alg)
                                                           : strcmp(alg, "HS256") == 0);
    if (known)
        say(report, "key", CHECK_PASSED, "%s, %s", alg, whose[signer]);
    else if (signer == TOKEN_BY_ISSUER)
        say(report, "key", CHECK_FAILED, "the header asks for %.40s, and jwt_algorithms has %.100s",
            alg != NULL ? alg : "no algorithm", config->jwt_algorithms);
    else
        say(report, "key", CHECK_FAILED, "the header asks for %.40s, and this key signs with HS256",
            alg != NULL ? alg : "no algorithm");
}

/* The claims are looked at after the signature: a refusal that is theirs says that the signature holds. */
static bool is_about_claims(const struct config *config, const struct json *header, const struct json *claims,
                            int64_t wall_s, const struct error *why)
{
    struct token token;
    struct error e = {0};
    int64_t not_before;
    return claims != NULL &&
           claims_check(config, signer_of(header), claims, wall_s, &token, &not_before, &e) != 0 &&
           strcmp(e.word, why->word) == 0 && strcmp(e.text, why->text) == 0;
}

static void say_signature(struct token_report *report, const struct config *config, const struct json *header,
                          const struct json *claims, int64_t wall_s)
{
    if (report->valid || is_about_claims(config, header, claims, wall_s, &report->why))
        say(report, "signature", CHECK_PASSED, "holds");
    else
        say(report, "signature", CHECK_FAILED, "%.150s", report->why.text);
}

static void format_time(int64_t at_s, int64_t now_s, char out[TIME_TEXT_MAX])
{
    char text[CLOCK_TEXT_SIZE];
    if (at_s < 0 || at_s > TIME_PRINTED_MAX) {
        snprintf(out, TIME_TEXT_MAX, "%" PRId64, at_s);
        return;
    }
    clock_format(at_s * 1000, text);
    int64_t away = at_s > now_s ? at_s - now_s : now_s - at_s;
    int64_t unit_s = away < 120 ? 1 : away < 7200 ? 60 : away < 172800 ? 3600 : 86400;
    const char *unit = unit_s == 1 ? "seconds" : unit_s == 60 ? "minutes" : unit_s == 3600 ? "hours" : "days";
    snprintf(out, TIME_TEXT_MAX, "%s, %s%" PRId64 " %s%s", text, at_s > now_s ? "in " : "", away / unit_s,
             unit, at_s > now_s ? "" : " ago");
}

static void say_times(struct token_report *report, const struct config *config, const struct json *claims,
                      int64_t wall_s)
{
    char text[TIME_TEXT_MAX];
    int64_t at;
    if (!json_floor(json_get(claims, "exp"), &at)) {
        say(report, "exp", CHECK_FAILED, "missing or no number; a token must end");
    } else {
        format_time(at, wall_s, text);
        bool passed = at + config->jwt_leeway_s > wall_s;
        int64_t ends = report->valid ? report->token.expires_at_s : at + config->jwt_leeway_s;
        if (passed && ends < at)
            say(report, "exp", CHECK_PASSED, "%s; jwt_ttl_max_s ends it %" PRId64 " seconds earlier", text,
                at - ends);
        else
            say(report, "exp", passed ? CHECK_PASSED : CHECK_FAILED, "%s", text);
    }
    const struct json *nbf = json_get(claims, "nbf");
    if (nbf == NULL) {
        say(report, "nbf", CHECK_SKIPPED, "not there");
    } else if (!json_floor(nbf, &at)) {
        say(report, "nbf", CHECK_FAILED, "no number");
    } else {
        format_time(at, wall_s, text);
        say(report, "nbf", at - config->jwt_leeway_s <= wall_s ? CHECK_PASSED : CHECK_FAILED, "%s", text);
    }
}

static bool has_audience(const struct json *aud, const char *wanted)
{
    const char *one = json_string(aud);
    if (one != NULL)
        return strcmp(one, wanted) == 0;
    for (const struct json *at = json_kind(aud) == JSON_ARRAY ? json_first(aud) : NULL; at != NULL;
         at = json_next(at)) {
        one = json_string(at);
        if (one != NULL && strcmp(one, wanted) == 0)
            return true;
    }
    return false;
}

static void say_issuer(struct token_report *report, const struct config *config, const struct json *claims)
{
    const char *iss = json_string(json_get(claims, "iss"));
    if (config->jwt_issuer == NULL)
        say(report, "iss", CHECK_SKIPPED, "jwt_issuer is not set");
    else
        say(report, "iss", iss != NULL && strcmp(iss, config->jwt_issuer) == 0 ? CHECK_PASSED : CHECK_FAILED,
            "%.80s; jwt_issuer is %.80s", iss != NULL ? iss : "not there", config->jwt_issuer);
    if (config->jwt_audience == NULL)
        say(report, "aud", CHECK_SKIPPED, "jwt_audience is not set");
    else if (has_audience(json_get(claims, "aud"), config->jwt_audience))
        say(report, "aud", CHECK_PASSED, "has %.100s", config->jwt_audience);
    else
        say(report, "aud", CHECK_FAILED, "does not have %.100s", config->jwt_audience);
}

static void say_subject(struct token_report *report, enum token_signer signer, const struct json *claims)
{
    const char *sub = json_string(json_get(claims, "sub"));
    bool fits = sub != NULL && (signer == TOKEN_BY_SERVICE ? strcmp(sub, SERVICE_USER) == 0
                                                           : user_id_valid(sub, strlen(sub)));
    if (fits)
        say(report, "sub", CHECK_PASSED, "%s", sub);
    else
        say(report, "sub", CHECK_FAILED,
            sub == NULL ? "not there" : "no user id: 1 to 128 of A-Z a-z 0-9 . _ @ | = -");
}

static void say_role(struct token_report *report, const struct config *config, enum token_signer signer,
                     const struct json *claims)
{
    const char *claimed = json_string(json_get(claims, "role"));
    enum role role;
    if (signer == TOKEN_BY_SERVICE)
        say(report, "role", CHECK_PASSED, "service");
    else if (claimed == NULL)
        say(report, "role", CHECK_SKIPPED, "not there: user");
    else if (!role_parse(claimed, &role))
        say(report, "role", CHECK_SKIPPED, "%.40s is none of user, agent, operator: counts as user", claimed);
    else if (role != ROLE_USER && signer == TOKEN_BY_ISSUER &&
             !config_list_has(config->trusted_roles, claimed))
        say(report, "role", CHECK_SKIPPED, "%s is not in trusted_roles: counts as user", claimed);
    else
        say(report, "role", CHECK_PASSED, "%s", claimed);
}

void token_report_make(const struct config *config, struct token_keys *keys, const char *text, size_t size,
                       int64_t wall_s, struct token_report *out)
{
    struct json *header, *claims;
    *out = (struct token_report){.count = 0};
    out->valid = token_verify(keys, text, size, wall_s, &out->token, &out->why) == 0;
    split(text, size, &header, &claims);
    if (header == NULL || claims == NULL) {
        say(out, "form", CHECK_FAILED, "not three base64url parts of which the first two are JSON objects");
    } else {
        enum token_signer signer = signer_of(header);
        say(out, "form", CHECK_PASSED, "a JSON Web Token");
        say_key(out, config, header);
        say_signature(out, config, header, claims, wall_s);
        say_times(out, config, claims, wall_s);
        if (signer == TOKEN_BY_ISSUER)
            say_issuer(out, config, claims);
        say_subject(out, signer, claims);
        say_role(out, config, signer, claims);
    }
    json_destroy(&header);
    json_destroy(&claims);
}

static const char *const result_names[] = {
    [CHECK_PASSED] = "passed", [CHECK_FAILED] = "failed", [CHECK_SKIPPED] = "skipped"};

static void print_line(struct buf *out, const char *before, const char *text)
{
    buf_put_text(out, before);
    printable_put(out, text);
    buf_put_byte(out, '\n');
}

static void print_text(struct buf *out, const struct token_report *report)
{
    char until[CLOCK_TEXT_SIZE];
    clock_format(report->token.expires_at_s * 1000, until);
    if (report->valid)
        buf_printf(out, "valid: %s, role %s, until %s\n", report->token.user, role_name(report->token.role),
                   until);
    else
        print_line(out, "invalid: ", report->why.text);
    for (size_t i = 0; i < report->count; i++) {
        buf_printf(out, "  %-9s  %-7s  ", report->lines[i].name, result_names[report->lines[i].result]);
        print_line(out, "", report->lines[i].text);
    }
}

static void print_json(struct buf *out, const struct token_report *report)
{
    char until[CLOCK_TEXT_SIZE];
    clock_format(report->token.expires_at_s * 1000, until);
    buf_printf(out, "{\"ok\":%s,", report->valid ? "true" : "false");
    if (report->valid) {
        buf_put_text(out, "\"userId\":");
        json_put_text(out, report->token.user);
        buf_printf(out, ",\"role\":\"%s\",\"expiresAt\":\"%s\"", role_name(report->token.role), until);
    } else {
        buf_put_text(out, "\"code\":");
        json_put_text(out, report->why.word);
        buf_put_text(out, ",\"message\":");
        printable_put_json(out, report->why.text);
    }
    buf_put_text(out, ",\"checks\":[");
    for (size_t i = 0; i < report->count; i++) {
        buf_printf(out, "%s{\"name\":\"%s\",\"result\":\"%s\",\"text\":", i != 0 ? "," : "",
                   report->lines[i].name, result_names[report->lines[i].result]);
        printable_put_json(out, report->lines[i].text);
        buf_put_byte(out, '}');
    }
    buf_put_text(out, "]}\n");
}

void token_report_print(struct buf *out, const struct token_report *report, bool json)
{
    if (json)
        print_json(out, report);
    else
        print_text(out, report);
}
