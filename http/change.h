/* A change of a room or of who is in it: decided by the matrix, made by one function of the database,
 * answered when every door knows.
 *
 * The matrix is asked with what the membership mirror knows. The function in sql/ looks again under the
 * room's lock, and when the standing of one of the two has moved since, the matrix is asked anew with what it
 * found.
 *
 * Flow:   handler -> change_run -> may -> the statement -> barrier -> done.
 * Thread: the service's loop.
 * Owns:   nothing; a change lives in the arena of its exchange. */
#ifndef PARLOR_HTTP_CHANGE_H
#define PARLOR_HTTP_CHANGE_H

#include "core/access.h"
#include "http/exchange.h"

#define CHANGE_VALUES_MAX 5

/* Who stands where: what a verdict is based on. */
struct standing {
    bool known; /* false: only the room can tell, to an agent who is not in it */
    enum room_type type;
    enum member_role asker, user;
};

struct change {
    const char *sql;                       /* one of the QUERY_..._CHANGE kind of core/queries.h */
    const char *user;                      /* who is meant; NULL: the room */
    const char *values[CHANGE_VALUES_MAX]; /* the statement's own, behind room, asker, standing and user */
    size_t count;
    /* May it be done, as things stand? When not, it answers the refusal and returns false. May set values. */
    bool (*may)(struct exchange *x, struct change *c);
    /* Answers what came of it. `outcome` is the word of the function in sql/; every door has applied it. */
    void (*done)(struct exchange *x, const struct change *c);
    /* set while it goes on */
    struct standing standing;
    const char *outcome;
    const char *rev;         /* NULL: nothing was changed */
    const char *participant; /* JSON; NULL: who is meant is not in the room */
    unsigned tries;
};

/* x->id is the room. Answers, in the end, by itself or by `may` or `done`. */
void change_run(struct exchange *x, struct change *c);

/* May the asker do it to the one who is meant, whose role is (or shall be) `target`? When not, answers the
 * refusal. */
bool change_admit(struct exchange *x, const struct change *c, enum operation operation,
                  enum member_role target);

#endif
