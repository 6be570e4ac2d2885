/* The statements that both the REST API and the bridge ask: PostgreSQL builds the JSON of contract.md, keys
 * in its order, so that nobody parses or prints it again.
 *
 * Flow:   http handlers, bridge -> db_port.query.
 * Thread: any; constants. The port knows a statement by its address.
 * Owns:   nothing. */
#ifndef PARLOR_CORE_QUERIES_H
#define PARLOR_CORE_QUERIES_H

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

/* room, user -> no row when there is no such room, else one of (room as JSON as that user sees it, type, the
 * user's role or NULL, history_seq: it sees only messages past this one). One who is not in the room gets it
 * without lastMessage and with unreadCount 0; whether it may have it at all is the caller's to check. */
extern const char QUERY_ROOM[];

/* array of rooms' ids (as '{id,id}') -> rows of (id, last_seq). */
extern const char QUERY_ROOM_HEADS[];

#endif
