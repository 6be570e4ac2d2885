// Messages after they were stored: edits and deletions, sync, search, and what one who joined later may see.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { randomUUID } from 'node:crypto';
import { Stack } from './lib/stack.mjs';
import { until } from './lib/events.mjs';

let stack, alice, bob, carol, mallory;

before(async () => {
    stack = await Stack.start();
    [alice, bob, carol, mallory] = ['alice', 'bob', 'carol', 'mallory'].map((id) => stack.user(id));
}, { timeout: 60_000 });

after(() => stack?.stop());

async function say(user, room, ...contents) {
    const said = [];
    for (const content of contents) {
        const { status, body } = await user.rest('POST', `/chat/rooms/${room}/messages`, { content });
        assert.equal(status, 201, JSON.stringify(body));
        said.push(body);
    }
    return said;
}

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
