/* The statements of the REST API and the bridge.
 *
 * Rooms are printed by PostgreSQL, keys in the contract's order. Messages of a page leave it as columns and
 * are printed here: of 50 messages that costs a third of what PostgreSQL takes to print them.
 *
 * Flow:   http handlers, bridge -> db_port.query.
 * Thread: any; constants. The port knows a statement by its address.
 * Owns:   nothing. */
#ifndef PARLOR_CORE_QUERIES_H
#define PARLOR_CORE_QUERIES_H

#include "core/ports.h"

/* clang-format off */

/* A time as contract.md prints it, as SQL text and as JSON. */
#define SQL_TIME(column)      "to_char(" column " at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"
#define SQL_TIME_JSON(column) "coalesce('\"' || " SQL_TIME(column) " || '\"', 'null')"

/* The text of the object `message` from an alias of chat_messages. */
#define SQL_MESSAGE(m)                                                                   \
    "'{\"id\":\"' || " m ".id || '\",\"chatRoomId\":\"' || " m ".room_id"                \
    " || '\",\"seq\":' || " m ".seq || ',\"senderId\":' || to_json(" m ".sender_id)"     \
    " || ',\"clientMessageId\":' || to_json(" m ".client_message_id)"                    \
    " || ',\"type\":\"' || " m ".type"                                                   \
    " || '\",\"content\":' || coalesce(to_json(" m ".content)::text, 'null')"            \
    " || ',\"mentions\":' || coalesce(" m ".mentions::text, '[]')"                       \
    " || ',\"replyToId\":' || coalesce('\"' || " m ".reply_to_id || '\"', 'null')"       \
    " || ',\"attachments\":' || coalesce(" m ".attachments::text, '[]')"                 \
    " || ',\"rev\":' || " m ".rev || ',\"createdAt\":' || " SQL_TIME_JSON(m ".created_at") \
    " || ',\"editedAt\":' || " SQL_TIME_JSON(m ".edited_at")                             \
    " || ',\"deletedAt\":' || " SQL_TIME_JSON(m ".deleted_at") " || '}'"

/* clang-format on */

/* room, after (seq), limit -> rows of (seq, message as JSON), in rising seq. */
extern const char QUERY_MESSAGES_AFTER[];

/* room, seq -> (id) of the message, or no row. */
extern const char QUERY_MESSAGE_ID[];

/* room, user -> no row when there is no such room, else one of (room as JSON as that user sees it, type, the
 * user's role or NULL, history_seq: it sees only messages past this one). One who is not in the room gets it
 * without lastMessage and with unreadCount 0; whether it may have it at all is the caller's to check. */
extern const char QUERY_ROOM[];

/* user, type or NULL, cursor's milliseconds or NULL, cursor's room or NULL, limit -> rows of (milliseconds of
 * the newest activity, id, room as JSON), newest first; the first two are the cursor of the page below. For
 * agents with the open support rooms that they have not joined. */
extern const char QUERY_ROOM_LIST[];
extern const char QUERY_ROOM_LIST_AGENT[];

/* room -> (type), or no row. */
extern const char QUERY_ROOM_TYPE[];

/* new id, creator, type, name or NULL, others as an array, Idempotency-Key or NULL, hash of the request or
 * NULL, rooms_max -> (outcome, room, version): see parlor_room_create in sql/. */
extern const char QUERY_ROOM_CREATE[];

/* Changes, each a function of sql/ of that name: room, asker, what its standing was seen as (the room's type,
 * the asker's role and the user's role or NULL), user or NULL, then add     role, participants_max, rooms_max
 *   update  role
 *   room    name or NULL, historyFrom or NULL, status or NULL
 * -> (outcome, version, the standing found: three columns, rev of its event or NULL, participant as JSON). */
extern const char QUERY_PARTICIPANT_ADD[];
extern const char QUERY_PARTICIPANT_REMOVE[];
extern const char QUERY_PARTICIPANT_UPDATE[];
extern const char QUERY_ROOM_UPDATE[];

/* room, user, seq, limit -> the messages below (falling) or above (rising) seq that the user may see, as
 * columns for the two functions below. No rows for one who is not in the room. */
extern const char QUERY_PAGE_BEFORE[];
extern const char QUERY_PAGE_AFTER[];

int64_t query_message_seq(const struct db_answer *answer, int row);
int64_t query_message_rev(const struct db_answer *answer, int row);
const char *query_message_id(const struct db_answer *answer, int row);
const char *query_message_content(const struct db_answer *answer, int row);
/* The column behind the message's own. */
const char *query_message_beside(const struct db_answer *answer, int row);
/* Appends the object `message` of one row. */
void query_put_message(struct buf *out, const struct db_answer *answer, int row, const struct uuid *room);

/* room, user, words, beginnings of words, seq, limit, mark -> as the page below seq, newest first, of
 * messages that have all the words, beside each its marked content; then one row without an id: see
 * parlor_search in sql/. No rows for one who is not in the room. */
extern const char QUERY_SEARCH[];

/* room, blocks -> (how many are left to index). */
extern const char QUERY_SEARCH_FEED[];

/* message, user -> no row, or (room, its type, the user's role in it or NULL, seq, sender, type, whether it
 * has attachments, whether the user may see it: t or f). */
extern const char QUERY_MESSAGE_FACTS[];

/* message, user, role, content or NULL, whether to delete -> (outcome, message as JSON): see
 * parlor_message_change in sql/. */
extern const char QUERY_MESSAGE_CHANGE[];

/* user, rooms, seqs, revs and epochs that it has (epoch NULL: the room's), limit -> a row for each room of
 * the user, the named ones first and in their order: (room, place in the arrays or NULL, head's seq, rev,
 * epoch, unread, history_seq, how many messages up to the user's seq have changed since its rev: at most
 * limit + 1). */
extern const char QUERY_SYNC_HEADS[];

/* user, rooms, and for each: rev from and to, how many changed at most, up to which seq; seq from and to ->
 * messages as in a page, by place in the arrays and in rising seq; beside each its place. */
extern const char QUERY_SYNC_MESSAGES[];

/* user, rooms -> (room, participants as JSON), in the rooms' order. */
extern const char QUERY_SYNC_PARTICIPANTS[];

/* -> one row, when the database answers. */
extern const char QUERY_ALIVE[];

/* array of rooms' ids (as '{id,id}') -> rows of (id, last_seq). */
extern const char QUERY_ROOM_HEADS[];

#endif
