#include "http/change.h"

#include "core/queries.h"
#include "http/rooms.h"

#include <stdlib.h>
#include <string.h>

#define TRIES_MAX          8 /* of a standing that moves each time */
#define BARRIER_TIMEOUT_MS 5000

enum change_column {
    COLUMN_OUTCOME,
    COLUMN_VERSION,
    COLUMN_TYPE,
    COLUMN_ASKER,
    COLUMN_USER,
    COLUMN_REV,
    COLUMN_PARTICIPANT
};

static void attempt(struct exchange *x, struct change *c);

static char *copy_cell(struct exchange *x, const struct db_answer *answer, enum change_column column)
{
    const char *text = answer->cell(answer, 0, (int)column);
    return text != NULL ? exchange_copy(x, text, answer->cell_size(answer, 0, (int)column)) : NULL;
}

static enum member_role cell_role(const struct db_answer *answer, enum change_column column)
{
    enum member_role role = MEMBER_NONE;
    const char *text = answer->cell(answer, 0, (int)column);
    if (text != NULL)
        member_role_parse(text, &role);
    return role;
}

static void on_barrier(struct exchange *x, bool reached)
{
    struct change *c = x->state;
    if (reached) {
        c->done(x, c);
        return;
    }
    struct error e;
    error_set(&e, ERROR_UNCERTAIN, "uncertain", "the change was made, but not every door knows it yet");
    exchange_refuse(x, &e);
}

static void decide_anew(struct exchange *x, struct change *c, const struct db_answer *answer)
{
    const char *type = answer->cell(answer, 0, COLUMN_TYPE);
    if (type == NULL || !room_type_parse(type, &c->standing.type)) {
        exchange_refuse_room(x);
        return;
    }
    c->standing.known = true;
    c->standing.asker = cell_role(answer, COLUMN_ASKER);
    c->standing.user = cell_role(answer, COLUMN_USER);
    attempt(x, c);
}

static void on_answer(struct exchange *x, const struct db_answer *answer)
{
    struct change *c = x->state;
    if (!answer->ok) {
        exchange_refuse_database(x, answer);
        return;
    }
    c->outcome = copy_cell(x, answer, COLUMN_OUTCOME);
    if (strcmp(c->outcome, "moved") == 0) {
        decide_anew(x, c, answer);
        return;
    }
    c->rev = copy_cell(x, answer, COLUMN_REV);
    c->participant = copy_cell(x, answer, COLUMN_PARTICIPANT);
    /* Also when it had been done before: whoever did it may not have waited to the end. */
    int64_t version = strtoll(answer->cell(answer, 0, COLUMN_VERSION), NULL, 10);
    exchange_barrier(x, version, BARRIER_TIMEOUT_MS, on_barrier);
}

static const char *role_text(enum member_role role)
{
    return role != MEMBER_NONE ? member_role_name(role) : NULL;
}

static void attempt(struct exchange *x, struct change *c)
{
    const struct standing *s = &c->standing;
    if (c->tries++ == TRIES_MAX) {
        exchange_refuse_status(x, 503, "busy", "the room's participants change too fast");
        return;
    }
    if (s->known && !c->may(x, c))
        return;
    const char *values[6 + CHANGE_VALUES_MAX] = {
        x->id_text,          x->who.user,        s->known ? room_type_name(s->type) : NULL,
        role_text(s->asker), role_text(s->user), c->user};
    memcpy(values + 6, c->values, sizeof c->values);
    exchange_query(x, c->sql, 6 + (int)c->count, values, on_answer);
}

static enum member_role role_of(const struct exchange *x, const char *user, enum room_type *type_out)
{
    return user != NULL ? members_role(x->ports->members, &x->id, user, strlen(user), type_out) : MEMBER_NONE;
}

void change_run(struct exchange *x, struct change *c)
{
    struct standing *s = &c->standing;
    s->asker = role_of(x, x->who.user, &s->type);
    s->user = role_of(x, c->user, NULL);
    s->known = s->asker != MEMBER_NONE;
    x->state = c;
    if (s->known || x->who.role == ROLE_AGENT)
        attempt(x, c);
    else
        exchange_refuse_room(x);
}

bool change_admit(struct exchange *x, const struct change *c, enum operation operation,
                  enum member_role target)
{
    const struct standing *s = &c->standing;
    struct verdict verdict = access_room(operation, s->type, s->asker, x->who.role, target);
    if (!verdict.allowed)
        rooms_refuse(x, &verdict);
    return verdict.allowed;
}
