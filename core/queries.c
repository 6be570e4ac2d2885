/* In QUERY_ROOM the newest message and the participants are read by the leading columns of their keys. */
#include "core/queries.h"

/* clang-format off */

const char QUERY_MESSAGES_AFTER[] =
    "select m.seq, " SQL_MESSAGE("m")
    " from chat_messages m where m.room_id = $1::uuid and m.seq > $2::bigint"
    " order by m.room_id, m.seq limit $3::bigint";

#define PARTICIPANTS                                                                                    \
    "(select string_agg('{\"userId\":' || to_json(p.user_id) || ',\"role\":\"' || p.role"               \
    " || '\",\"joinedAt\":' || " SQL_TIME_JSON("p.joined_at") " || ',\"readSeq\":' || p.read_seq"       \
    " || ',\"deliveredSeq\":' || p.delivered_seq || ',\"online\":false}', ','"                          \
    " order by p.joined_at, p.user_id) from chat_participants p where p.room_id = r.id)"

const char QUERY_ROOM[] =
    "select '{\"id\":\"' || r.id || '\",\"type\":\"' || r.type"
    " || '\",\"name\":' || coalesce(to_json(r.name)::text, 'null')"
    " || ',\"status\":' || coalesce('\"' || r.status || '\"', 'null')"
    " || ',\"historyFrom\":\"' || r.history_from || '\",\"createdBy\":' || to_json(r.created_by)"
    " || ',\"createdAt\":' || " SQL_TIME_JSON("r.created_at")
    " || ',\"updatedAt\":' || " SQL_TIME_JSON("r.updated_at")
    " || ',\"epoch\":' || r.epoch || ',\"rev\":' || r.rev || ',\"lastSeq\":' || r.last_seq"
    " || ',\"lastMessage\":' || coalesce((select " SQL_MESSAGE("m") " from chat_messages m"
    " where m.room_id = r.id and m.seq = r.last_seq and m.seq > me.history_seq), 'null')"
    " || ',\"unreadCount\":' || coalesce(r.last_seq"
    " - parlor_read_seq(r.id, me.user_id, me.read_seq, r.last_seq, r.active_at), 0)"
    " || ',\"participants\":[' || coalesce(" PARTICIPANTS ", '') || ']}',"
    " r.type, me.role, coalesce(me.history_seq, 0)"
    " from chat_rooms r left join chat_participants me on me.room_id = r.id and me.user_id = $2"
    " where r.id = $1::uuid";

const char QUERY_ROOM_HEADS[] = "select id, last_seq from chat_rooms where id = any($1::uuid[])";
