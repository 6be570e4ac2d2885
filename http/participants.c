/* Rights come first: only one who may do a thing is told whether there is anything to do. */
#include "http/participants.h"

#include "core/config.h"
#include "core/queries.h"
#include "http/change.h"
#include "http/once.h"
#include "http/rooms.h"

#include <stdio.h>
#include <string.h>

#define NUMBER_TEXT_SIZE 24

struct participant_change {
    struct change change; /* first: x->state is this */
    bool self;
    enum member_role role; /* to be given; MEMBER_NONE: by the room's type */
    char participants_max[NUMBER_TEXT_SIZE], rooms_max[NUMBER_TEXT_SIZE], hash[ONCE_HASH_SIZE];
};

/* ---- What the requests bring ---- */

static void read_user(struct exchange *x, struct participant_change *p, const char *text, size_t size)
{
    if (text == NULL || !user_id_valid(text, size)) {
        problems_add(&x->problems, "userId must be a user id: 1 to %d of A-Z a-z 0-9 . _ @ | = -",
                     USER_ID_MAX);
        return;
    }
    p->change.user = exchange_copy(x, text, size);
    p->self = strcmp(p->change.user, x->who.user) == 0;
}

static void read_path_user(struct exchange *x, struct participant_change *p)
{
    read_user(x, p, x->match.parts[1].text, x->match.parts[1].size);
}

static void read_role(struct exchange *x, struct participant_change *p, bool agent)
{
    const char *text = json_string(json_get(x->tree, "role"));
    if (text == NULL || !member_role_parse(text, &p->role) || (p->role == MEMBER_AGENT && !agent))
        problems_add(&x->problems, "role must be one of owner, admin, member%s", agent ? ", agent" : "");
}

static void refuse_absent(struct exchange *x)
{
    exchange_refuse_status(x, 404, "participant_not_found", "the user is not in the room");
}

static void answer_participant(struct exchange *x, int status, const struct change *c)
{
    exchange_json(x, status, c->participant, strlen(c->participant));
}

/* ---- Adding ---- */

static bool may_add(struct exchange *x, struct change *c)
{
    struct participant_change *p = (struct participant_change *)c;
    const struct standing *s = &c->standing;
    enum member_role role = p->role;
    if (role == MEMBER_NONE)
        role = s->type == ROOM_SUPPORT ? MEMBER_AGENT : MEMBER_MEMBER;
    if (!change_admit(x, c, OPERATION_ADD_MEMBER, role))
        return false;
    if (s->asker == MEMBER_NONE && !p->self) {
        struct verdict verdict = {.allowed = false, .rule = RULE_MATRIX};
        rooms_refuse(x, &verdict);
        return false;
    }
    if (role == MEMBER_AGENT && s->type != ROOM_SUPPORT) {
        problems_add(&x->problems, "role must be one of owner, admin, member in a group");
        return !exchange_refuse_problems(x);
    }
    c->values[0] = member_role_name(role);
    return true;
}

static void on_added(struct exchange *x, const struct change *c)
{
    const struct config *config = x->ports->config;
    if (strcmp(c->outcome, "conflict") == 0)
        exchange_refuse_status(x, 409, "conflict", "this Idempotency-Key was used with another body");
    else if (strcmp(c->outcome, "participants_max") == 0)
        exchange_refuse_status(x, 409, "participants_max", "the room has %lld participants, the most allowed",
                               (long long)config->participants_max);
    else if (strcmp(c->outcome, "rooms_max") == 0)
        exchange_refuse_status(x, 409, "rooms_max", "the user is in %lld rooms already, the most allowed",
                               (long long)config->rooms_max);
    else
        answer_participant(x, c->rev != NULL ? 201 : 200, c);
}

static void read_once(struct exchange *x, struct participant_change *p)
{
    p->change.values[3] = once_key(x);
    if (p->change.values[3] == NULL || x->problems.count > 0)
        return;
    const char *role = p->role != MEMBER_NONE ? member_role_name(p->role) : "";
    once_hash((const char *const[]){"participant", x->id_text, p->change.user, role}, 4, p->hash);
    p->change.values[4] = p->hash;
}

void participants_add(struct exchange *x)
{
    if (!exchange_body(x))
        return;
    struct participant_change *p = exchange_alloc(x, sizeof *p);
    exchange_id(x, 0, "id");
    const char *user = json_string(json_get(x->tree, "userId"));
    read_user(x, p, user, user != NULL ? strlen(user) : 0);
    enum json_kind role = json_kind(json_get(x->tree, "role"));
    if (role != JSON_ABSENT && role != JSON_NULL)
        read_role(x, p, true);
    read_once(x, p);
    if (exchange_refuse_problems(x))
        return;
    const struct config *config = x->ports->config;
    snprintf(p->participants_max, sizeof p->participants_max, "%lld", (long long)config->participants_max);
    snprintf(p->rooms_max, sizeof p->rooms_max, "%lld", (long long)config->rooms_max);
    struct change *c = &p->change;
    c->sql = QUERY_PARTICIPANT_ADD;
    c->values[1] = p->participants_max;
    c->values[2] = p->rooms_max;
    c->count = 5;
    c->may = may_add;
    c->done = on_added;
    change_run(x, c);
}

/* ---- Removing and leaving ---- */

static bool may_remove(struct exchange *x, struct change *c)
{
    const struct participant_change *p = (const struct participant_change *)c;
    return change_admit(x, c, p->self ? OPERATION_LEAVE : OPERATION_REMOVE_MEMBER, c->standing.user);
}

static void on_removed(struct exchange *x, const struct change *c)
{
    if (c->rev == NULL) {
        refuse_absent(x);
        return;
    }
    buf_printf(&x->text, "{\"chatRoomId\":\"%s\",\"rev\":%s,\"userId\":\"%s\"}", x->id_text, c->rev, c->user);
    exchange_json(x, 200, x->text.data, x->text.size);
}

void participants_remove(struct exchange *x)
{
    struct participant_change *p = exchange_alloc(x, sizeof *p);
    exchange_id(x, 0, "id");
    read_path_user(x, p);
    if (exchange_refuse_problems(x))
        return;
    struct change *c = &p->change;
    x->repeat_hint = p->self
                         ? "Repeat the request: a refusal then says that you are out."
                         : "Repeat the request: 404 `participant_not_found` then says that the user is out.";
    c->sql = QUERY_PARTICIPANT_REMOVE;
    c->may = may_remove;
    c->done = on_removed;
    change_run(x, c);
}

/* ---- Another role ---- */

static bool may_update(struct exchange *x, struct change *c)
{
    return change_admit(x, c, OPERATION_SET_ROLE, c->standing.user);
}

static void on_updated(struct exchange *x, const struct change *c)
{
    if (c->participant == NULL) {
        refuse_absent(x);
    } else if (strcmp(c->outcome, "last_owner") == 0) {
        x->hint = "Make somebody else an owner first.";
        exchange_refuse_status(x, 409, "last_owner", "the group's only owner stays its owner");
    } else {
        answer_participant(x, 200, c);
    }
}

void participants_update(struct exchange *x)
{
    if (!exchange_body(x))
        return;
    struct participant_change *p = exchange_alloc(x, sizeof *p);
    exchange_id(x, 0, "id");
    read_path_user(x, p);
    read_role(x, p, false);
    if (exchange_refuse_problems(x))
        return;
    struct change *c = &p->change;
    c->sql = QUERY_PARTICIPANT_UPDATE;
    c->values[0] = member_role_name(p->role);
    c->count = 1;
    c->may = may_update;
    c->done = on_updated;
    change_run(x, c);
}
