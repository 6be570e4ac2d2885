// Messages after they were stored: edits and deletions, sync, search, and what one who joined later may see.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { randomUUID } from 'node:crypto';
import { say } from './lib/clients.mjs';
import { Stack } from './lib/stack.mjs';
import { until } from './lib/events.mjs';

let stack, alice, bob, carol, mallory;

before(async () => {
    stack = await Stack.start();
    [alice, bob, carol, mallory] = ['alice', 'bob', 'carol', 'mallory'].map((id) => stack.user(id));
}, { timeout: 60_000 });

after(() => stack?.stop());

const edit = (user, id, content) => user.rest('PATCH', `/chat/messages/${id}`, { content });
const remove = (user, id) => user.rest('DELETE', `/chat/messages/${id}`);
const outbox = async (room) =>
    (await stack.sql.query('select payload from event_outbox where room_id = $1 and topic = $2 order by id', [room, 'messages'])).rows;

const refused = ({ status, body }, expected, code) => {
    assert.equal(status, expected, JSON.stringify(body));
    assert.equal(body.code, code);
    assert.equal(body.statusCode, expected);
};

test('an edit is in place: same id and seq, the room\'s next rev', { timeout: 30_000 }, async () => {
    const room = await stack.room([alice, bob]);
    const [first, second] = await say(alice, room, 'frist', 'second');
    const { status, body } = await edit(alice, first.id, 'first');
    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual({ ...body, editedAt: null }, { ...first, content: 'first', rev: 1 });
    assert.match(body.editedAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    const { body: later } = await edit(alice, second.id, 'zweite');
    assert.equal(later.rev, 2);
    const { body: again } = await edit(alice, second.id, 'zweite');
    assert.deepEqual(again, later, 'an edit to what it says already changes nothing');
    assert.deepEqual(await bob.history(room), [body, later]);
    const { body: seen } = await bob.rest('GET', `/chat/rooms/${room}`);
    assert.deepEqual([seen.rev, seen.lastSeq, seen.lastMessage], [2, 2, later]);
    assert.equal((await say(bob, room, 'third'))[0].seq, 3);
});

test('a deletion leaves a tombstone, by the sender or by who has the room', { timeout: 30_000 }, async () => {
    const room = await stack.room([alice, bob, carol]);
    const { body: said } = await bob.rest('POST', `/chat/rooms/${room}/messages`, { content: 'x', mentions: ['alice'] });
    refused(await remove(carol, said.id), 403, 'forbidden');
    refused(await edit(alice, said.id, 'y'), 403, 'forbidden');
    const { status, body: gone } = await remove(alice, said.id);
    assert.equal(status, 200);
    assert.deepEqual({ ...gone, deletedAt: null }, { ...said, content: null, mentions: [], attachments: [], rev: 1 });
    assert(gone.deletedAt);
    for (const user of [alice, bob]) assert.deepEqual((await remove(user, said.id)).body, gone, 'the same again');
    refused(await edit(bob, said.id, 'back'), 409, 'message_deleted');
    assert.deepEqual(await carol.history(room), [gone]);
    const [own] = await say(carol, room, 'mine');
    assert.equal((await remove(carol, own.id)).body.rev, 2);
    assert.equal((await stack.stored(room)).filter((row) => row.content !== null || row.mentions !== null).length, 0);
});

test('what is not one\'s to see is not there: 404', { timeout: 30_000 }, async () => {
    const room = await stack.room([alice, bob]);
    const [said] = await say(alice, room, 'secret');
    for (const id of [said.id, randomUUID()]) {
        refused(await edit(mallory, id, 'x'), 404, 'message_not_found');
        refused(await remove(mallory, id), 404, 'message_not_found');
    }
    refused(await edit(alice, 'no-id', 'x'), 400, 'invalid_request');
    refused(await edit(alice, said.id, ''), 400, 'invalid_request');
    refused(await edit(alice, said.id, 'x'.repeat(17_000)), 413, 'content_too_large');
    // One who has left is a stranger to what it said itself.
    await stack.sql.query('delete from chat_participants where room_id = $1 and user_id = $2', [room, 'alice']);
    refused(await edit(alice, said.id, 'x'), 404, 'message_not_found');
    assert.equal((await stack.stored(room))[0].content, 'secret');
});

test('edits and deletions are events of the room, in order, with the message', { timeout: 30_000 }, async () => {
    const room = await stack.room([alice, bob]);
    const watcher = await bob.mqtt({ room });
    const [said] = await say(alice, room, 'one');
    const changes = [(await edit(alice, said.id, 'two')).body, (await remove(alice, said.id)).body];
    const left = await outbox(room);
    const seen = () => watcher.seen.items.filter((m) => m.rev > 0);
    // Published and deleted, or still in the outbox: in either case each change is there once, in its order.
    if (left.length === 2) assert.deepEqual(left.map((row) => JSON.parse(row.payload)), changes);
    else {
        await until('both changes', () => seen().length === 2);
        assert.deepEqual(seen(), changes);
    }
    await watcher.close();
});

test('raced edits of one message and sends give each rev and seq once', { timeout: 60_000 }, async () => {
    const room = await stack.room([alice, bob]);
    const [said] = await say(alice, room, '0');
    const work = Array.from({ length: 60 }, (_, i) => (i % 3 ? edit(alice, said.id, `v${i}`) : say(bob, room, `m${i}`)));
    const done = await Promise.all(work);
    const revs = done.filter((d) => d.body).map((d) => d.body.rev).sort((a, b) => a - b);
    assert.deepEqual(revs, Array.from({ length: 40 }, (_, i) => i + 1));
    const history = await bob.history(room);
    assert.deepEqual(history.map((m) => m.seq), Array.from({ length: 21 }, (_, i) => i + 1));
    assert.equal(history[0].rev, 40);
});

// A client's copy of its rooms, kept by sync alone.
class Copy {
    constructor(user, limit) {
        Object.assign(this, { user, limit, rooms: {}, messages: {}, participants: {}, calls: 0 });
    }

    async sync(rooms = Object.keys(this.messages)) {
        for (const room of rooms) {
            this.messages[room] ??= new Map();
            this.rooms[room] ??= { seq: 0, rev: 0 };
        }
        for (;;) {
            const asked = Object.fromEntries(Object.keys(this.messages).map((room) => [room, this.rooms[room]]));
            const { status, body } = await this.user.rest('POST', '/chat/sync', { rooms: asked, limit: this.limit });
            assert.equal(status, 200, JSON.stringify(body));
            this.calls++;
            this.last = body;
            assert(body.data.length <= (this.limit ?? 500));
            for (const m of body.data) this.messages[m.chatRoomId].set(m.seq, m);
            for (const [room, { participants, unreadCount, ...head }] of Object.entries(body.rooms)) {
                this.rooms[room] = head;
                if (participants) this.participants[room] = participants;
            }
            if (!body.meta.hasMore) return this;
            assert(this.calls < 1000, 'sync goes on');
        }
    }

    list(room) {
        return [...this.messages[room].values()].sort((a, b) => a.seq - b.seq);
    }
}

test('sync: what is new and what changed, room by room, in seq order', { timeout: 60_000 }, async () => {
    const user = stack.user('sync-1');
    const [one, two, other] = [await stack.room([user, bob]), await stack.room([user, bob]), await stack.room([user, bob])];
    const first = await say(bob, one, 'a', 'b', 'c');
    await say(bob, two, 'd');
    await say(user, other, 'e');
    const copy = await new Copy(user).sync([two, one]);
    assert.deepEqual(copy.last.data.map((m) => [m.chatRoomId, m.seq]), [[two, 1], [one, 1], [one, 2], [one, 3]]);
    assert.deepEqual(copy.last.rooms[other], { seq: 1, rev: 0, epoch: 1, unreadCount: 0 });
    assert.deepEqual(copy.last.rooms[one].unreadCount, 3);
    const { body: room } = await user.rest('GET', `/chat/rooms/${one}`);
    assert.deepEqual(copy.participants[one], room.participants);
    await copy.sync();
    assert.deepEqual(copy.last.data, []);
    assert.deepEqual(copy.last.rooms[one].participants, room.participants, 'for their watermarks');
    const edited = (await edit(bob, first[0].id, 'A')).body;
    const deleted = (await remove(bob, first[2].id)).body;
    const [fresh] = await say(bob, one, 'f');
    await copy.sync();
    assert.deepEqual(copy.last.data, [edited, deleted, fresh]);
    assert.deepEqual(copy.last.rooms[one].participants, room.participants.map((p) => p.userId === 'bob' ? copy.participants[one].find((q) => q.userId === 'bob') : p));
    assert.deepEqual([copy.rooms[one].seq, copy.rooms[one].rev], [4, 2]);
    for (const id of [one, two]) assert.deepEqual(copy.list(id), await user.history(id));
});

test('sync in small pieces, while rooms change, misses nothing and comes to an end', { timeout: 120_000 }, async () => {
    const user = stack.user('sync-2');
    const rooms = [];
    for (let i = 0; i < 4; i++) rooms.push(await stack.room([user, bob]));
    const said = {};
    for (const [i, room] of rooms.entries()) said[room] = await say(bob, room, ...Array.from({ length: 3 + 4 * i }, (_, k) => `${i}:${k}`));
    const copies = [1, 2, 7, undefined].map((limit) => new Copy(user, limit));
    for (const copy of copies) await copy.sync(rooms);
    const busy = (async () => {
        for (let round = 0; round < 15; round++) {
            for (const room of rooms) {
                const pick = said[room][round % said[room].length];
                await (round % 5 === 4 ? remove(bob, pick.id) : edit(bob, pick.id, `round ${round}`));
                said[room].push(...(await say(bob, room, `new ${round}`)));
            }
        }
    })();
    while (await Promise.race([busy.then(() => false), new Promise((r) => setImmediate(r, true))])) for (const copy of copies) await copy.sync();
    await busy;
    for (const copy of copies) {
        await copy.sync();
        for (const room of rooms) {
            assert.deepEqual(copy.list(room), await user.history(room));
            const { body } = await user.rest('GET', `/chat/rooms/${room}`);
            assert.deepEqual(copy.rooms[room], { seq: body.lastSeq, rev: body.rev, epoch: body.epoch });
        }
    }
    // All at once after being away: the same by every limit.
    for (const limit of [1, 3, 500]) {
        const late = await new Copy(user, limit).sync(rooms);
        for (const room of rooms) assert.deepEqual(late.list(room), await user.history(room));
    }
});

test('sync: another epoch starts over; a room that is not one\'s own is not there', { timeout: 30_000 }, async () => {
    const user = stack.user('sync-3');
    const mine = await stack.room([user, bob]);
    const foreign = await stack.room([alice, bob]);
    const said = await say(bob, mine, 'a', 'b', 'c', 'd', 'e');
    await say(bob, foreign, 'hidden');
    const ask = (body) => user.rest('POST', '/chat/sync', body);
    const { body: over } = await ask({ rooms: { [mine]: { seq: 5, rev: 0, epoch: 9 }, [foreign]: { seq: 0 } }, limit: 2 });
    assert.deepEqual(over.data, said.slice(0, 2));
    assert.deepEqual(Object.keys(over.rooms), [mine]);
    const { participants, ...head } = over.rooms[mine];
    assert.equal(participants.length, 2);
    assert.deepEqual(head, { seq: 2, rev: 0, epoch: 1, unreadCount: 5 });
    assert.equal(over.meta.hasMore, true);
    const { body: rest } = await ask({ rooms: { [mine]: head } });
    assert.deepEqual(rest.data, said.slice(2));
    // Who is ahead of the room, in seq or in rev, has what is not there any more, and starts over as well.
    for (const given of [{ seq: 99, rev: 99, epoch: 1 }, { seq: 6, rev: 0, epoch: 1 }, { seq: 5, rev: 1, epoch: 1 }, { seq: 6 }]) {
        const { body: ahead } = await ask({ rooms: { [mine]: given } });
        assert.deepEqual(ahead.data, said, JSON.stringify(given));
        assert.equal(ahead.rooms[mine].participants.length, 2);
        assert.deepEqual([ahead.rooms[mine].seq, ahead.rooms[mine].rev, ahead.rooms[mine].epoch], [5, 0, 1]);
    }
    const many = Object.fromEntries(Array.from({ length: 1000 }, () => [randomUUID(), { seq: 1, rev: 1, epoch: 1 }]));
    assert.equal((await ask({ rooms: many })).status, 200);
    refused(await ask({ rooms: { ...many, [randomUUID()]: {} } }), 400, 'invalid_request');
    const { status, body } = await ask({ rooms: { x: {}, [mine]: { seq: -1 } }, limit: 501 });
    assert.equal(status, 400);
    assert.equal(body.message.length, 3, JSON.stringify(body.message));
    refused(await ask(`{"pad":"${'x'.repeat(256 * 1024)}"}`), 413, 'payload_too_large');
    assert.equal((await ask(`{"pad":"${'x'.repeat(255 * 1024)}"}`)).status, 200);
});

test('who joined later sees nothing from before', { timeout: 30_000 }, async () => {
    const room = await stack.room([alice, bob]);
    const before = await say(alice, room, 'needle one', 'needle two', 'needle three');
    await stack.sql.query('insert into chat_participants (room_id, user_id, role, joined_at, history_seq, read_seq, delivered_seq) select id, $2, $3, now(), last_seq, last_seq, last_seq from chat_rooms where id = $1', [room, 'late', 'member']);
    const late = stack.user('late');
    await until('late is in', async () => (await late.rest('GET', `/chat/rooms/${room}`)).status === 200
        && (await late.rest('GET', `/chat/rooms/${room}/messages`)).status === 200);
    const { body: seen } = await late.rest('GET', `/chat/rooms/${room}`);
    assert.deepEqual([seen.lastMessage, seen.unreadCount], [null, 0]);
    await edit(alice, before[1].id, 'needle 2');
    const [after] = await say(alice, room, 'needle four');
    assert.deepEqual(await late.history(room), [after]);
    const copy = await new Copy(late).sync([room]);
    assert.deepEqual(copy.list(room), [after]);
    assert.deepEqual([copy.rooms[room].seq, copy.rooms[room].rev], [4, 1]);
    refused(await remove(late, before[0].id), 404, 'message_not_found');
    refused(await late.rest('PATCH', `/chat/messages/${before[0].id}/read`), 404, 'message_not_found');
    const reply = (id) => late.rest('POST', `/chat/rooms/${room}/messages`, { content: 're', replyToId: id });
    assert.equal((await reply(before[0].id)).status, (await reply(randomUUID())).status, 'no reply to what one may not see');
    assert.equal((await reply(after.id)).status, 201);
    const socket = await late.socket();
    const { missed } = await socket.emit('join_chat', { chatRoomId: room, afterSeq: 0 });
    assert.deepEqual(missed.map((m) => m.seq), [4, 5]);
    await socket.close();
});

const search = async (user, room, text, more = '') => {
    const { status, body } = await user.rest('GET', `/chat/rooms/${room}/messages?search=${encodeURIComponent(text)}${more}`);
    assert.equal(status, 200, JSON.stringify(body));
    return body;
};
const found = async (...args) => (await search(...args)).data.map((m) => m.content);
const highlighted = ({ content, matches }) => matches.map(([start, length]) => content.slice(start, start + length));

test('search: all words, the last by its beginning, newest first, with matches', { timeout: 30_000 }, async () => {
    const room = await stack.room([alice, bob]);
    const other = await stack.room([alice, bob]);
    await say(alice, other, 'Hello World, elsewhere');
    const said = await say(alice, room, 'Hello World', 'hello there', '\u{1F600} \u00c9t\u00e9: HELLO worldly wonders', "it's a <b>world</b> of quotes \\ ' \"", 'hell', 'mail bob@example.com now');
    assert.deepEqual(await found(bob, room, 'hello wor'), [said[2].content, said[0].content]);
    assert.deepEqual(await found(bob, room, 'wor hello'), [], 'only the last word may be a beginning');
    const { data } = await search(bob, room, 'hello wor');
    assert.deepEqual(data.map(highlighted), [['HELLO', 'worldly'], ['Hello', 'World']]);
    const { matches, ...message } = data[1];
    assert.deepEqual(message, said[0]);
    assert.deepEqual((await search(bob, room, '\u00c9T')).data.map(highlighted), [['\u00c9t\u00e9']]);
    for (const text of ['\u00e9t', '\u00c9T\u00c9'])
        assert.deepEqual((await search(bob, room, text)).data.map(highlighted), [['\u00c9t\u00e9']], text);
    assert.deepEqual((await search(bob, room, 'world')).data.map((m) => m.seq), [4, 3, 1]);
    assert.deepEqual((await search(bob, room, 'of quo')).data.map(highlighted), [['of', 'quotes']]);
    assert.deepEqual(await found(bob, room, 'bob@example.com'), ['mail bob@example.com now']);
    for (const text of ["'", '\\', '& | !', ":*", "hello' & '", '%', '!!!']) assert((await found(bob, room, text)).length <= 6);
    const page = await search(bob, room, 'hel', '&limit=2');
    assert.deepEqual([page.data.map((m) => m.seq), page.meta], [[5, 3], { nextCursor: 3, hasMore: true }]);
    const next = await search(bob, room, 'hel', '&limit=2&before=3');
    assert.deepEqual([next.data.map((m) => m.seq), next.meta], [[2, 1], { nextCursor: null, hasMore: false }]);
    await edit(alice, said[1].id, 'goodbye');
    await remove(alice, said[0].id);
    assert.deepEqual(await found(bob, room, 'hello'), [said[2].content]);
    assert.deepEqual(await found(bob, room, 'goodb'), ['goodbye']);
    refused(await mallory.rest('GET', `/chat/rooms/${room}/messages?search=hello`), 404, 'room_not_found');
});

test('search knows no case in any language', { timeout: 30_000 }, async () => {
    const room = await stack.room([alice, bob]);
    const texts = ['ÄRGER im Überfluß', 'Привет МИР', 'Καλημέρα', 'ÉTÉ'];
    for (const content of texts) assert.equal((await alice.rest('POST', `/chat/rooms/${room}/messages`, { content })).status, 201);
    for (const indexed of [false, true]) {
        if (indexed) {
            for (let i = texts.length; i < 32; i++) await alice.rest('POST', `/chat/rooms/${room}/messages`, { content: 'more' });
            await stack.sql.query('select parlor_search_feed($1, 10)', [room]);
        }
        for (const text of texts)
            for (const word of text.split(' '))
                for (const asked of [word, word.toLowerCase(), word.toUpperCase().replace('SS', 'ß'), word.slice(0, 3).toLowerCase()])
                    assert.deepEqual(await found(bob, room, asked), [text], `${asked}, indexed: ${indexed}`);
    }
    assert.deepEqual((await search(bob, room, 'ми')).data.map(highlighted), [['МИР']]);
});

test('search of an indexed room finds what an unindexed one does, and nothing that is no more', { timeout: 60_000 }, async () => {
    const room = await stack.room([alice, bob]);
    const words = ['red', 'green', 'blue', 'yellow'];
    await stack.sql.query(`insert into chat_messages (seq, body_hash, created_at, id, room_id, type, sender_id, client_message_id, content)
        select n, 0, now(), gen_random_uuid(), $1, 'text', 'alice', 'c' || n,
               ($2::text[])[1 + n % 4] || ' number ' || n || case when n % 500 = 3 then ' needle' else '' end
        from generate_series(1, 3000) n`, [room, words]);
    await stack.sql.query('update chat_rooms set last_seq = 3000 where id = $1', [room]);
    const all = async (text) => {
        const seqs = [];
        let cursor = '';
        for (let calls = 0; calls < 100; calls++) {
            const { data, meta } = await search(bob, room, text, `&limit=100${cursor}`);
            seqs.push(...data.map((m) => m.seq));
            if (!meta.hasMore) return seqs;
            cursor = `&before=${meta.nextCursor}`;
        }
        assert.fail('search goes on');
    };
    const expected = Array.from({ length: 6 }, (_, i) => 2503 - 500 * i);
    const indexed = async () => (await stack.sql.query('select blocks from chat_search_rooms where room_id = $1', [room])).rows[0]?.blocks;
    assert.deepEqual(await all('needle'), expected);
    await until('the room is indexed', async () => Number(await indexed()) === 93);
    assert.deepEqual(await all('needle'), expected);
    assert.deepEqual(await all('needle yell'), expected);
    assert.deepEqual((await all('gre')).length, 750);
    assert.deepEqual((await all('number')).length, 3000);
    const { data: [one] } = await search(bob, room, 'needle', '&limit=1');
    await edit(alice, one.id, 'a haystack');
    assert.deepEqual(await all('needle'), expected.slice(1));
    assert.deepEqual(await all('hayst'), [one.seq]);
    await remove(alice, one.id);
    assert.deepEqual(await all('haystack'), []);
    const left = await stack.sql.query("select from chat_search_blocks where words::text like '%haystack%'");
    assert.equal(left.rowCount, 0, 'a deleted word is nowhere');
    // Words that fill no row, and one longer than a row takes: found all the same.
    const many = Array.from({ length: 2000 }, (_, i) => `w${i}x`).join(' ');
    const [odd] = await say(alice, room, `${'y'.repeat(2046)} rarest ${many}`);
    await say(alice, room, ...Array.from({ length: 8 }, () => 'z'));
    await stack.sql.query('select parlor_search_feed($1, 10)', [room]);
    assert.deepEqual(await all('rarest'), [odd.seq]);
    await stack.sql.query('update chat_participants set history_seq = 1503 where room_id = $1 and user_id = $2', [room, 'bob']);
    assert.deepEqual(await all('needle'), [2003], 'nothing from before one joined');
});

test('marks by REST move the watermark and answer the receipt', { timeout: 30_000 }, async () => {
    const room = await stack.room([alice, bob]);
    const said = await say(alice, room, 'a', 'b', 'c');
    const mark = async (path, body) => {
        const answer = await bob.rest('PATCH', path, body);
        assert.equal(answer.status, 200, JSON.stringify(answer.body));
        assert.deepEqual(Object.keys(answer.body), ['chatRoomId', 'userId', 'readSeq', 'deliveredSeq', 'at']);
        return answer.body.readSeq;
    };
    assert.equal(await mark(`/chat/messages/${said[1].id}/read`), 2);
    assert.equal(await mark(`/chat/rooms/${room}/read`, { seq: 1 }), 2, 'never back');
    assert.equal(await mark(`/chat/rooms/${room}/read`, { messageId: said[2].id }), 3);
    await say(alice, room, 'd');
    assert.equal(await mark(`/chat/rooms/${room}/read`), 4);
    assert.equal(await mark(`/chat/rooms/${room}/read`, { seq: 99 }), 4, 'clamped');
    const { body } = await bob.rest('GET', `/chat/rooms/${room}`);
    assert.equal(body.unreadCount, 0);
    refused(await mallory.rest('PATCH', `/chat/messages/${said[0].id}/read`), 404, 'message_not_found');
    refused(await mallory.rest('PATCH', `/chat/rooms/${room}/read`), 404, 'room_not_found');
});
