/* In QUERY_ROOM the newest message and the participants are read by the leading columns of their keys. */
#include "core/queries.h"

#include "core/message.h"

#include <stdlib.h>
#include <string.h>

/* clang-format off */

const char QUERY_MESSAGES_AFTER[] =
    "select m.seq, " SQL_MESSAGE("m")
    " from chat_messages m where m.room_id = $1::uuid and m.seq > $2::bigint"
    " order by m.room_id, m.seq limit $3::bigint";

const char QUERY_MESSAGE_ID[] = "select id from chat_messages where room_id = $1::uuid and seq = $2::bigint";

/* The newest messages of those who wrote in the room a moment ago: their watermarks may be behind them. */
#define OWN_NEWEST                                                                                      \
    "(select n.sender_id, max(n.seq) as seq from (select o.sender_id, o.seq from chat_messages o"       \
    " where o.room_id = r.id and r.active_at > now() - interval '10 seconds'"                           \
    " order by o.room_id desc, o.seq desc limit 200) n group by n.sender_id)"

#define PARTICIPANTS                                                                                    \
    "(select string_agg('{\"userId\":' || to_json(p.user_id) || ',\"role\":\"' || p.role"               \
    " || '\",\"joinedAt\":' || " SQL_TIME_JSON("p.joined_at")                                            \
    " || ',\"readSeq\":' || greatest(p.read_seq, own.seq)"                                              \
    " || ',\"deliveredSeq\":' || greatest(p.delivered_seq, p.read_seq, own.seq) || ',\"online\":'"      \
    " || coalesce((select o.online from chat_presence o where o.user_id = p.user_id), false) || '}', ','" \
    " order by p.joined_at, p.user_id) from chat_participants p"                                        \
    " left join " OWN_NEWEST " own on own.sender_id = p.user_id where p.room_id = r.id)"

/* What a user has not read. Only in a room that was active a moment ago may the watermark be behind the user's
 * own messages: the function, which costs more than the rest of the row, is called there alone. */
#define UNREAD                                                                                          \
    "case when me.user_id is null then 0"                                                               \
    " when me.read_seq >= r.last_seq or r.active_at < now() - interval '10 seconds'"                    \
    " then greatest(r.last_seq - me.read_seq, 0)"                                                       \
    " else r.last_seq - parlor_read_seq(r.id, me.user_id, me.read_seq, r.last_seq, r.active_at) end"

/* The object `room` from chat_rooms r as the participant `me` sees it. */
#define ROOM                                                                                            \
    "'{\"id\":\"' || r.id || '\",\"type\":\"' || r.type"                                                   \
    " || '\",\"name\":' || coalesce(to_json(r.name)::text, 'null')"                                     \
    " || ',\"status\":' || coalesce('\"' || r.status || '\"', 'null')"                                   \
    " || ',\"historyFrom\":\"' || r.history_from || '\",\"createdBy\":' || to_json(r.created_by)"          \
    " || ',\"createdAt\":' || " SQL_TIME_JSON("r.created_at")                                           \
    " || ',\"updatedAt\":' || " SQL_TIME_JSON("r.updated_at")                                           \
    " || ',\"epoch\":' || r.epoch || ',\"rev\":' || r.rev || ',\"lastSeq\":' || r.last_seq"               \
    " || ',\"lastMessage\":' || coalesce((select " SQL_MESSAGE("m") " from chat_messages m"             \
    " where m.room_id = r.id and m.seq = r.last_seq and m.seq > me.history_seq), 'null')"               \
    " || ',\"unreadCount\":' || " UNREAD                                                                \
    " || ',\"participants\":[' || coalesce(" PARTICIPANTS ", '') || ']}'"

const char QUERY_ROOM[] =
    "select " ROOM ", r.type, me.role, coalesce(me.history_seq, 0)"
    " from chat_rooms r left join chat_participants me on me.room_id = r.id and me.user_id = $2"
    " where r.id = $1::uuid";

/* The page is chosen before anything is printed: only its rooms cost their messages and participants. */
#define ACTIVE_MS "(extract(epoch from r.active_at) * 1000)::bigint"
#define ROOM_PAGE(from)                                                                                 \
    "select " ACTIVE_MS ", r.id, " ROOM                                                                 \
    " from (select r.id as room_id " from                                                               \
    " where ($2::text is null or r.type = $2) and ($3::bigint is null or (r.active_at, r.id)"           \
    " < (timestamptz 'epoch' + $3::bigint * interval '1 millisecond', $4::uuid))"                       \
    " order by r.active_at desc, r.id desc limit $5::bigint) page"                                      \
    " join chat_rooms r on r.id = page.room_id"                                                         \
    " left join chat_participants me on me.room_id = r.id and me.user_id = $1"                          \
    " order by r.active_at desc, r.id desc"

const char QUERY_ROOM_LIST[] =
    ROOM_PAGE("from chat_participants p join chat_rooms r on r.id = p.room_id and p.user_id = $1");

const char QUERY_ROOM_LIST_AGENT[] =
    ROOM_PAGE("from (select p.room_id from chat_participants p where p.user_id = $1 union"
              " select o.id from chat_rooms o where o.type = 'support' and o.status = 'open') mine"
              " join chat_rooms r on r.id = mine.room_id");

const char QUERY_ROOM_TYPE[] = "select type from chat_rooms where id = $1::uuid";

const char QUERY_ROOM_CREATE[] =
    "select outcome, room_id, version"
    " from parlor_rooms_lock($5::text[] || $2::text, $8::bigint) l (rooms_max),"
    " lateral parlor_room_create($1::uuid, $2, $3, $4, $5::text[], $6, $7::bigint, l.rooms_max)";

#define CHANGE(function, values)                                                                        \
    "select c.outcome, c.version, (c.standing).room_type, (c.standing).asker_role,"                     \
    " (c.standing).user_role, c.rev, c.participant from " function "($1::uuid, $2, $6" values           \
    ", row($3, $4, $5)::parlor_standing) c"

const char QUERY_PARTICIPANT_ADD[] = CHANGE("parlor_rooms_lock(array[$6::text], $9::bigint) l (rooms_max),"
                                            " lateral parlor_participant_add_once",
                                            ", $7, $8::bigint, l.rooms_max, $10, $11::bigint");
const char QUERY_PARTICIPANT_REMOVE[] = CHANGE("parlor_participant_remove", "");
const char QUERY_PARTICIPANT_UPDATE[] = CHANGE("parlor_participant_update", ", $7");
const char QUERY_ROOM_UPDATE[] = CHANGE("parlor_room_update", ", $7, $8, $9");

/* Columns in the order of enum message_column. Times leave as numbers: printing one costs PostgreSQL seven times
 * as much. The room leads the order by name so that a plan for any values stays on the key. */
#define MESSAGE_COLUMNS                                                                                 \
    "m.id, m.seq, m.sender_id, m.client_message_id, m.type, m.content, m.mentions, m.reply_to_id,"      \
    " m.attachments, m.rev, date_part('epoch', m.created_at), date_part('epoch', m.edited_at),"         \
    " date_part('epoch', m.deleted_at)"
#define HIT_COLUMNS                                                                                   \
    "(s.hit).id, (s.hit).seq, (s.hit).sender_id, (s.hit).client_message_id, (s.hit).type,"    \
    " (s.hit).content, (s.hit).mentions, (s.hit).reply_to_id, (s.hit).attachments,"             \
    " (s.hit).rev, date_part('epoch', (s.hit).created_at), date_part('epoch', (s.hit).edited_at)," \
    " date_part('epoch', (s.hit).deleted_at)"
#define HISTORY                                                                                         \
    "(select p.history_seq from chat_participants p where p.room_id = $1::uuid and p.user_id = $2)"

const char QUERY_PAGE_BEFORE[] =
    "select " MESSAGE_COLUMNS " from chat_messages m where m.room_id = $1::uuid and m.seq < $3::bigint"
    " and m.seq > " HISTORY " order by m.room_id desc, m.seq desc limit $4::bigint";

const char QUERY_PAGE_AFTER[] =
    "select " MESSAGE_COLUMNS " from chat_messages m where m.room_id = $1::uuid and m.seq > $3::bigint"
    " and m.seq > " HISTORY " order by m.room_id, m.seq limit $4::bigint";

const char QUERY_SEARCH[] =
    "select " HIT_COLUMNS ", s.marked"
    " from parlor_search($1::uuid, $2, $3, $4, $5::bigint, $6::bigint, $7) s";

const char QUERY_SEARCH_FEED[] = "select parlor_search_feed($1::uuid, $2::bigint)";

const char QUERY_MESSAGE_FACTS[] =
    "select m.room_id, r.type, p.role, m.seq, m.sender_id, m.type, m.attachments is not null,"
    " m.seq > coalesce(p.history_seq, 0)"
    " from chat_messages m join chat_rooms r on r.id = m.room_id"
    " left join chat_participants p on p.room_id = m.room_id and p.user_id = $2 where m.id = $1::uuid";

const char QUERY_MESSAGE_CHANGE[] =
    "select outcome, json from parlor_message_change($1::uuid, $2, $3, $4, $5::boolean)";

const char QUERY_SYNC_HEADS[] =
    "select r.id, a.place, r.last_seq, r.rev, r.epoch, " UNREAD ", me.history_seq,"
    " case when r.rev > a.rev and coalesce(a.epoch, r.epoch) = r.epoch then"
    " (select count(*) from (select from chat_messages m where m.room_id = r.id and m.rev > a.rev and m.rev > 0"
    " and m.seq <= a.seq and m.seq > me.history_seq limit $6::bigint + 1) c) else 0 end"
    " from chat_participants me join chat_rooms r on r.id = me.room_id"
    " left join unnest($2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[]) with ordinality"
    " a (room_id, seq, rev, epoch, place) on a.room_id = r.id"
    " where me.user_id = $1 order by a.place nulls last, r.active_at desc, r.id";

/* Both branches stay on keys that the room leads: (room_id, rev) of what was changed, (room_id, seq). Who was
 * removed since the heads were read gets nothing. */
const char QUERY_SYNC_MESSAGES[] =
    "select " MESSAGE_COLUMNS ", a.place"
    " from unnest($2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])"
    " with ordinality a (room_id, rev_from, rev_to, changed, changed_to, seq_from, seq_to, place)"
    " join chat_participants p on p.room_id = a.room_id and p.user_id = $1"
    " cross join lateral ("
    "(select c.* from chat_messages c where c.room_id = a.room_id and c.rev > a.rev_from and c.rev <= a.rev_to"
    " and c.rev > 0 and c.seq <= a.changed_to and c.seq > p.history_seq order by c.room_id, c.rev limit a.changed)"
    " union all "
    "(select n.* from chat_messages n where n.room_id = a.room_id and n.seq > a.seq_from and n.seq <= a.seq_to"
    " and n.seq > p.history_seq)) m order by a.place, m.seq";

const char QUERY_SYNC_PARTICIPANTS[] =
    "select r.id, '[' || coalesce(" PARTICIPANTS ", '') || ']' from unnest($2::uuid[])"
    " with ordinality a (id, place) join chat_participants me on me.room_id = a.id and me.user_id = $1"
    " join chat_rooms r on r.id = a.id order by a.place";

const char QUERY_ALIVE[] = "select 1";

const char QUERY_ROOM_HEADS[] = "select id, last_seq from chat_rooms where id = any($1::uuid[])";

/* clang-format on */

enum message_column {
    COLUMN_ID,
    COLUMN_SEQ,
    COLUMN_SENDER,
    COLUMN_CLIENT_MESSAGE_ID,
    COLUMN_TYPE,
    COLUMN_CONTENT,
    COLUMN_MENTIONS,
    COLUMN_REPLY_TO,
    COLUMN_ATTACHMENTS,
    COLUMN_REV,
    COLUMN_CREATED_AT,
    COLUMN_EDITED_AT,
    COLUMN_DELETED_AT,
    COLUMN_BESIDE
};

static const char *cell(const struct db_answer *answer, int row, enum message_column column)
{
    return answer->cell(answer, row, (int)column);
}

static int64_t cell_integer(const struct db_answer *answer, int row, enum message_column column)
{
    const char *text = cell(answer, row, column);
    return text != NULL ? strtoll(text, NULL, 10) : 0;
}

/* Seconds since 1970 with a fraction, as PostgreSQL prints a double; read by hand, for strtod takes longer
 * than all else that is done with a row. To the nearest millisecond. */
static int64_t cell_ms(const struct db_answer *answer, int row, enum message_column column)
{
    const char *text = cell(answer, row, column);
    if (text == NULL)
        return 0;
    char *end;
    int64_t ms = strtoll(text, &end, 10) * 1000;
    if (*end == '.') {
        int64_t weight = 1000;
        int64_t micros = 0;
        for (end++; *end >= '0' && *end <= '9' && weight > 0; end++, weight /= 10)
            micros += (*end - '0') * weight * 100;
        ms += (micros + 500) / 1000;
    }
    return ms;
}

int64_t query_message_seq(const struct db_answer *answer, int row)
{
    return cell_integer(answer, row, COLUMN_SEQ);
}

int64_t query_message_rev(const struct db_answer *answer, int row)
{
    return cell_integer(answer, row, COLUMN_REV);
}

const char *query_message_id(const struct db_answer *answer, int row)
{
    return cell(answer, row, COLUMN_ID);
}

const char *query_message_content(const struct db_answer *answer, int row)
{
    return cell(answer, row, COLUMN_CONTENT);
}

const char *query_message_beside(const struct db_answer *answer, int row)
{
    return cell(answer, row, COLUMN_BESIDE);
}

void query_put_message(struct buf *out, const struct db_answer *answer, int row, const struct uuid *room)
{
    const char *id = cell(answer, row, COLUMN_ID);
    const char *reply_to = cell(answer, row, COLUMN_REPLY_TO);
    struct message m = {
        .room = *room,
        .seq = query_message_seq(answer, row),
        .rev = cell_integer(answer, row, COLUMN_REV),
        .sender = cell(answer, row, COLUMN_SENDER),
        .client_message_id = cell(answer, row, COLUMN_CLIENT_MESSAGE_ID),
        .type = cell(answer, row, COLUMN_TYPE),
        .content = cell(answer, row, COLUMN_CONTENT),
        .content_size = answer->cell_size(answer, row, COLUMN_CONTENT),
        .mentions = cell(answer, row, COLUMN_MENTIONS),
        .attachments = cell(answer, row, COLUMN_ATTACHMENTS),
        .created_at_ms = cell_ms(answer, row, COLUMN_CREATED_AT),
        .edited_at_ms = cell_ms(answer, row, COLUMN_EDITED_AT),
        .deleted_at_ms = cell_ms(answer, row, COLUMN_DELETED_AT),
    };
    uuid_parse(id, strlen(id), &m.id);
    m.has_reply = reply_to != NULL && uuid_parse(reply_to, strlen(reply_to), &m.reply_to);
    message_print(out, &m);
}
