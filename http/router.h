/* Which handler answers a method and a path.
 *
 * Flow:   request -> router_match -> struct route and the path's parts -> handler.
 * Thread: any; pure. Allocates nothing: the parts point into the path. */
#ifndef PARLOR_HTTP_ROUTER_H
#define PARLOR_HTTP_ROUTER_H

#include <stdbool.h>
#include <stddef.h>

#define ROUTE_PARTS_MAX 2 /* `:names` in a pattern */
#define ALLOW_TEXT_MAX  64

struct exchange;
typedef void (*route_fn)(struct exchange *x);

enum route_flags {
    ROUTE_AUTH = 1,    /* needs a token, counts for the user's rate */
    ROUTE_ADMIN = 2,   /* is answered on the admin listener too */
    ROUTE_JSON = 4,    /* takes a JSON body */
    ROUTE_SYNC = 8,    /* ... as large as sync's may be */
    ROUTE_HIDDEN = 16, /* with ROUTE_ADMIN: on the admin listener alone */
    ROUTE_READS = 32   /* changes nothing, as every GET */
};

struct route {
    const char *method;
    const char *pattern; /* segments; one that begins with a colon stands for any text but the empty one */
    route_fn handle;
    unsigned flags;
    const char *const
        *params; /* names that its query may have, then NULL; NULL: the query is not looked at */
};

struct route_part {
    const char *text; /* not zero-terminated */
    size_t size;
};

struct route_match {
    const struct route *route; /* NULL: none */
    bool path_known;           /* another method would be answered */
    struct route_part parts[ROUTE_PARTS_MAX];
    char allow[ALLOW_TEXT_MAX]; /* when the path is known: its methods, for Allow */
};

/* Looks in `routes`, which ends with a NULL method. HEAD is answered by GET's handler. One slash at the
 * path's end does not count. A route without ROUTE_ADMIN does not exist when `admin`, one with
 * ROUTE_HIDDEN exists only then. */
void router_match(const struct route *routes, const char *method, const char *path, bool admin,
                  struct route_match *out);

#endif
