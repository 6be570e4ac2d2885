-- Requests at the same moment can't bring a user past rooms_max: who is near it has its next rooms one after the other.

-- To be called in the same statement before what adds the users to a room, whose own count is then the last word (a
-- volatile function sees what was committed before each of its statements). Only users who are so near to rooms_max
-- that all requests under way could pass it wait for each other; in the order of their names, and before any row is
-- locked, so that nobody waits in a circle. Returns rooms_max, to make the order of the two calls certain.
create function parlor_rooms_lock(users text[], rooms_max bigint) returns bigint
language plpgsql volatile as $$
begin
    perform pg_advisory_xact_lock(5000, hashtext(near.u))
    from (select distinct u collate "C" as u from unnest(users) u
          where (select count(*) from (select from chat_participants p where p.user_id = u
                                       limit parlor_rooms_lock.rooms_max) held) >= parlor_rooms_lock.rooms_max - 200
          order by 1) near;
    return rooms_max;
end $$;
