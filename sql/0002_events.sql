-- Events: what changes of rooms and participants make known, written in the transaction of the change.
--
-- The plugin reads them in the order of their ids, publishes each once its membership version is applied, and
-- deletes what it has published; what a crash left is published again, and the rev in it says so.

-- Ids are 1, 2, 3, ... in the order of the commits, by the same locked row as the membership's versions.
alter table chat_membership_head add column event_id bigint not null default 0;

-- user_id null: to the room, on rooms/{room}/{topic}; else to that user, on users/{user}/events.
create table event_outbox (
    id      bigint primary key,
    version bigint not null,                            -- the membership that must be applied before
    room_id uuid,
    user_id text collate "C",
    topic   text not null check (topic in ('events', 'messages')),
    payload text not null,
    at      timestamptz not null default now()
);

-- Writes events, as many as the arrays have elements, in their order. To be called as late as possible: it locks
-- the head until the transaction ends.
create function parlor_events(rooms uuid[], users text[], topics text[], payloads text[]) returns void
language plpgsql as $$
declare
    count bigint := cardinality(payloads);
    head chat_membership_head;
begin
    if count = 0 then
        return;
    end if;
    update chat_membership_head set event_id = event_id + count returning * into head;
    insert into event_outbox (id, version, room_id, user_id, topic, payload)
    select head.event_id - count + e.n, head.version, e.room_id, e.user_id, e.topic, e.payload
    from unnest(rooms, users, topics, payloads) with ordinality as e (room_id, user_id, topic, payload, n);
    perform pg_notify('parlor_members', head.version::text);
end $$;

-- One event, to a room (usr null) or to a user.
create function parlor_event(room uuid, usr text, topic text, payload text) returns void
language sql as $$
    select parlor_events(array[room], array[usr], array[topic], array[payload])
$$;

-- A time as the contract prints it, within a JSON text.
create function parlor_time(at timestamptz) returns text language sql stable as $$
    select to_char(at at time zone 'UTC', '"\""YYYY-MM-DD"T"HH24:MI:SS.MS"Z\""')
$$;

-- The object `room` without what differs by who looks at it.
create function parlor_room_json(r chat_rooms) returns text language sql stable as $$
    select '{"id":"' || r.id || '","type":"' || r.type || '","name":' || coalesce(to_json(r.name)::text, 'null')
        || ',"status":' || coalesce('"' || r.status || '"', 'null') || ',"historyFrom":"' || r.history_from
        || '","createdBy":' || to_json(r.created_by) || ',"createdAt":' || parlor_time(r.created_at)
        || ',"updatedAt":' || parlor_time(r.updated_at) || ',"epoch":' || r.epoch || ',"rev":' || r.rev
        || ',"lastSeq":' || r.last_seq || '}'
$$;

-- Tells users that a room is theirs now (room_added), or no longer (room_removed).
create function parlor_tell_users(room uuid, users text[], event text) returns void language sql as $$
    select parlor_events(array_agg(room order by u.n), array_agg(u.id order by u.n),
                         array_agg('events'::text order by u.n),
                         array_agg('{"event":"' || event || '","chatRoomId":"' || room || '"' || case event
                                       when 'room_added' then ',"room":' || parlor_room_json(r) else '' end || '}'
                                   order by u.n))
    from unnest(users) with ordinality u (id, n), chat_rooms r where r.id = room
$$;

-- Makes a room, or finds the direct room that its two users have. Raced calls of the same two get the same room.
--   new_id        the id to give it (UUIDv7)
--   others        participants beside the creator; doubles and the creator itself don't count
--   key, hash     the request's Idempotency-Key and a hash of its body; null for none
--   rooms_max     rooms that one user may be in
-- Everybody in a new room is told on a topic of their own (room_added).
-- outcome: created | existing (the direct room was there) | conflict (the key was used with another body)
--          | rooms_max (a participant is in too many rooms)
-- version: once the membership of that version is applied, everybody in the room may speak and hear.
create or replace function parlor_room_create(new_id uuid, creator text, room_type text, room_name text, others text[],
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
            perform parlor_tell_users(new_id, users, 'room_added');
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
