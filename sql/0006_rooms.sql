-- Changes of rooms and participants: one function, one transaction each, with the events that make it known.
--
-- Who may is decided by the table in core/access.c, from a standing that the caller knows. The function locks the
-- room, looks again, and does nothing when the standing is another by now (outcome: moved; also of a room that is
-- not there): the caller decides anew. So a right that is taken away holds for every change behind it.
--
-- Each event has a rev of its own, so that none can be taken for the repetition of another.

-- What decides: the room's type (null: no such room), and the roles of who asks and who is meant (null: not in it).
create type parlor_standing as (room_type text, asker_role text, user_role text);

-- Locks the room until the transaction ends.
create function parlor_standing(room uuid, asker text, usr text) returns parlor_standing language plpgsql as $$
declare
    found_here parlor_standing;
begin
    select r.type into found_here.room_type from chat_rooms r where r.id = room for no key update;
    select p.role into found_here.asker_role from chat_participants p where p.room_id = room and p.user_id = asker;
    select p.role into found_here.user_role from chat_participants p where p.room_id = room and p.user_id = usr;
    return found_here;
end $$;

-- What a change came to. version: the membership that must be applied before it is answered. rev: of its event, null
-- if nothing was changed. participant: who is meant, as it is now.
create type parlor_change as (outcome text, version bigint, standing parlor_standing, rev bigint, participant text);

-- The object `participant`.
create function parlor_participant_json(room uuid, usr text) returns text language sql stable as $$
    select '{"userId":' || to_json(p.user_id) || ',"role":"' || p.role || '","joinedAt":' || parlor_time(p.joined_at)
        || ',"readSeq":' || p.read_seq || ',"deliveredSeq":' || greatest(p.delivered_seq, p.read_seq)
        || ',"online":' || coalesce((select o.online from chat_presence o where o.user_id = p.user_id), false) || '}'
    from chat_participants p where p.room_id = room and p.user_id = usr
$$;

create function parlor_changed(outcome text, room uuid, usr text, standing parlor_standing, rev bigint)
returns parlor_change language sql as $$
    select (outcome, (select h.version from chat_membership_head h), standing, rev,
            parlor_participant_json(room, usr))::parlor_change
$$;

-- What has happened, on the room's events: participant_added and participant_updated carry the participant as it is
-- now, participant_removed its id.
create function parlor_tell_participant(room uuid, usr text, event text, rev bigint) returns void
language sql as $$
    select parlor_event(room, null, 'events', '{"event":"' || event || '","chatRoomId":"' || room || '","rev":' || rev
        || case event when 'participant_removed' then ',"userId":' || to_json(usr)
                      else ',"participant":' || parlor_participant_json(room, usr) end || '}')
$$;

create function parlor_tell_room(room uuid) returns void language sql as $$
    select parlor_event(room, null, 'events', '{"event":"room_updated","chatRoomId":"' || room || '","rev":' || r.rev
        || ',"room":' || parlor_room_json(r) || '}')
    from chat_rooms r where r.id = room
$$;

-- Raises rev by as many events as there will be, and gives a support room its status; null leaves it.
create function parlor_room_raise(room uuid, events integer, new_status text) returns chat_rooms
language plpgsql as $$
declare
    raised chat_rooms;
begin
    update chat_rooms r set rev = r.rev + events, status = coalesce(new_status, r.status),
                            updated_at = date_trunc('milliseconds', clock_timestamp())
    where r.id = room returning * into raised;
    return raised;
end $$;

-- Adds a user, who begins with nothing unread; an agent who comes to an open support room makes it assigned.
-- outcome: added | existing | moved | participants_max | rooms_max
create function parlor_participant_add(room uuid, asker text, usr text, new_role text,
                                       participants_max bigint, rooms_max bigint, saw parlor_standing) returns parlor_change
language plpgsql as $$
declare
    standing parlor_standing := parlor_standing(room, asker, usr);
    raised chat_rooms;
    assigns boolean;
begin
    if standing.room_type is null or standing is distinct from saw then
        return parlor_changed('moved', room, usr, standing, null);
    elsif standing.user_role is not null then
        return parlor_changed('existing', room, usr, standing, null);
    elsif (select count(*) from chat_participants p where p.room_id = room) >= participants_max then
        return parlor_changed('participants_max', room, usr, standing, null);
    elsif (select count(*) from (select from chat_participants p where p.user_id = usr
                                 limit parlor_participant_add.rooms_max) held) >= rooms_max then
        return parlor_changed('rooms_max', room, usr, standing, null);
    end if;
    assigns := new_role = 'agent' and (select r.status from chat_rooms r where r.id = room) = 'open';
    raised := parlor_room_raise(room, 1 + assigns::int, case when assigns then 'assigned' end);
    insert into chat_participants (room_id, user_id, role, joined_at, read_seq, delivered_seq, history_seq)
    values (room, usr, new_role, raised.updated_at, raised.last_seq, raised.last_seq,
            case raised.history_from when 'join' then raised.last_seq else 0 end);
    perform parlor_tell_participant(room, usr, 'participant_added', raised.rev - assigns::int);
    if assigns then
        perform parlor_tell_room(room);
    end if;
    perform parlor_tell_users(room, array[usr], 'room_added');
    return parlor_changed('added', room, usr, standing, raised.rev - assigns::int);
end $$;

-- Removes a user, or lets one leave. The last owner's place is taken by the oldest admin, or else by the oldest
-- member; a support room that its last agent leaves is open again.
-- outcome: removed | absent | moved
create function parlor_participant_remove(room uuid, asker text, usr text, saw parlor_standing)
returns parlor_change language plpgsql as $$
declare
    standing parlor_standing := parlor_standing(room, asker, usr);
    raised chat_rooms;
    heir text;
    opens boolean;
begin
    if standing.room_type is null or standing is distinct from saw then
        return parlor_changed('moved', room, usr, standing, null);
    elsif standing.user_role is null then
        return parlor_changed('absent', room, usr, standing, null);
    end if;
    if standing.user_role = 'owner' and not exists (select from chat_participants p where p.room_id = room
                                                    and p.role = 'owner' and p.user_id <> usr) then
        select p.user_id into heir from chat_participants p where p.room_id = room and p.user_id <> usr
        order by p.role <> 'admin', p.joined_at, p.user_id limit 1 for update;
    end if;
    opens := standing.user_role = 'agent' and (select r.status from chat_rooms r where r.id = room) = 'assigned'
             and not exists (select from chat_participants p where p.room_id = room and p.role = 'agent'
                             and p.user_id <> usr);
    raised := parlor_room_raise(room, 1 + (heir is not null)::int + opens::int, case when opens then 'open' end);
    delete from chat_participants p where p.room_id = room and p.user_id = usr;
    update chat_participants p set role = 'owner' where p.room_id = room and p.user_id = heir;
    perform parlor_tell_participant(room, usr, 'participant_removed',
                                    raised.rev - (heir is not null)::int - opens::int);
    if heir is not null then
        perform parlor_tell_participant(room, heir, 'participant_updated', raised.rev);
    end if;
    if opens then
        perform parlor_tell_room(room);
    end if;
    perform parlor_tell_users(room, array[usr], 'room_removed');
    return parlor_changed('removed', room, usr, standing, raised.rev - (heir is not null)::int - opens::int);
end $$;

-- outcome: updated | same | absent | moved | last_owner (nobody would be left to own the group)
create function parlor_participant_update(room uuid, asker text, usr text, new_role text, saw parlor_standing)
returns parlor_change language plpgsql as $$
declare
    standing parlor_standing := parlor_standing(room, asker, usr);
    raised chat_rooms;
begin
    if standing.room_type is null or standing is distinct from saw then
        return parlor_changed('moved', room, usr, standing, null);
    elsif standing.user_role is null then
        return parlor_changed('absent', room, usr, standing, null);
    elsif standing.user_role = new_role then
        return parlor_changed('same', room, usr, standing, null);
    elsif standing.user_role = 'owner' and not exists (select from chat_participants p where p.room_id = room
                                                       and p.role = 'owner' and p.user_id <> usr) then
        return parlor_changed('last_owner', room, usr, standing, null);
    end if;
    raised := parlor_room_raise(room, 1, null);
    update chat_participants p set role = new_role where p.room_id = room and p.user_id = usr;
    perform parlor_tell_participant(room, usr, 'participant_updated', raised.rev);
    return parlor_changed('updated', room, usr, standing, raised.rev);
end $$;

-- Changes a room's settings; null leaves one as it is, an empty name takes the name away.
-- outcome: updated | same | moved. Nobody is meant: usr is null.
create function parlor_room_update(room uuid, asker text, usr text, new_name text, new_history text,
                                   new_status text, saw parlor_standing) returns parlor_change language plpgsql as $$
declare
    standing parlor_standing := parlor_standing(room, asker, null);
    raised chat_rooms;
begin
    if standing.room_type is null or standing is distinct from saw then
        return parlor_changed('moved', room, null, standing, null);
    end if;
    update chat_rooms r set name = case when new_name is null then r.name else nullif(new_name, '') end,
                            history_from = coalesce(new_history, r.history_from)
    where r.id = room and (new_name <> coalesce(r.name, '') or new_history <> r.history_from
                           or new_status <> r.status);
    if not found then
        return parlor_changed('same', room, null, standing, null);
    end if;
    raised := parlor_room_raise(room, 1, new_status);
    perform parlor_tell_room(room);
    return parlor_changed('updated', room, null, standing, raised.rev);
end $$;
