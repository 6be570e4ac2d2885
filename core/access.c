/* Two tables decide everything. `topics` is the columns "says" and "reads" of contract.md 1; `rooms` is the
 * matrix of 3a. The functions below them only look who asks. */
#include "core/access.h"

#include <assert.h>
#include <string.h>

/* ---- Topics ---- */

enum right {
    SYSTEM,       /* the plugin alone */
    NOBODY,       /* no client at all */
    SERVICE,      /* the service alone */
    MEMBERS,      /* members of the room; to say: as themselves */
    OWNER,        /* the user whom the topic belongs to; to say: as itself */
    ROOM_SHARERS, /* users who share a room with the owner, and the owner */
    CALLERS,      /* participants of the call: there are no calls yet */
};

struct topic_row {
    enum topic_kind kind;
    enum right says, reads;
};

static const struct topic_row topics[] = {
    {TOPIC_ROOM_SEND, MEMBERS, NOBODY},      {TOPIC_ROOM_READ, MEMBERS, NOBODY},
    {TOPIC_ROOM_DELIVERED, MEMBERS, NOBODY}, {TOPIC_ROOM_TYPING, MEMBERS, MEMBERS},
    {TOPIC_ROOM_MESSAGES, SYSTEM, MEMBERS},  {TOPIC_ROOM_RECEIPTS, SYSTEM, MEMBERS},
    {TOPIC_ROOM_EVENTS, SYSTEM, MEMBERS},    {TOPIC_CALL_SIGNAL, CALLERS, CALLERS},
    {TOPIC_CALL_MEDIA, CALLERS, CALLERS},    {TOPIC_CALL_EVENTS, SYSTEM, CALLERS},
    {TOPIC_USER_EVENTS, SYSTEM, OWNER},      {TOPIC_USER_ACKS, SYSTEM, OWNER},
    {TOPIC_USER_INBOX, SYSTEM, OWNER},       {TOPIC_USER_PRESENCE, SYSTEM, ROOM_SHARERS},
    {TOPIC_USER_TOKEN, OWNER, NOBODY},       {TOPIC_USER_API, OWNER, SERVICE},
    {TOPIC_USER_REPLIES, SERVICE, OWNER},    {TOPIC_SERVICE_IN, SERVICE, NOBODY},
    {TOPIC_SERVICE_OUT, SYSTEM, SERVICE},    {TOPIC_PRIVATE, SYSTEM, NOBODY},
};

static const struct topic_row *find_row(enum topic_kind kind)
{
    for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++)
        if (topics[i].kind == kind)
            return &topics[i];
    return NULL;
}

static struct verdict allow(enum rule rule)
{
    return (struct verdict){true, rule};
}

static struct verdict deny(enum rule rule)
{
    return (struct verdict){false, rule};
}

static bool is_self(const struct subject *who, const struct topic_part *part)
{
    return part->text != NULL && part->size == who->user_size &&
           memcmp(part->text, who->user, part->size) == 0;
}

static struct verdict ask_members(const struct subject *who, const struct topic *topic,
                                  const struct members *members)
{
    enum room_type type = ROOM_DIRECT;
    if (members_role(members, &topic->id, who->user, who->user_size, NULL) != MEMBER_NONE)
        return allow(RULE_MEMBER);
    /* The matrix says whether it is a stranger, to whom nothing exists, or an agent that has not joined. */
    members_room_type(members, &topic->id, &type);
    return access_room(OPERATION_READ, type, MEMBER_NONE, who->role, MEMBER_NONE);
}

/* In the topics of a user, speaker and owner are one; in a signal the owner is the one spoken to. */
static bool speaks_beside_owner(const struct topic *topic)
{
    return topic->kind != TOPIC_CALL_SIGNAL && topic->owner.text != NULL && topic->speaker.text != NULL &&
           (topic->owner.size != topic->speaker.size ||
            memcmp(topic->owner.text, topic->speaker.text, topic->owner.size) != 0);
}

static struct verdict judge_write(const struct subject *who, const struct topic *topic,
                                  const struct members *members, enum right says)
{
    if (says == SYSTEM)
        return deny(RULE_SYSTEM_SPEAKS);
    if (says == SERVICE)
        return who->role == ROLE_SERVICE ? allow(RULE_SERVICE) : deny(RULE_SERVICE_ONLY);
    /* Nobody, the service included, says in one user's topic what another user says. */
    if (speaks_beside_owner(topic))
        return deny(is_self(who, &topic->speaker) ? RULE_NOT_OWN_TOPIC : RULE_OWN_VOICE);
    if (who->role == ROLE_SERVICE)
        return allow(RULE_SERVICE);
    if (!is_self(who, &topic->speaker))
        return deny(RULE_OWN_VOICE);
    if (says == MEMBERS)
        return ask_members(who, topic, members);
    return says == OWNER ? allow(RULE_OWN_TOPIC) : deny(RULE_CALL);
}

static struct verdict judge_read(const struct subject *who, const struct topic *topic,
                                 const struct grounds *grounds, enum right reads)
{
    if (reads == NOBODY)
        return deny(RULE_NOBODY_READS);
    if (who->role == ROLE_SERVICE)
        return allow(RULE_SERVICE);
    if (reads == SERVICE)
        return deny(RULE_SERVICE_ONLY);
    if (who->role == ROLE_OPERATOR)
        return allow(RULE_OPERATOR);
    switch (reads) {
    case MEMBERS:
        return ask_members(who, topic, grounds->members);
    case CALLERS:
        return deny(RULE_CALL);
    default:
        break;
    }
    if (is_self(who, &topic->owner))
        return allow(RULE_OWN_TOPIC);
    if (reads == OWNER)
        return deny(RULE_NOT_OWN_TOPIC);
    bool shared = members_share_room(grounds->members, who->user, who->user_size, topic->owner.text,
                                     topic->owner.size, grounds->presence_room_max);
    return shared ? allow(RULE_SHARES_ROOM) : deny(RULE_SHARES_ROOM);
}

static struct verdict judge_subscribe(const struct subject *who, const struct topic *topic,
                                      const struct grounds *grounds, const struct topic_row *row)
{
    bool privileged = who->role == ROLE_SERVICE || who->role == ROLE_OPERATOR;
    if (topic->shared && !privileged)
        return deny(RULE_SHARED);
    /* A client asks for its signals once, before it knows any call. */
    if (row != NULL && row->kind == TOPIC_CALL_SIGNAL && !privileged && is_self(who, &topic->owner))
        return allow(RULE_OWN_TOPIC);
    if (topic->id_wild) {
        if (!privileged)
            return deny(RULE_WILDCARD);
        if (row == NULL)
            return allow(who->role == ROLE_SERVICE ? RULE_SERVICE : RULE_OPERATOR);
    }
    if (row == NULL)
        return deny(RULE_UNKNOWN_TOPIC);
    struct verdict verdict = judge_read(who, topic, grounds, row->reads);
    if (grounds->unread && (verdict.rule == RULE_NOT_MEMBER || verdict.rule == RULE_SHARES_ROOM))
        return allow(RULE_UNREAD);
    if (grounds->stale && verdict.allowed &&
        (verdict.rule == RULE_MEMBER || verdict.rule == RULE_SHARES_ROOM))
        return deny(RULE_STALE);
    return verdict;
}

struct verdict access_topic(const struct subject *who, enum access access, const struct topic *topic,
                            const struct grounds *grounds)
{
    if (topic->kind == TOPIC_OUTSIDE && !topic->overlaps_prefix)
        return allow(RULE_OUTSIDE_PREFIX);
    const struct topic_row *row = find_row(topic->kind);
    if (access == ACCESS_SUBSCRIBE)
        return judge_subscribe(who, topic, grounds, row);
    if (access == ACCESS_WRITE && !who->connected)
        return deny(RULE_NOT_CONNECTED);
    if (row == NULL)
        return deny(RULE_UNKNOWN_TOPIC);
    return access == ACCESS_WRITE ? judge_write(who, topic, grounds->members, row->says)
                                  : judge_read(who, topic, grounds, row->reads);
}

bool access_opens_outside(enum outside_prefix option, enum access access, const char *text)
{
    static const char share[] = "$share/";
    if (access == ACCESS_SUBSCRIBE && strncmp(text, share, sizeof share - 1) == 0) {
        const char *group_end = strchr(text + sizeof share - 1, '/');
        text = group_end != NULL ? group_end + 1 : "$";
    }
    return option == OUTSIDE_ALLOW && text[0] != '$';
}

struct verdict access_message(const char *user, size_t user_size, const struct uuid *room, int64_t seq,
                              const struct members *members)
{
    if (members_sees(members, room, user, user_size, seq))
        return allow(RULE_MEMBER);
    bool in = members_role(members, room, user, user_size, NULL) != MEMBER_NONE;
    return deny(in ? RULE_HISTORY : RULE_NOT_MEMBER);
}

bool access_reaches_all(const struct uuid *room, const struct members *members)
{
    return !members_room_limited(members, room);
}

/* ---- Rooms: the matrix of contract.md 3a ---- */

/* Sets of member roles. */
#define M(role) (1U << MEMBER_##role)
#define ALL     (M(MEMBER) | M(AGENT) | M(ADMIN) | M(OWNER))

/* Who of the members may, by type of room; a member of a support room is its user or an agent who joined. */
struct room_row {
    enum operation operation;
    unsigned direct, group, support;
};

static const struct room_row rooms[] = {
    {OPERATION_SEE, ALL, ALL, ALL},
    {OPERATION_READ, ALL, ALL, ALL},
    {OPERATION_SEND, ALL, ALL, ALL},
    {OPERATION_ADD_MEMBER, 0, M(OWNER) | M(ADMIN), M(AGENT)},
    {OPERATION_REMOVE_MEMBER, 0, M(OWNER) | M(ADMIN), 0},
    {OPERATION_LEAVE, 0, ALL, M(AGENT)},
    {OPERATION_SET_ROLE, 0, M(OWNER), 0},
    {OPERATION_RENAME, 0, M(OWNER) | M(ADMIN), 0},
    {OPERATION_SET_HISTORY, 0, M(OWNER), 0},
    {OPERATION_SET_STATUS, 0, 0, M(AGENT)},
    {OPERATION_EDIT_OWN, ALL, ALL, ALL},
    {OPERATION_DELETE_OWN, ALL, ALL, ALL},
    {OPERATION_DELETE_OTHERS, 0, M(OWNER) | M(ADMIN), 0},
};

_Static_assert(sizeof(rooms) / sizeof(rooms[0]) == OPERATION_COUNT, "one row for each operation");

static bool table_allows(enum operation operation, enum room_type type, enum member_role member)
{
    const struct room_row *row = &rooms[operation];
    assert(row->operation == operation);
    unsigned set = type == ROOM_DIRECT ? row->direct : type == ROOM_GROUP ? row->group : row->support;
    return (set >> member & 1) != 0;
}

/* Admins are not over the owner or admins: they neither remove them nor make them. */
static bool is_over(enum member_role member, enum member_role target)
{
    return member == MEMBER_OWNER || (target != MEMBER_OWNER && target != MEMBER_ADMIN);
}

/* A token with the role agent sees every support room, and joins by adding itself as an agent. */
static bool unjoined_agent_may(enum operation operation, enum member_role target)
{
    return operation == OPERATION_SEE || (operation == OPERATION_ADD_MEMBER && target == MEMBER_AGENT);
}

struct verdict access_room(enum operation operation, enum room_type type, enum member_role member,
                           enum role role, enum member_role target)
{
    if (member == MEMBER_NONE && !(type == ROOM_SUPPORT && role == ROLE_AGENT))
        return deny(RULE_NOT_MEMBER);
    if (member == MEMBER_NONE)
        return unjoined_agent_may(operation, target) ? allow(RULE_MATRIX) : deny(RULE_MATRIX);
    bool allowed = table_allows(operation, type, member);
    if (operation == OPERATION_ADD_MEMBER && type == ROOM_SUPPORT)
        allowed = allowed && target == MEMBER_AGENT;
    else if (operation == OPERATION_ADD_MEMBER || operation == OPERATION_REMOVE_MEMBER)
        allowed = allowed && is_over(member, target);
    return allowed ? allow(RULE_MATRIX) : deny(RULE_MATRIX);
}

/* ---- Words ---- */

struct rule_words {
    const char *name, *text, *hint;
};

static const struct rule_words rules[] = {
    [RULE_OUTSIDE_PREFIX] = {"outside_prefix", "The topic is not under Parlor's prefix.",
                             "The broker's other rules decide, by the option outside_prefix."},
    [RULE_UNKNOWN_TOPIC] = {"unknown_topic", "There is no such topic under the prefix.",
                            "See topics.md; ids of rooms and calls are UUIDs in lower case."},
    [RULE_SYSTEM_SPEAKS] = {"system_speaks", "Only the plugin publishes on this topic.",
                            "Publish on a topic that ends in the sender's user id."},
    [RULE_OWN_VOICE] = {"own_voice", "A client publishes only as itself.",
                        "The topic's last level must be the user of the token."},
    [RULE_MEMBER] = {"member", "The user is a member of the room.",
                     "Removing the user from the room would end it."},
    [RULE_NOT_MEMBER] =
        {"not_member", "The user is not a member of the room.",
         "One who may must add the user to the room; an agent adds itself to a support room."},
    [RULE_OWN_TOPIC] = {"own_topic", "The topic is the user's own.",
                        "It stays so as long as the token is valid."},
    [RULE_NOT_OWN_TOPIC] = {"not_own_topic", "The topic belongs to another user.",
                            "The level behind users/ must be the user of the token."},
    [RULE_NOBODY_READS] = {"nobody_reads", "What is said on this topic is read by the plugin alone.",
                           "Subscribe to the room's messages, receipts or events instead."},
    [RULE_WILDCARD] = {"wildcard", "A wildcard may not stand for a room, user or call.",
                       "Name the room, or subscribe to users/{user}/#; service and operator tokens may."},
    [RULE_SHARED] = {"shared", "Shared subscriptions are not open to users.", "Subscribe without $share."},
    [RULE_SHARES_ROOM] = {"shares_room", "Presence is for users who share a room.",
                          "The two users must be members of one room, of at most presence_room_max."},
    [RULE_NOT_CONNECTED] = {"not_connected",
                            "A client that is not connected says nothing; wills are not taken.",
                            "Publish while connected; presence is kept by the plugin."},
    [RULE_SERVICE] = {"service", "The service speaks and hears for the users whose tokens it checked.",
                      "It is the role of parlord's own token."},
    [RULE_SERVICE_ONLY] = {"service_only", "The topic is for the service alone.",
                           "Only a token of parlord's own key has that role."},
    [RULE_OPERATOR] = {"operator", "Operators hear everything that anybody hears.",
                       "It is the role of the token; a token without it hears as a user."},
    [RULE_UNREAD] = {"unread", "Memberships were not read from the database yet: granted until they are.",
                     "Once they are read, the members of the room decide."},
    [RULE_STALE] = {"stale", "Membership was not confirmed by the database of late: no new grants.",
                    "It passes when the database answers again; see the option members_stale_s."},
    [RULE_CALL] = {"call", "Calls are not served by this broker.", "No right would change it."},
    [RULE_MATRIX] = {"matrix", "This role may not do this in this kind of room.",
                     "Another role in the room, or another type of room, would change it."},
    [RULE_SENDER] = {"sender",
                     "Only the sender of a message may edit it, and nobody what a call or the system said.",
                     "No right would change it."},
    [RULE_HISTORY] = {"history", "The message is older than the part of the history that the member sees.",
                      "Who is added while the room's historyFrom is start sees all of it."},
};

_Static_assert(sizeof(rules) / sizeof(rules[0]) == RULE_COUNT, "words for each rule");

const char *rule_name(enum rule rule)
{
    return rules[rule].name;
}

const char *rule_text(enum rule rule)
{
    return rules[rule].text;
}

const char *rule_hint(enum rule rule)
{
    return rules[rule].hint;
}

const char *operation_name(enum operation operation)
{
    static const char *const names[] = {
        [OPERATION_SEE] = "see",
        [OPERATION_READ] = "read",
        [OPERATION_SEND] = "send",
        [OPERATION_ADD_MEMBER] = "add_member",
        [OPERATION_REMOVE_MEMBER] = "remove_member",
        [OPERATION_LEAVE] = "leave",
        [OPERATION_SET_ROLE] = "set_role",
        [OPERATION_RENAME] = "rename",
        [OPERATION_SET_HISTORY] = "set_history",
        [OPERATION_SET_STATUS] = "set_status",
        [OPERATION_EDIT_OWN] = "edit_own",
        [OPERATION_DELETE_OWN] = "delete_own",
        [OPERATION_DELETE_OTHERS] = "delete_others",
    };
    return names[operation];
}
