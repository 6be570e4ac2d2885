#include "core/roles.h"

#include <string.h>

static const char *const role_words[] = {
    [MEMBER_NONE] = "none",   [MEMBER_MEMBER] = "member", [MEMBER_AGENT] = "agent",
    [MEMBER_ADMIN] = "admin", [MEMBER_OWNER] = "owner",
};

static const char *const type_words[] = {
    [ROOM_DIRECT] = "direct", [ROOM_GROUP] = "group", [ROOM_SUPPORT] = "support"};

const char *member_role_name(enum member_role role)
{
    return role_words[role];
}

bool member_role_parse(const char *text, enum member_role *out)
{
    for (int role = MEMBER_MEMBER; role <= MEMBER_OWNER; role++)
        if (strcmp(text, role_words[role]) == 0) {
            *out = (enum member_role)role;
            return true;
        }
    return false;
}

const char *room_type_name(enum room_type type)
{
    return type_words[type];
}

bool room_type_parse(const char *text, enum room_type *out)
{
    for (int type = ROOM_DIRECT; type <= ROOM_SUPPORT; type++)
        if (strcmp(text, type_words[type]) == 0) {
            *out = (enum room_type)type;
            return true;
        }
    return false;
}
