-- When somebody has read a message. To send is to have read, and a message is its own record of that: no row of the
-- history is written for it, only for marks.

-- Null: not read yet. The reader's own message counts, like every one past it. A mark that came when what it says was
-- known already, by a message or another mark, has left no row.
create function parlor_read_at(room uuid, reader text, read_seq bigint) returns timestamptz
language sql stable as $$
    select least(
        (select h.at from message_read_receipts h
         where h.room_id = room and h.user_id = reader and h.seq >= parlor_read_at.read_seq
         order by h.room_id, h.user_id, h.seq limit 1),
        (select m.created_at from chat_messages m
         where m.room_id = room and m.seq >= parlor_read_at.read_seq and m.sender_id = reader
         order by m.room_id, m.seq limit 1))
$$;
