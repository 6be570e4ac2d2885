#include "http/cors.h"

#include "core/config.h"

#include <string.h>

#define ALLOWED_HEADERS "Authorization, Content-Type, Idempotency-Key, X-Request-Id"
#define EXPOSED_HEADERS "X-Request-Id, Retry-After, Location"
#define PREFLIGHT_S     "600" /* how long a browser may remember the preflight */

/* What Access-Control-Allow-Origin is to say; NULL when the origin is not on the list. */
static const char *allowed_origin(const struct exchange *x)
{
    const char *list = x->ports->config->cors_origins;
    const char *origin = x->request->header(x->request, "Origin");
    if (list == NULL || *list == '\0' || origin == NULL)
        return NULL;
    if (strcmp(list, "*") == 0)
        return "*";
    return config_list_has(list, origin) ? origin : NULL;
}

void cors_begin(struct exchange *x)
{
    const char *list = x->ports->config->cors_origins;
    if (list == NULL || *list == '\0')
        return;
    if (strcmp(list, "*") != 0)
        exchange_header(x, "Vary", "Origin");
    const char *origin = allowed_origin(x);
    if (origin == NULL)
        return;
    exchange_header(x, "Access-Control-Allow-Origin", origin);
    if (strcmp(origin, "*") != 0)
        exchange_header(x, "Access-Control-Allow-Credentials", "true");
    exchange_header(x, "Access-Control-Expose-Headers", EXPOSED_HEADERS);
}

void cors_options(struct exchange *x)
{
    exchange_header(x, "Allow", x->match.allow);
    bool preflight = x->request->header(x->request, "Access-Control-Request-Method") != NULL;
    if (preflight && allowed_origin(x) != NULL) {
        exchange_header(x, "Access-Control-Allow-Methods", x->match.allow);
        exchange_header(x, "Access-Control-Allow-Headers", ALLOWED_HEADERS);
        exchange_header(x, "Access-Control-Max-Age", PREFLIGHT_S);
    }
    exchange_answer(x, 204, NULL, NULL, 0);
}
