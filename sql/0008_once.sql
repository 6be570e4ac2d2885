-- Adding a participant once: what an Idempotency-Key promises.

-- parlor_participant_add, which a repetition under the same key (kept for a day) does not do again: it is answered as the
-- first one was, whatever has become of the participant since.
--   key, hash   the request's Idempotency-Key and a hash of what it asks for; null for none
-- outcome: as parlor_participant_add has it | repeated | conflict (the key was used with another body)
create function parlor_participant_add_once(room uuid, asker text, usr text, new_role text, participants_max bigint,
                                            rooms_max bigint, idempotency_key text, hash bigint, saw parlor_standing)
returns parlor_change language plpgsql as $$
declare
    old chat_idempotency_keys;
    changed parlor_change;
begin
    if idempotency_key is null then
        return parlor_participant_add(room, asker, usr, new_role, participants_max, rooms_max, saw);
    end if;
    delete from chat_idempotency_keys k where k.user_id = asker and k.created_at < now() - interval '1 day';
    insert into chat_idempotency_keys values (asker, idempotency_key, hash, room, '') on conflict do nothing;
    if not found then
        select * into old from chat_idempotency_keys k where k.user_id = asker and k.key = idempotency_key;
        if old.request_hash is distinct from hash or old.room_id is distinct from room then
            return parlor_changed('conflict', room, usr, saw, null);
        end if;
        changed := parlor_changed('repeated', room, usr, saw, nullif(split_part(old.outcome, ' ', 1), '')::bigint);
        changed.participant := substr(old.outcome, strpos(old.outcome, ' ') + 1);
        return changed;
    end if;
    changed := parlor_participant_add(room, asker, usr, new_role, participants_max, rooms_max, saw);
    if changed.outcome in ('added', 'existing') then
        update chat_idempotency_keys k set outcome = coalesce(changed.rev::text, '') || ' ' || changed.participant
        where k.user_id = asker and k.key = idempotency_key;
    else
        delete from chat_idempotency_keys k where k.user_id = asker and k.key = idempotency_key;
    end if;
    return changed;
end $$;
