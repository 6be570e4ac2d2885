#include "http/cors.h"

#include "core/config.h"

#include <string.h>

#define ALLOWED_HEADERS "Authorization, Content-Type, Idempotency-Key, X-Request-Id"
#define EXPOSED_HEADERS "X-Request-Id, Retry-After, Location"
#define PREFLIGHT_S     "600" /* how long a browser may remember the preflight */

/* What Access-Control-Allow-Origin is to say; NULL when the origin is not on the list. */
static const char *allowed_origin(const char *list, const struct request *request)
{
    const char *origin = request->header(request, "Origin");
    if (list == NULL || *list == '\0' || origin == NULL)
        return NULL;
    if (strcmp(list, "*") == 0)
        return "*";
    return config_list_has(list, origin) ? origin : NULL;
}

static size_t put(const char **out, size_t count, const char *name, const char *value)
{
    out[count] = name;
    out[count + 1] = value;
    return count + 2;
}

size_t cors_headers(const char *origins, const struct request *request, const char *out[CORS_TEXTS_MAX])
{
    size_t count = 0;
    if (origins == NULL || *origins == '\0')
        return 0;
    if (strcmp(origins, "*") != 0)
        count = put(out, count, "Vary", "Origin");
    const char *origin = allowed_origin(origins, request);
    if (origin == NULL)
        return count;
    count = put(out, count, "Access-Control-Allow-Origin", origin);
    if (strcmp(origin, "*") != 0)
        count = put(out, count, "Access-Control-Allow-Credentials", "true");
    return put(out, count, "Access-Control-Expose-Headers", EXPOSED_HEADERS);
}

void cors_begin(struct exchange *x)
{
    const char *texts[CORS_TEXTS_MAX];
    size_t count = cors_headers(x->ports->config->cors_origins, x->request, texts);
    for (size_t i = 0; i < count; i += 2)
        exchange_header(x, texts[i], texts[i + 1]);
}

void cors_options(struct exchange *x)
{
    exchange_header(x, "Allow", x->match.allow);
    bool preflight = x->request->header(x->request, "Access-Control-Request-Method") != NULL;
    if (preflight && allowed_origin(x->ports->config->cors_origins, x->request) != NULL) {
        exchange_header(x, "Access-Control-Allow-Methods", x->match.allow);
        exchange_header(x, "Access-Control-Allow-Headers", ALLOWED_HEADERS);
        exchange_header(x, "Access-Control-Max-Age", PREFLIGHT_S);
    }
    exchange_answer(x, 204, NULL, NULL, 0);
}
