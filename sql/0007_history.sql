-- The membership log tells how far back a member sees, for the plugin and the sockets to hold edits, deletions and
-- what is filled in to the history that the member has.

alter table chat_membership_log add column history_seq bigint not null default 0;

drop function parlor_membership_log(uuid[], text[], text[]);

create function parlor_membership_log(rooms uuid[], users text[], roles text[], histories bigint[]) returns void
language plpgsql as $$
declare
    count bigint := cardinality(rooms);
    first bigint;
begin
    if count = 0 then
        return;
    end if;
    update chat_membership_head set version = version + count returning version - count into first;
    insert into chat_membership_log (version, room_id, room_type, user_id, role, history_seq)
    select first + c.n, c.room_id, r.type, c.user_id, c.role, c.history_seq
    from unnest(rooms, users, roles, histories) with ordinality as c (room_id, user_id, role, history_seq, n)
    join chat_rooms r on r.id = c.room_id;
    perform pg_notify('parlor_members', (first + count)::text);
end $$;

create or replace function parlor_participants_added() returns trigger language plpgsql as $$
begin
    perform parlor_membership_log(array_agg(room_id order by joined_at, user_id),
                                  array_agg(user_id order by joined_at, user_id),
                                  array_agg(role order by joined_at, user_id),
                                  array_agg(history_seq order by joined_at, user_id))
    from changed having count(*) > 0;
    return null;
end $$;

create or replace function parlor_participants_removed() returns trigger language plpgsql as $$
begin
    perform parlor_membership_log(array_agg(room_id), array_agg(user_id), array_agg(null::text), array_agg(0::bigint))
    from changed having count(*) > 0;
    return null;
end $$;

create or replace function parlor_participant_changed() returns trigger language plpgsql as $$
begin
    perform parlor_membership_log(array[new.room_id], array[new.user_id], array[new.role], array[new.history_seq]);
    return null;
end $$;

drop trigger changed on chat_participants;
create trigger changed after update of role, history_seq on chat_participants
    for each row when (old.role is distinct from new.role or old.history_seq is distinct from new.history_seq)
    execute function parlor_participant_changed();
