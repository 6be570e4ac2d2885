begin;
create temp table if not exists b (id uuid, room_id uuid, n int, sender text, cm text) on commit delete rows;
insert into b select v7(), md5('room'||r)::uuid, row_number() over (partition by r), '95964706'||lpad((r*2+(g%2))::text,4,'0'), null from (select g, 1+(random()*49)::int r from generate_series(1,33) g) x order by 2;
update b set cm=v7()::text;
update rA r set last_seq=last_seq+c from (select room_id, count(*) c from b group by room_id) x where r.id=x.room_id;
insert into mA (seq,body_hash,created_at,id,room_id,type,sender_id,client_message_id,content,k) select r.last_seq-b.n+1, 123456789, now(), b.id, b.room_id, 'text', b.sender, b.cm, repeat('x',100), null from b join rA r on r.id=b.room_id order by b.room_id, b.n;
commit;
