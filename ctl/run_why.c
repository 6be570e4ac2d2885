#include "ctl/ctl.h"

#include "core/access.h"
#include "core/db.h"
#include "core/json.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

static const char *const access_names[] = {
    [ACCESS_READ] = "read", [ACCESS_WRITE] = "write", [ACCESS_SUBSCRIBE] = "subscribe"};

struct question {
    struct subject who;
    enum access access;
    const char *text; /* the topic as it was given */
    struct topic topic;
};

static int parse_access(const char *text, enum access *out, struct error *e)
{
    for (size_t i = 0; i < sizeof access_names / sizeof access_names[0]; i++) {
        if (strcmp(text, access_names[i]) == 0) {
            *out = (enum access)i;
            return 0;
        }
    }
    return error_set(e, ERROR_INVALID, "usage", "ACCESS is '%s' but must be read, write or subscribe", text);
}

#define TOPIC_MQTT_MAX 65535 /* bytes that MQTT can say the length of */

/* What MQTT and Mosquitto refuse in any topic or filter; NULL when it is fine. That it is UTF-8 is known. */
static const char *find_fault(const char *text, bool filter)
{
    if (text[0] == '\0')
        return "is empty";
    if (strlen(text) > TOPIC_MQTT_MAX)
        return "has more than 65535 bytes";
    for (const char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f ||
            ((unsigned char)*at == 0xc2 && (unsigned char)at[1] < 0xa0))
            return "has control characters";
        bool whole = (at == text || at[-1] == '/') && (at[1] == '/' || at[1] == '\0');
        if ((*at == '+' || *at == '#') && !filter)
            return "has a wildcard: only subscriptions can";
        if ((*at == '+' && !whole) || (*at == '#' && !(whole && at[1] == '\0')))
            return "has a wildcard that is no whole level, or a # that is not the last";
    }
    return NULL;
}

static int parse_topic(const char *prefix, struct question *q, struct error *e)
{
    bool filter = q->access == ACCESS_SUBSCRIBE;
    const char *fault = find_fault(q->text, filter);
    if (fault != NULL)
        return error_set(e, ERROR_INVALID, "bad_topic", "'%.200s' %s", q->text, fault);
    q->topic = filter ? filter_parse(prefix, q->text) : topic_parse(prefix, q->text);
    return 0;
}

static int parse_question(const struct ctl *ctl, struct question *q, struct error *e)
{
    const char *user = ctl->options->words[0], *role = ctl->options->role;
    *q = (struct question){.text = ctl->options->words[2]};
    q->who = (struct subject){.user = user, .user_size = strlen(user), .role = ROLE_USER, .connected = true};
    if (!user_id_valid(user, q->who.user_size))
        return error_set(e, ERROR_INVALID, "no_user",
                         "'%s' is no user id: 1 to 128 of A-Z a-z 0-9 . _ @ | = -, but not . or ..", user);
    if (role != NULL && !role_parse(role, &q->who.role))
        return error_set(e, ERROR_INVALID, "usage", "--role is '%s' but must be user, agent or operator",
                         role);
    if (parse_access(ctl->options->words[1], &q->access, e) != 0)
        return -1;
    return parse_topic(ctl->config->prefix, q, e);
}

/* ---- Membership of those whom the question is about ---- */

static int take_rows(PGresult *rows, struct members *members)
{
    if (rows == NULL)
        return -1;
    for (int i = 0; i < PQntuples(rows); i++) {
        struct uuid room;
        enum room_type type;
        enum member_role role;
        if (uuid_parse(PQgetvalue(rows, i, 0), (size_t)PQgetlength(rows, i, 0), &room) &&
            room_type_parse(PQgetvalue(rows, i, 1), &type) &&
            member_role_parse(PQgetvalue(rows, i, 2), &role))
            members_apply(members, &room, type, PQgetvalue(rows, i, 3), (size_t)PQgetlength(rows, i, 3),
                          role);
    }
    PQclear(rows);
    return 0;
}

static bool copy_user(char out[USER_ID_MAX + 1], const char *user, size_t size)
{
    if (size > USER_ID_MAX)
        return false;
    memcpy(out, user, size);
    out[size] = '\0';
    return true;
}

static int load_user(PGconn *conn, const char *user, size_t size, struct members *members, struct error *e)
{
    char name[USER_ID_MAX + 1];
    if (!copy_user(name, user, size))
        return 0;
    const char *const values[] = {name};
    return take_rows(db_exec(conn,
                             "select p.room_id, r.type, p.role, p.user_id from chat_participants p "
                             "join chat_rooms r on r.id = p.room_id where p.user_id = $1",
                             1, values, CTL_DATABASE_TIMEOUT_MS, e),
                     members);
}

/* Presence is a question of how large the rooms are that the two share. */
static int load_shared(PGconn *conn, const struct question *q, int64_t room_max, struct members *members,
                       struct error *e)
{
    char owner[USER_ID_MAX + 1], limit[24];
    if (!copy_user(owner, q->topic.owner.text, q->topic.owner.size))
        return 0;
    snprintf(limit, sizeof limit, "%lld", (long long)room_max + 1);
    const char *const values[] = {q->who.user, owner, limit};
    return take_rows(db_exec(conn,
                             "select a.room_id, r.type, p.role, p.user_id from chat_participants a "
                             "join chat_participants b on b.room_id = a.room_id and b.user_id = $2 "
                             "join chat_rooms r on r.id = a.room_id cross join lateral (select role, user_id "
                             "from chat_participants where room_id = a.room_id limit $3::bigint) p "
                             "where a.user_id = $1",
                             3, values, CTL_DATABASE_TIMEOUT_MS, e),
                     members);
}

static bool is_about_room(const struct topic *topic)
{
    return topic->kind >= TOPIC_ROOM_SEND && topic->kind <= TOPIC_ROOM_EVENTS && !topic->id_wild;
}

/* 1 when there is such a room, 0 when there is none, -1 with e. */
static int find_room(PGconn *conn, const struct uuid *id, struct error *e)
{
    char text[UUID_TEXT_SIZE];
    uuid_format(id, text);
    const char *const values[] = {text};
    PGresult *rows =
        db_exec(conn, "select 1 from chat_rooms where id = $1", 1, values, CTL_DATABASE_TIMEOUT_MS, e);
    int found = rows == NULL ? -1 : PQntuples(rows);
    PQclear(rows);
    return found;
}

static int load(const struct ctl *ctl, const struct question *q, struct members *members, bool *room_missing,
                struct error *e)
{
    if (ctl->config->database_url == NULL)
        return error_set(e, ERROR_INVALID, "bad_option",
                         "database_url is not set (in parlor.conf or PARLOR_DATABASE_URL)");
    PGconn *conn = db_connect(ctl->config->database_url, CTL_NAME, CTL_DATABASE_TIMEOUT_MS, e);
    if (conn == NULL)
        return -1;
    int result = db_check(conn, DB_CHECK_MS, e);
    if (result == 0)
        result = load_user(conn, q->who.user, q->who.user_size, members, e);
    if (result == 0 && q->topic.owner.text != NULL)
        result = load_user(conn, q->topic.owner.text, q->topic.owner.size, members, e);
    if (result == 0 && q->topic.kind == TOPIC_USER_PRESENCE && !q->topic.id_wild)
        result = load_shared(conn, q, ctl->config->presence_room_max, members, e);
    if (result == 0 && is_about_room(&q->topic)) {
        int found = find_room(conn, &q->topic.id, e);
        *room_missing = found == 0;
        result = found < 0 ? -1 : 0;
    }
    PQfinish(conn);
    return result;
}

/* ---- The answer ---- */

struct answer {
    const char *word, *why, *change;
};

/* Outside the prefix the rule says nothing yet: the option does, and what it does not open is deferred. */
static struct answer answer_outside(enum outside_prefix option, const struct question *q)
{
    if (access_opens_outside(option, q->access, q->text))
        return (struct answer){"allowed",
                               "The topic is not under Parlor's prefix, and outside_prefix is allow.",
                               "With outside_prefix defer the broker's other rules would decide."};
    if (option == OUTSIDE_ALLOW)
        return (struct answer){
            "deferred",
            "The topic is not under Parlor's prefix, and outside_prefix allow opens none that "
            "begins with $.",
            "The broker's other rules decide: acl_file or another plugin; what none of them "
            "allows is denied."};
    return (struct answer){
        "deferred", "The topic is not under Parlor's prefix, and outside_prefix is defer.",
        access_opens_outside(OUTSIDE_ALLOW, q->access, q->text)
            ? "The broker's other rules decide: acl_file or another plugin; what none of them "
              "allows is denied. outside_prefix allow would open it to everybody."
            : "The broker's other rules decide: acl_file or another plugin; what none of them "
              "allows is denied."};
}

static struct answer make_answer(const struct ctl *ctl, const struct question *q,
                                 const struct verdict *verdict)
{
    if (verdict->rule == RULE_OUTSIDE_PREFIX)
        return answer_outside(ctl->config->outside_prefix, q);
    return (struct answer){verdict->allowed ? "allowed" : "denied", rule_text(verdict->rule),
                           rule_hint(verdict->rule)};
}

static void print(struct ctl *ctl, const struct question *q, const struct verdict *verdict, const char *note)
{
    struct answer answer = make_answer(ctl, q, verdict);
    struct buf *out = &ctl->out;
    if (!ctl_json(ctl)) {
        buf_printf(out, "%s: %s (%s), %s %s\n  rule    %s\n  why     %s\n  change  %s\n", answer.word,
                   q->who.user, role_name(q->who.role), access_names[q->access], q->text,
                   rule_name(verdict->rule), answer.why, answer.change);
        if (note != NULL)
            buf_printf(out, "  note    %s\n", note);
        return;
    }
    buf_printf(out, "{\"ok\":true,\"verdict\":\"%s\",\"userId\":", answer.word);
    json_put_text(out, q->who.user);
    buf_printf(out, ",\"role\":\"%s\",\"access\":\"%s\",\"topic\":", role_name(q->who.role),
               access_names[q->access]);
    json_put_text(out, q->text);
    buf_printf(out, ",\"topicKind\":\"%s\",\"rule\":\"%s\",\"why\":", topic_kind_name(q->topic.kind),
               rule_name(verdict->rule));
    json_put_text(out, answer.why);
    buf_put_text(out, ",\"change\":");
    json_put_text(out, answer.change);
    buf_put_text(out, ",\"note\":");
    json_put_text(out, note);
    buf_put_text(out, "}\n");
}

int run_why(struct ctl *ctl, struct error *e)
{
    struct question q;
    bool room_missing = false;
    if (parse_question(ctl, &q, e) != 0)
        return -1;
    struct members *members = members_create();
    int result = load(ctl, &q, members, &room_missing, e);
    if (result == 0) {
        struct grounds grounds = {.members = members,
                                  .presence_room_max = (size_t)ctl->config->presence_room_max};
        struct verdict verdict = access_topic(&q.who, q.access, &q.topic, &grounds);
        const char *note = room_missing                  ? "There is no room with this id."
                           : members_pairs(members) == 0 ? "The user is in no room at all."
                                                         : NULL;
        print(ctl, &q, &verdict, note);
        result = verdict.allowed ? 0 : EX_NOPERM;
    }
    members_destroy(&members);
    return result;
}
