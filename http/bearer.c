#include "http/bearer.h"

#include "core/log.h"

#include <string.h>
#include <strings.h>

/* The token behind `Bearer`, NULL when the header is absent or of another scheme. */
static const char *token_text(const struct exchange *x)
{
    static const char scheme[] = "Bearer ";
    const char *value = x->request->header(x->request, "Authorization");
    if (value == NULL || strncasecmp(value, scheme, sizeof scheme - 1) != 0)
        return NULL;
    value += sizeof scheme - 1;
    return value + strspn(value, " ");
}

bool bearer_check(struct exchange *x)
{
    struct clock_port *clock = x->ports->clock;
    if (x->request->who != NULL) {
        x->who = *x->request->who;
        return true;
    }
    const char *text = token_text(x);
    if (text == NULL) {
        exchange_header(x, "WWW-Authenticate", "Bearer realm=\"parlor\"");
        exchange_refuse_status(x, 401, "invalid_token", "this needs a token");
        return false;
    }
    size_t size = strlen(text);
    while (size > 0 && text[size - 1] == ' ')
        size--;
    struct error e = {0};
    if (token_verify(x->ports->tokens, text, size, clock->wall_ms(clock) / 1000, &x->who, &e) == 0) {
        /* The service speaks for users by the broker; here it is nobody. */
        if (x->who.role != ROLE_SERVICE)
            return true;
        x->who = (struct token){0};
        error_set(&e, ERROR_DENIED, "invalid_token", "a service token is for the broker alone");
    }
    /* Which check failed is for the log: a client that forges would learn from it. */
    log_debug("http", "token refused word=%s msg=\"%s\" address=%s request=%s", e.word, e.text,
              x->request->address, x->request->request_id);
    bool expired = strcmp(e.word, "token_expired") == 0;
    exchange_header(x, "WWW-Authenticate",
                    expired
                        ? "Bearer realm=\"parlor\", error=\"invalid_token\", error_description=\"expired\""
                        : "Bearer realm=\"parlor\", error=\"invalid_token\"");
    exchange_refuse_status(x, 401, expired ? "token_expired" : "invalid_token",
                           expired ? "the token has expired" : "the token is not valid");
    return false;
}
