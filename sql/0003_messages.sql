-- Messages after they were stored: edits, deletions, what changed since a rev, and full text search.

-- What a client that was away has to see again: by the room's rev at a message's last change. No message is in it
-- when it is stored.
create index chat_messages_changed on chat_messages (room_id, rev) where rev > 0;

-- The object `message`.
create function parlor_message_json(m chat_messages) returns text language sql stable as $$
    select '{"id":"' || m.id || '","chatRoomId":"' || m.room_id || '","seq":' || m.seq
        || ',"senderId":' || to_json(m.sender_id) || ',"clientMessageId":' || to_json(m.client_message_id)
        || ',"type":"' || m.type || '","content":' || coalesce(to_json(m.content)::text, 'null')
        || ',"mentions":' || coalesce(m.mentions::text, '[]')
        || ',"replyToId":' || coalesce('"' || m.reply_to_id || '"', 'null')
        || ',"attachments":' || coalesce(m.attachments::text, '[]') || ',"rev":' || m.rev
        || ',"createdAt":' || parlor_time(m.created_at) || ',"editedAt":' || coalesce(parlor_time(m.edited_at), 'null')
        || ',"deletedAt":' || coalesce(parlor_time(m.deleted_at), 'null') || '}'
$$;

-- Search. Nothing is paid for it when a message is stored: a room is indexed from its first search on, in the
-- background, 32 messages to a row, and what is not indexed yet is read as it is. A row of
-- chat_search_blocks tells that a word is somewhere in its messages; these are then looked at themselves, so that
-- nothing is found by a text that is no more. All words of a room begin with its tag: a word of one room costs
-- nothing to a search in another.
create table chat_search_rooms (
    room_id uuid primary key,
    tag     integer not null generated always as identity,
    blocks  bigint not null default 0                   -- indexed: block n has the seqs 32n + 1 to 32n + 32
);

create table chat_search_blocks (
    room_id uuid not null,
    block   bigint not null,
    words   tsvector not null,
    primary key (room_id, block)
);

create index chat_search_words on chat_search_blocks using gin (words) with (gin_pending_list_limit = 1024);

-- The words of a room's block. Too many for one row, or one that is too long: the tag alone, which every search of
-- the room looks for.
create function parlor_search_words(room uuid, block bigint, tag integer) returns tsvector
language plpgsql stable as $$
declare
    prefix text := tag || ':';
begin
    return (select array_to_tsvector(coalesce(array_agg(prefix || w), '{}'))
            from chat_messages m, unnest(tsvector_to_array(to_tsvector('simple', m.content))) w
            where m.room_id = room and m.seq > block * 32 and m.seq <= block * 32 + 32);
exception when program_limit_exceeded then
    return array_to_tsvector(array[prefix]);
end $$;

-- Indexes blocks that have become full, at most `count`; how many are left to do. 0 also while another one does it.
create function parlor_search_feed(room uuid, count bigint) returns bigint language plpgsql as $$
declare
    s chat_search_rooms;
    full_blocks bigint;
begin
    select last_seq / 32 into full_blocks from chat_rooms where id = room;
    insert into chat_search_rooms (room_id) values (room) on conflict do nothing;
    select * into s from chat_search_rooms where room_id = room for update skip locked;
    if not found then
        return 0;
    end if;
    insert into chat_search_blocks (room_id, block, words)
    select room, b, parlor_search_words(room, b, s.tag)
    from generate_series(s.blocks, least(full_blocks, s.blocks + count) - 1) b;
    update chat_search_rooms set blocks = greatest(blocks, least(full_blocks, s.blocks + count)) where room_id = room;
    return greatest(full_blocks - s.blocks - count, 0);
end $$;

-- After a message was changed: its block again, if it is indexed. The lock waits for one who feeds.
create function parlor_search_renew(room uuid, changed_seq bigint) returns void language plpgsql as $$
declare
    s chat_search_rooms;
    changed bigint := (changed_seq - 1) / 32;
begin
    select * into s from chat_search_rooms where room_id = room for update;
    if found and changed < s.blocks then
        update chat_search_blocks b set words = parlor_search_words(room, changed, s.tag)
        where b.room_id = room and b.block = changed;
    end if;
end $$;

-- All words of `head`, and beginnings of words in `tail`; null when there is no word in them.
create function parlor_search_query(head text, tail text, tag text) returns tsquery
language sql immutable as $$
    select string_agg('''' || replace(replace(tag || w.text, '\', '\\'), '''', '''''') || '''' || w.suffix,
                      ' & ')::tsquery
    from (select unnest(tsvector_to_array(to_tsvector('simple', head))) as text, '' as suffix
          union all
          select unnest(tsvector_to_array(to_tsvector('simple', tail))), ':*') w
$$;

-- Messages of the room below a seq that have the words, newest first: at most `count`, each with its content once
-- more, in which `mark` stands before and behind every match. The last row is no message (mark and id null): its
-- seq, if any, is where to go on because this call has looked at enough, its rev how many messages are not indexed.
-- No row for one who is not in the room.
create function parlor_search(room uuid, reader text, head text, tail text, below bigint, count bigint, mark text)
returns table (hit chat_messages, marked text)
language plpgsql
-- A word that is everywhere would be looked for in the rows, each to be unpacked, and not in the index.
set enable_seqscan = off set jit = off as $$
declare
    looked_max constant bigint := 4000;                 -- messages that are not indexed
    blocks_max constant bigint := 150;
    history bigint;
    top bigint;
    low bigint;
    left_over bigint := count;
    got bigint;
    indexed bigint;
    tag text;
    query tsquery := parlor_search_query(head, tail, '');
    tagged tsquery;
    at record;
    rest chat_messages;
    looked bigint := 0;
    options text := 'HighlightAll=true, StartSel="' || mark || '", StopSel="' || mark || '"';
begin
    select p.history_seq, r.last_seq, least(r.last_seq, below - 1) into history, indexed, top
    from chat_participants p join chat_rooms r on r.id = p.room_id
    where p.room_id = room and p.user_id = reader;
    if not found then
        return;
    end if;
    low := indexed;
    select s.tag || ':', s.blocks * 32 into tag, indexed from chat_search_rooms s where s.room_id = room;
    indexed := coalesce(indexed, 0);
    rest.rev := low - indexed;
    if query is null then
        top := 0;
    end if;

    low := greatest(indexed, history, top - looked_max);
    if top > low then
        return query select f.m, ts_headline('simple', (f.m).content, query, options)
        from (select m from chat_messages m where m.room_id = room and m.seq > low and m.seq <= top
              and to_tsvector('simple', m.content) @@ query
              order by m.room_id desc, m.seq desc limit left_over) f (m);
        get diagnostics got = row_count;
        left_over := left_over - got;
        top := low;
        if left_over > 0 and low > greatest(indexed, history) then
            rest.seq := low + 1;
        end if;
    end if;

    if rest.seq is null and left_over > 0 and top > history then
        -- The tag is in the words: naming the room would only lead the plan to read all its blocks.
        tagged := parlor_search_query(head, tail, tag) || array_to_tsvector(array[tag])::text::tsquery;
        for at in select b.block from chat_search_blocks b
                  where b.words @@ tagged and b.block >= history / 32 and b.block <= (top - 1) / 32
                  order by b.block desc limit blocks_max + 1
        loop
            looked := looked + 1;
            if looked > blocks_max then
                rest.seq := at.block * 32 + 33;
                exit;
            end if;
            return query select f.m, ts_headline('simple', (f.m).content, query, options)
            from (select m from chat_messages m where m.room_id = room
                  and m.seq > greatest(at.block * 32, history) and m.seq <= least(at.block * 32 + 32, top)
                  and to_tsvector('simple', m.content) @@ query
                  order by m.room_id desc, m.seq desc limit left_over) f (m);
            get diagnostics got = row_count;
            left_over := left_over - got;
            exit when left_over <= 0;
        end loop;
    end if;
    hit := rest;
    marked := null;
    return next;
end $$;

-- Edits a message, or deletes it: in place, under the room's lock, with the room's next rev.
--   as_role   the role that its asker has in the room, by which it was allowed
-- outcome: done | same (it is so already) | deleted (there is nothing to edit any more)
--          | moved (role or view have changed: look again)
create function parlor_message_change(message uuid, usr text, as_role text, new_content text, deletes boolean,
                                      out outcome text, out json text)
language plpgsql as $$
declare
    m chat_messages;
    held chat_participants;
    new_rev bigint;
    made_at timestamptz;
begin
    select * into m from chat_messages c where c.id = message;
    perform from chat_rooms r where r.id = m.room_id for no key update;
    select * into held from chat_participants p where p.room_id = m.room_id and p.user_id = usr;
    select * into m from chat_messages c where c.id = message;
    if held.role is distinct from as_role or m.seq is null or m.seq <= held.history_seq then
        outcome := 'moved';
    elsif m.deleted_at is not null then
        outcome := case when deletes then 'same' else 'deleted' end;
        json := parlor_message_json(m);
    elsif not deletes and m.content is not distinct from new_content then
        outcome := 'same';
        json := parlor_message_json(m);
    else
        outcome := 'done';
        made_at := date_trunc('milliseconds', clock_timestamp());
        update chat_rooms r set rev = r.rev + 1 where r.id = m.room_id returning r.rev into new_rev;
        update chat_messages c
        set rev = new_rev, content = new_content,
            mentions = case when deletes then null else c.mentions end,
            attachments = case when deletes then null else c.attachments end,
            edited_at = case when deletes then c.edited_at else made_at end,
            deleted_at = case when deletes then made_at end
        where c.id = message returning * into m;
        perform parlor_search_renew(m.room_id, m.seq);
        json := parlor_message_json(m);
        perform parlor_event(m.room_id, null, 'messages', json);
    end if;
end $$;
