-- Rooms, who is in them, their messages, and the log of who came and went.
--
-- Ids of users and clients compare as bytes (COLLATE "C"): they are names, not words of a language.
-- The message path is chat_rooms, chat_participants, chat_messages. room_id leads every key there but the
-- message's own id, no foreign key hangs on it (each would cost a trigger a row), and what changes with every
-- message is in no index, so that those updates stay on their page (HOT).
--
-- Order of locks, everywhere: the room's row, then participants, then chat_membership_head as late as possible.

-- Words that a column may hold are domains, not CHECK constraints of the tables: PostgreSQL reads the text of a
-- table's constraints again for every statement that writes to it (40 us), a domain's only where the value is made.
create domain parlor_room_type as text check (value in ('direct', 'group', 'support'));
create domain parlor_room_status as text check (value in ('open', 'assigned', 'closed'));
create domain parlor_history_from as text check (value in ('start', 'join'));
create domain parlor_member_role as text check (value in ('owner', 'admin', 'member', 'agent'));

create table chat_rooms (
    last_seq     bigint not null default 0,             -- of the newest message: 1, 2, 3, ... without a gap
    rev          bigint not null default 0,             -- rises with each change that is no new message
    active_at    timestamptz not null,                  -- of the newest message, or of the room's making
    created_at   timestamptz not null,
    updated_at   timestamptz not null,                  -- of the newest change that is no message
    id           uuid not null primary key,
    epoch        integer not null default 1,            -- changes when the history can't be trusted to continue
    type         parlor_room_type not null,
    status       parlor_room_status,                    -- of support rooms, null for others
    history_from parlor_history_from not null default 'start',
    created_by   text collate "C" not null,
    direct_key   text collate "C" unique,               -- both users of a direct room, sorted, a space between
    name         text
) with (fillfactor = 60);

-- What agents see without being in it. Its columns don't change with a message.
create index chat_rooms_open_support on chat_rooms (id) where type = 'support' and status = 'open';

-- A row while the user is in the room; who was there before is in the membership log alone.
create table chat_participants (
    read_seq      bigint not null default 0,            -- read up to here: see parlor_read_seq
    delivered_seq bigint not null default 0,
    history_seq   bigint not null default 0,            -- sees only messages past this one
    joined_at     timestamptz not null,
    room_id       uuid not null,
    user_id       text collate "C" not null,
    role          parlor_member_role not null,
    primary key (room_id, user_id)
) with (fillfactor = 80);

create index chat_participants_user on chat_participants (user_id, room_id);

create table chat_messages (
    seq               bigint not null,
    rev               bigint not null default 0,        -- the room's rev at its last change, 0 if none
    body_hash         bigint not null,                  -- a resend must have the same
    created_at        timestamptz not null,
    edited_at         timestamptz,
    deleted_at        timestamptz,
    id                uuid not null primary key,        -- UUIDv7: rises with time
    room_id           uuid not null,
    reply_to_id       uuid,                             -- a message of the same room
    type              text not null,                    -- text, media, call, system
    sender_id         text collate "C" not null,
    client_message_id text collate "C" not null,
    content           text,
    mentions          jsonb,                            -- array of user ids; null when there are none
    attachments       jsonb,                            -- array of attachments; null when there are none
    constraint chat_messages_seq unique (room_id, seq),
    constraint chat_messages_client unique (room_id, sender_id, client_message_id)
);

-- One message on its way in. A batch comes as an array of these: one value to take apart, not one a column.
create type parlor_item as (
    id                uuid,
    room_id           uuid,
    behind            bigint,                           -- how many of its room come after it in the batch
    sender_id         text,
    client_message_id text,
    type              text,
    content           text,
    mentions          jsonb,
    reply_to_id       uuid,
    created_at        timestamptz,
    body_hash         bigint,
    attachments       bigint                            -- how many it names
);

-- The membership log. Versions are 1, 2, 3, ... in the order of the commits: the one row of the head is updated,
-- and so stays locked, until its transaction ends. Triggers write it, so that no change can go by it unseen.
create table chat_membership_head (
    only_row boolean primary key default true check (only_row),
    version  bigint not null
);
insert into chat_membership_head (version) values (0);

create table chat_membership_log (
    version   bigint primary key,
    room_id   uuid not null,
    room_type text not null,
    user_id   text collate "C" not null,
    role      text,                                     -- null: removed
    at        timestamptz not null default now()
);

create function parlor_membership_log(rooms uuid[], users text[], roles text[]) returns void
language plpgsql as $$
declare
    count bigint := cardinality(rooms);
    first bigint;
begin
    if count = 0 then
        return;
    end if;
    update chat_membership_head set version = version + count returning version - count into first;
    insert into chat_membership_log (version, room_id, room_type, user_id, role)
    select first + c.n, c.room_id, r.type, c.user_id, c.role
    from unnest(rooms, users, roles) with ordinality as c (room_id, user_id, role, n)
    join chat_rooms r on r.id = c.room_id;
    perform pg_notify('parlor_members', (first + count)::text);
end $$;

create function parlor_participants_added() returns trigger language plpgsql as $$
begin
    perform parlor_membership_log(array_agg(room_id order by joined_at, user_id),
                                  array_agg(user_id order by joined_at, user_id),
                                  array_agg(role order by joined_at, user_id))
    from changed having count(*) > 0;
    return null;
end $$;

create function parlor_participants_removed() returns trigger language plpgsql as $$
begin
    perform parlor_membership_log(array_agg(room_id), array_agg(user_id), array_agg(null::text))
    from changed having count(*) > 0;
    return null;
end $$;

create function parlor_participant_changed() returns trigger language plpgsql as $$
begin
    perform parlor_membership_log(array[new.room_id], array[new.user_id], array[new.role]);
    return null;
end $$;

create trigger added after insert on chat_participants
    referencing new table as changed for each statement execute function parlor_participants_added();
create trigger removed after delete on chat_participants
    referencing old table as changed for each statement execute function parlor_participants_removed();
-- By row, for a trigger of columns has no transition tables: a watermark's update must not come here.
create trigger changed after update of role on chat_participants
    for each row when (old.role is distinct from new.role) execute function parlor_participant_changed();

-- What a request with an Idempotency-Key made; kept for a day.
create table chat_idempotency_keys (
    user_id      text collate "C" not null,
    key          text collate "C" not null,
    request_hash bigint not null,
    room_id      uuid not null,
    outcome      text not null,
    created_at   timestamptz not null default now(),
    primary key (user_id, key)
);

-- Makes a room, or finds the direct room that its two users have. Raced calls of the same two get the same room.
--   new_id        the id to give it (UUIDv7)
--   others        participants beside the creator; doubles and the creator itself don't count
--   key, hash     the request's Idempotency-Key and a hash of its body; null for none
--   rooms_max     rooms that one user may be in
-- outcome: created | existing (the direct room was there) | conflict (the key was used with another body)
--          | rooms_max (a participant is in too many rooms)
-- version: once the membership of that version is applied, everybody in the room may speak and hear.
create function parlor_room_create(new_id uuid, creator text, room_type text, room_name text, others text[],
                                   idempotency_key text, hash bigint, rooms_max bigint,
                                   out outcome text, out room_id uuid, out version bigint)
language plpgsql as $$
#variable_conflict use_column
declare
    made_at timestamptz := date_trunc('milliseconds', clock_timestamp());
    users text[];
    pair text;
    old chat_idempotency_keys;
begin
    if idempotency_key is not null then
        delete from chat_idempotency_keys k where k.user_id = creator and k.created_at < now() - interval '1 day';
        insert into chat_idempotency_keys values (creator, idempotency_key, hash, new_id, '')
        on conflict do nothing;
        if not found then
            select * into old from chat_idempotency_keys k
            where k.user_id = creator and k.key = idempotency_key;
            outcome := case when old.request_hash = hash then old.outcome else 'conflict' end;
            room_id := old.room_id;
            select h.version into version from chat_membership_head h;
            return;
        end if;
    end if;

    select array_agg(u order by u) into users
    from (select distinct u collate "C" as u from unnest(others || creator) u) distinct_users;
    if room_type = 'direct' then
        pair := array_to_string(users, ' ');
    end if;

    loop
        select r.id into room_id from chat_rooms r where r.direct_key = pair;
        if found then
            outcome := 'existing';
            exit;
        end if;
        if exists (select from unnest(users) u
                   where (select count(*) from (select from chat_participants p where p.user_id = u
                                                limit parlor_room_create.rooms_max) held) 
                         >= parlor_room_create.rooms_max) then
            outcome := 'rooms_max';
            room_id := null;
            delete from chat_idempotency_keys k where k.user_id = creator and k.key = idempotency_key;
            return;
        end if;
        insert into chat_rooms (id, type, name, status, created_by, direct_key, active_at, created_at, updated_at)
        values (new_id, room_type, room_name, case room_type when 'support' then 'open' end, creator, pair,
                made_at, made_at, made_at)
        on conflict (direct_key) do nothing;
        if found then
            outcome := 'created';
            room_id := new_id;
            insert into chat_participants (room_id, user_id, role, joined_at)
            select new_id, u, case when room_type = 'group' and u = creator then 'owner' else 'member' end, made_at
            from unnest(users) u;
            exit;
        end if;
    end loop;

    if idempotency_key is not null then
        update chat_idempotency_keys k set outcome = parlor_room_create.outcome,
                                           room_id = parlor_room_create.room_id
        where k.user_id = creator and k.key = idempotency_key;
    end if;
    select h.version into version from chat_membership_head h;
end $$;

-- Up to where a user has read: to send is to have read, but a sender's watermark is written up to a second after
-- its message. While the room was active a moment ago, its newest messages are looked at for the user's own.
create function parlor_read_seq(room uuid, reader text, read_seq bigint, last_seq bigint, active_at timestamptz)
returns bigint language sql stable as $$
    select case
        when read_seq >= last_seq or active_at < now() - interval '10 seconds' then read_seq
        else greatest(read_seq, (select max(m.seq) from
                                 (select n.seq, n.sender_id from chat_messages n
                                  where n.room_id = room and n.seq > read_seq
                                  order by n.room_id desc, n.seq desc limit 200) m
                                 where m.sender_id = reader))
    end
$$;
