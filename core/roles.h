/* What a user can be in a room, what a room can be, and the words for both.
 *
 * Flow:   the words of the database and of requests -> enums -> members, access, handlers.
 * Thread: any; constants.
 * Owns:   nothing. */
#ifndef PARLOR_CORE_ROLES_H
#define PARLOR_CORE_ROLES_H

#include <stdbool.h>

enum member_role { MEMBER_NONE = 0, MEMBER_MEMBER, MEMBER_AGENT, MEMBER_ADMIN, MEMBER_OWNER };
enum room_type { ROOM_DIRECT = 1, ROOM_GROUP, ROOM_SUPPORT };

const char *member_role_name(enum member_role role); /* owner admin member agent */
bool member_role_parse(const char *text, enum member_role *out);
const char *room_type_name(enum room_type type);
bool room_type_parse(const char *text, enum room_type *out);

#endif
