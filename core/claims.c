/* Times are whole seconds since 1970; a fraction is rounded down. */
#include "core/claims.h"

#include "core/ids.h"

#include <string.h>

#define TIME_MAX (INT64_C(1) << 53)

static int refuse(struct error *e, const char *why)
{
    return error_set(e, ERROR_DENIED, "invalid_token", "%s", why);
}

/* NumericDate (RFC 7519, section 2), rounded down. 1 when there, 0 when absent, -1 when it is no such thing.
 */
static int read_time(const struct json *claims, const char *name, int64_t *out)
{
    const struct json *value = json_get(claims, name);
    if (value == NULL)
        return 0;
    return json_floor(value, out) ? 1 : -1;
}

static int check_times(const struct config *config, enum token_signer signer, const struct json *claims,
                       int64_t wall_s, struct token *out, int64_t *not_before_out, struct error *e)
{
    int64_t expires = 0, issued = 0, leeway = config->jwt_leeway_s;
    *not_before_out = -TIME_MAX;
    if (read_time(claims, "exp", &expires) != 1)
        return refuse(e, "exp is missing or no number");
    int has_nbf = read_time(claims, "nbf", not_before_out);
    int has_iat = read_time(claims, "iat", &issued);
    if (has_nbf < 0 || has_iat < 0)
        return refuse(e, "nbf or iat is no number");
    int64_t life_max = config->jwt_ttl_max_s;
    if (life_max > 0 && signer != TOKEN_BY_SERVICE) {
        /* An iat in the future would buy time. */
        int64_t from = has_iat == 1 && issued < wall_s ? issued : wall_s;
        if (expires > from + life_max)
            expires = from + life_max;
    }
    out->expires_at_s = expires + leeway;
    *not_before_out -= leeway;
    return 0;
}

int claims_check_now(const struct token *token, int64_t not_before_s, int64_t wall_s, struct error *e)
{
    if (wall_s >= token->expires_at_s)
        return error_set(e, ERROR_DENIED, "token_expired", "the token has expired");
    if (wall_s < not_before_s)
        return refuse(e, "nbf is in the future");
    return 0;
}

/* aud is one string or a list of them, of which ours must be one. */
static bool is_for_us(const struct json *aud, const char *us)
{
    const char *one = json_string(aud);
    if (one != NULL)
        return strcmp(one, us) == 0;
    if (json_kind(aud) != JSON_ARRAY)
        return false;
    for (const struct json *at = json_first(aud); at != NULL; at = json_next(at)) {
        one = json_string(at);
        if (one != NULL && strcmp(one, us) == 0)
            return true;
    }
    return false;
}

static int check_issuer(const struct config *config, const struct json *claims, struct error *e)
{
    const char *iss = json_string(json_get(claims, "iss"));
    if (config->jwt_issuer != NULL && (iss == NULL || strcmp(iss, config->jwt_issuer) != 0))
        return refuse(e, "iss is not the one in jwt_issuer");
    if (config->jwt_audience != NULL && !is_for_us(json_get(claims, "aud"), config->jwt_audience))
        return refuse(e, "aud does not have the one in jwt_audience");
    return 0;
}

static enum role read_role(const struct config *config, enum token_signer signer, const struct json *claims)
{
    const char *text = json_string(json_get(claims, "role"));
    enum role role = ROLE_USER;
    if (signer == TOKEN_BY_SERVICE)
        return ROLE_SERVICE;
    if (text == NULL || !role_parse(text, &role))
        return ROLE_USER;
    if (signer == TOKEN_BY_OPERATOR)
        return role;
    bool trusted = config->trusted_roles != NULL && role != ROLE_USER &&
                   config_list_has(config->trusted_roles, role_name(role));
    return trusted ? role : ROLE_USER;
}

static int read_user(enum token_signer signer, const struct json *claims, struct token *out, struct error *e)
{
    const char *sub = json_string(json_get(claims, "sub"));
    bool fits = sub != NULL && (signer == TOKEN_BY_SERVICE ? strcmp(sub, SERVICE_USER) == 0
                                                           : user_id_valid(sub, strlen(sub)));
    if (!fits)
        return refuse(e, "sub is missing or no user id (1 to 128 of A-Z a-z 0-9 . _ @ | = -)");
    memcpy(out->user, sub, strlen(sub) + 1);
    return 0;
}

int claims_check(const struct config *config, enum token_signer signer, const struct json *claims,
                 int64_t wall_s, struct token *out, int64_t *not_before_out, struct error *e)
{
    *out = (struct token){.role = read_role(config, signer, claims)};
    if (check_times(config, signer, claims, wall_s, out, not_before_out, e) != 0 ||
        claims_check_now(out, *not_before_out, wall_s, e) != 0)
        return -1;
    if (signer == TOKEN_BY_ISSUER && check_issuer(config, claims, e) != 0)
        return -1;
    return read_user(signer, claims, out, e);
}

const char *role_name(enum role role)
{
    static const char *const names[] = {[ROLE_USER] = "user",
                                        [ROLE_AGENT] = "agent",
                                        [ROLE_OPERATOR] = "operator",
                                        [ROLE_SERVICE] = "service"};
    return names[role];
}

bool role_parse(const char *text, enum role *out)
{
    for (int role = ROLE_USER; role < ROLE_SERVICE; role++)
        if (strcmp(text, role_name((enum role)role)) == 0) {
            *out = (enum role)role;
            return true;
        }
    return false;
}
