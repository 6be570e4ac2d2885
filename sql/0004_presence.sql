-- Who is online, and since when (offline: since when no more). Written by the plugin a moment after each change; at
-- the start of the broker nobody is online.
create table chat_presence (
    user_id      text collate "C" primary key,
    online       boolean not null,
    last_seen_at timestamptz not null
);

create index chat_presence_online on chat_presence (user_id) where online;
