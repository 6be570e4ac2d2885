-- Who has read how far, and since when. The watermarks themselves are columns of chat_participants.

-- Append-only: one row each time that a reader's watermark moved. When a message was read is the time of the first
-- row at or past its seq.
create table message_read_receipts (
    room_id uuid not null,
    user_id text collate "C" not null,
    seq     bigint not null,                            -- read up to here
    at      timestamptz not null,
    primary key (room_id, user_id, seq)
);
