/* The statements of store.c.
 *
 * Two ways to store a batch, each two statements sent together and committed by the sync behind them; the
 * second statement's snapshot is taken after the first got its locks, so what it checks is what is true while
 * it writes. The fast way expects every message to be good: it numbers them in advance, and one that is not
 * good breaks a constraint (no seq for a stranger's, a second row for a known clientMessageId), which undoes
 * the whole. The careful way, tried then, judges each message and gives numbers to the accepted ones alone.
 *
 * Flow:   store.c prepares them on connecting.
 * Thread: constants.
 * Owns:   nothing. */
#ifndef PARLOR_PLUGIN_STORE_SQL_H
#define PARLOR_PLUGIN_STORE_SQL_H

/* Every plan is a nested loop over indexes, made once: with the statistics of an empty table the planner
 * would choose scans and keep them. */
#define SQL_SESSION                                                                                          \
    "set plan_cache_mode = force_generic_plan; set enable_seqscan = off; set enable_bitmapscan = off; "      \
    "set enable_hashjoin = off; set enable_mergejoin = off; set enable_material = off; set jit = off; "      \
    "set max_parallel_workers_per_gather = 0; set lock_timeout = %lld; set statement_timeout = %lld; "       \
    "set idle_in_transaction_session_timeout = %lld"

/* Rooms, how many messages each gets, and the newest one's time; in the rooms' order, which is that of the
 * locks: the function scan is the outer side of a nested loop. */
#define SQL_FAST_LOCK                                                                                        \
    "update chat_rooms r set last_seq = r.last_seq + i.count, active_at = greatest(r.active_at, i.at) "      \
    "from unnest($1::uuid[], $2::int8[], $3::timestamptz[]) i (id, count, at) where r.id = i.id "            \
    "returning r.id, r.last_seq"

#define SQL_ITEMS "unnest($1::parlor_item[])"
#define SQL_STORED_COLUMNS                                                                                   \
    "seq, id, room_id, sender_id, client_message_id, type, content, mentions, reply_to_id, created_at, "     \
    "body_hash"

#define SQL_FAST_INSERT                                                                                      \
    "insert into chat_messages (" SQL_STORED_COLUMNS ") "                                                    \
    "select case when p.user_id is not null and (i.reply_to_id is null or exists "                           \
    "(select from chat_messages m where m.id = i.reply_to_id and m.room_id = i.room_id "                     \
    "and m.seq > p.history_seq)) "                                                                           \
    "then r.last_seq - i.behind end, i.id, i.room_id, i.sender_id, i.client_message_id, i.type, i.content, " \
    "i.mentions, i.reply_to_id, i.created_at, i.body_hash "                                                  \
    "from " SQL_ITEMS " i left join chat_rooms r on r.id = i.room_id "                                       \
    "left join chat_participants p on p.room_id = i.room_id and p.user_id = i.sender_id"

#define SQL_CAREFUL_LOCK                                                                                     \
    "select from (select id from unnest($1::uuid[]) with ordinality i (id, n)) i "                           \
    "join chat_rooms r on r.id = i.id for update of r"

/* Of the rooms those whose row somebody else has locked. */
#define SQL_LOCKED                                                                                           \
    "with free as materialized (select r.id from unnest($1::uuid[]) i (id) join chat_rooms r "               \
    "on r.id = i.id for no key update of r skip locked) "                                                    \
    "select r.id from unnest($1::uuid[]) i (id) join chat_rooms r on r.id = i.id "                           \
    "where not exists (select from free f where f.id = r.id)"

/* For each item in its order: verdict, seq, and the message that was stored before under the same
 * clientMessageId, if there is one. */
#define SQL_CAREFUL_INSERT                                                                                   \
    "with checked as materialized (select i.*, r.last_seq as base, case "                                    \
    "when old.id = i.id then 1 "                                                                             \
    "when p.user_id is null then 3 "                                                                         \
    "when old.body_hash = i.body_hash then 2 "                                                               \
    "when old.id is not null then 4 "                                                                        \
    "when i.reply_to_id is not null and reply.id is null then 5 "                                            \
    "when i.attachments > 0 then 6 "                                                                         \
    "else 0 end as verdict, "                                                                                \
    "old.seq as old_seq, old.rev as old_rev, old.id as old_id, old.type as old_type, "                       \
    "old.content as old_content, old.mentions::text as old_mentions, "                                       \
    "old.attachments::text as old_attachments, old.reply_to_id as old_reply_to_id, "                         \
    "old.created_at as old_created_at, old.edited_at as old_edited_at, old.deleted_at as old_deleted_at "    \
    "from (select c.*, row_number() over () as n from " SQL_ITEMS                                            \
    " c) i left join chat_rooms r on r.id = i.room_id "                                                      \
    "left join chat_participants p on p.room_id = i.room_id and p.user_id = i.sender_id "                    \
    "left join chat_messages old on old.room_id = i.room_id and old.sender_id = i.sender_id "                \
    "and old.client_message_id = i.client_message_id "                                                       \
    "left join chat_messages reply on reply.id = i.reply_to_id and reply.room_id = i.room_id "               \
    "and reply.seq > p.history_seq), "                                                                       \
    "numbered as materialized (select c.*, base + sum((verdict = 0)::int) over "                             \
    "(partition by room_id order by n) as seq from checked c), "                                             \
    "stored as (insert into chat_messages (" SQL_STORED_COLUMNS ") "                                         \
    "select " SQL_STORED_COLUMNS " from numbered where verdict = 0), "                                       \
    "raised as (update chat_rooms r set last_seq = i.seq, active_at = greatest(r.active_at, i.at) "          \
    "from (select room_id, max(seq) as seq, max(created_at) as at from numbered where verdict = 0 "          \
    "group by room_id) i where r.id = i.room_id) "                                                           \
    "select verdict::int8, seq::int8, old_seq, old_rev, old_id, old_type, old_content, old_mentions, "       \
    "old_attachments, old_reply_to_id, old_created_at, old_edited_at, old_deleted_at from numbered order "   \
    "by n"

enum verdict_column {
    COLUMN_VERDICT,
    COLUMN_SEQ,
    COLUMN_OLD_SEQ,
    COLUMN_OLD_REV,
    COLUMN_OLD_ID,
    COLUMN_OLD_TYPE,
    COLUMN_OLD_CONTENT,
    COLUMN_OLD_MENTIONS,
    COLUMN_OLD_ATTACHMENTS,
    COLUMN_OLD_REPLY_TO,
    COLUMN_OLD_CREATED_AT,
    COLUMN_OLD_EDITED_AT,
    COLUMN_OLD_DELETED_AT
};

enum store_verdict {
    VERDICT_ACCEPTED,
    VERDICT_SAME, /* stored by an earlier try of this very item */
    VERDICT_REPLAY,
    VERDICT_STRANGER,
    VERDICT_CONFLICT,
    VERDICT_NO_REPLY,
    VERDICT_NO_ATTACHMENT
};

/* Rooms, and the last seq seen in each: those that have gone back. */
#define SQL_LOST                                                                                             \
    "select r.id from unnest($1::uuid[], $2::int8[]) i (id, seq) join chat_rooms r on r.id = i.id "          \
    "where r.last_seq < i.seq"

/* A slice of the rooms behind the one given; its last room, and how many there were. */
#define SQL_NEW_EPOCH                                                                                        \
    "with slice as materialized (select id from chat_rooms where id > ($1::uuid[])[1] order by id "          \
    "limit 1000 for update), "                                                                               \
    "renewed as (update chat_rooms r set epoch = r.epoch + 1 from slice s where r.id = s.id) "               \
    "select id, count(*) over () from slice order by id desc limit 1"

/* Coalesced: rooms, users, and the newest message each sent; to send is to have read, and received. */
#define SQL_WATERMARKS                                                                                       \
    "update chat_participants p set read_seq = i.seq, delivered_seq = greatest(p.delivered_seq, i.seq) "     \
    "from unnest($1::uuid[], $2::text[], $3::int8[]) i (room_id, user_id, seq) "                             \
    "where p.room_id = i.room_id and p.user_id = i.user_id and p.read_seq < i.seq"

/* Rooms, users, and how far each has read and received, by seq (0 for none) and by message (null for none).
 */
#define SQL_MARKS                                                                                            \
    "unnest($1::uuid[], $2::text[], $3::int8[], $4::uuid[], $5::int8[], $6::uuid[], $7::timestamptz[]) "     \
    "with ordinality i (room_id, user_id, read_seq, read_id, delivered_seq, delivered_id, at, n)"
/* By the id alone: with more conditions the planner would look through the room instead. */
#define SQL_MARKED_MESSAGES                                                                                  \
    "left join chat_messages rm on rm.id = i.read_id left join chat_messages dm on dm.id = i.delivered_id "
#define SQL_READ_FOUND      "case when rm.room_id = i.room_id and rm.seq > o.history_seq then rm.seq end"
#define SQL_DELIVERED_FOUND "case when dm.room_id = i.room_id and dm.seq > o.history_seq then dm.seq end"

/* For each in its order: what holds (null for a stranger), and the seqs of the messages. */
#define SQL_MARKS_LOOK                                                                                       \
    "select o.read_seq, greatest(o.delivered_seq, o.read_seq), " SQL_READ_FOUND ", " SQL_DELIVERED_FOUND     \
    " from " SQL_MARKS                                                                                       \
    " left join chat_participants o on o.room_id = i.room_id and o.user_id = i.user_id " SQL_MARKED_MESSAGES \
    "order by i.n"

#define SQL_MARKS_MOVE                                                                                       \
    "with moved as (update chat_participants p set read_seq = greatest(p.read_seq, w.read_to), "             \
    "delivered_seq = greatest(p.delivered_seq, p.read_seq, w.delivered_to) "                                 \
    "from (select i.n, i.room_id, i.user_id, i.at, o.read_seq as old_read, "                                 \
    "least(r.last_seq, greatest(i.read_seq, " SQL_READ_FOUND ")) as read_to, "                               \
    "least(r.last_seq, greatest(i.read_seq, i.delivered_seq, " SQL_READ_FOUND ", " SQL_DELIVERED_FOUND       \
    ")) as delivered_to from " SQL_MARKS " join chat_rooms r on r.id = i.room_id "                           \
    "join chat_participants o on o.room_id = i.room_id and o.user_id = i.user_id " SQL_MARKED_MESSAGES       \
    ") w where p.room_id = w.room_id and p.user_id = w.user_id "                                             \
    "and (p.read_seq < w.read_to or p.delivered_seq < w.delivered_to) "                                      \
    "returning w.n, w.room_id, w.user_id, w.at, w.old_read, p.read_seq, p.delivered_seq), "                  \
    "history as (insert into message_read_receipts (room_id, user_id, seq, at) "                             \
    "select room_id, user_id, read_seq, at from moved where read_seq > old_read on conflict do nothing) "    \
    "select n, read_seq, delivered_seq from moved"

/* The same from the messages stored in the newest seconds: their ids begin with the milliseconds since 1970.
 */
#define SQL_REDERIVE                                                                                         \
    "with newest as (select (('x' || substr(replace(id::text, '-', ''), 1, 12))::bit(48)::bigint) as ms "    \
    "from chat_messages order by id desc limit 1), "                                                         \
    "since as (select (lpad(to_hex(ms - 5000), 12, '0') || '00000000000000000000')::uuid as id from "        \
    "newest) "                                                                                               \
    "update chat_participants p set read_seq = i.seq, delivered_seq = greatest(p.delivered_seq, i.seq) "     \
    "from (select room_id, sender_id, max(seq) as seq "                                                      \
    "from chat_messages where id >= (select id from since) group by room_id, sender_id) i "                  \
    "where p.room_id = i.room_id and p.user_id = i.sender_id and p.read_seq < i.seq"

#endif
