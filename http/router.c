#include "http/router.h"

#include <stdio.h>
#include <string.h>

static bool path_matches(const char *pattern, const char *path, size_t path_size,
                         struct route_part parts[ROUTE_PARTS_MAX])
{
    const char *at = path, *end = path + path_size;
    size_t count = 0;
    while (*pattern == '/') {
        if (at == end || *at != '/')
            return false;
        pattern++, at++;
        size_t want = strcspn(pattern, "/");
        const char *slash = memchr(at, '/', (size_t)(end - at));
        size_t have = (size_t)((slash != NULL ? slash : end) - at);
        if (*pattern == ':') {
            if (have == 0 || count == ROUTE_PARTS_MAX)
                return false;
            parts[count++] = (struct route_part){.text = at, .size = have};
        } else if (have != want || memcmp(at, pattern, want) != 0) {
            return false;
        }
        pattern += want, at += have;
    }
    return at == end;
}

static bool method_matches(const char *route_method, const char *method)
{
    return strcmp(route_method, strcmp(method, "HEAD") == 0 ? "GET" : method) == 0;
}

static void allow_add(char allow[ALLOW_TEXT_MAX], const char *method)
{
    size_t size = strlen(allow);
    snprintf(allow + size, ALLOW_TEXT_MAX - size, "%s%s", size > 0 ? ", " : "", method);
}

static bool is_served(const struct route *route, bool admin)
{
    return admin ? route->flags & ROUTE_ADMIN : !(route->flags & ROUTE_HIDDEN);
}

void router_match(const struct route *routes, const char *method, const char *path, bool admin,
                  struct route_match *out)
{
    *out = (struct route_match){0};
    size_t size = strlen(path);
    if (size > 1 && path[size - 1] == '/')
        size--;
    for (const struct route *route = routes; route->method != NULL; route++) {
        struct route_part parts[ROUTE_PARTS_MAX] = {{0}};
        if (!is_served(route, admin) || !path_matches(route->pattern, path, size, parts))
            continue;
        out->path_known = true;
        if (method_matches(route->method, method)) {
            out->route = route;
            memcpy(out->parts, parts, sizeof parts);
            return;
        }
        allow_add(out->allow, route->method);
        if (strcmp(route->method, "GET") == 0)
            allow_add(out->allow, "HEAD");
    }
    if (out->path_known)
        allow_add(out->allow, "OPTIONS");
}
