// Read and delivered marks: only forward, never past the end, told to the room, kept with their time; and what
// becomes of bad ones.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { Stack } from './lib/stack.mjs';

let stack, alice, bob, mallory;

before(async () => {
    stack = await Stack.start();
    [alice, bob, mallory] = ['alice', 'bob', 'mallory'].map((id) => stack.user(id));
});
after(() => stack.stop());

const mark = (door, kind, room, payload) =>
    door.client.publishAsync(`chat/v1/rooms/${room}/${kind}/${door.user.id}`, JSON.stringify(payload), { qos: 1 });

// A room with so many messages of alice's; alice listens to its receipts.
async function setUp(count) {
    const room = await stack.room([alice, bob]);
    const sender = await alice.mqtt({ room, subscribe: [`chat/v1/rooms/${room}/receipts`] });
    const reader = await bob.mqtt({ room });
    const ids = [];
    for (let i = 0; i < count; i++) ids.push((await sender.send(room, { content: `${i}` })).id);
    const receipt = async (passes) =>
        JSON.parse((await sender.other.find(({ topic, text }) => topic.endsWith('/receipts') && passes(JSON.parse(text)))).text);
    return { room, sender, reader, ids, receipt, close: () => Promise.all([sender.close(), reader.close()]) };
}

async function watermarks(room, user) {
    const { rows } = await stack.sql.query(
        'SELECT read_seq, delivered_seq FROM chat_participants WHERE room_id = $1 AND user_id = $2', [room, user]);
    return [rows[0].read_seq, rows[0].delivered_seq];
}

test('a mark is stored and told to the room', { timeout: 30_000 }, async () => {
    const { room, reader, ids, receipt, close } = await setUp(3);
    await mark(reader, 'delivered', room, { seq: 2 });
    const delivered = await receipt((r) => r.deliveredSeq === 2);
    assert.deepEqual(Object.keys(delivered), ['chatRoomId', 'userId', 'readSeq', 'deliveredSeq', 'at']);
    assert.deepEqual([delivered.chatRoomId, delivered.userId, delivered.readSeq], [room, 'bob', 0]);
    await mark(reader, 'read', room, { messageId: ids[2] });
    const read = await receipt((r) => r.readSeq === 3);
    assert.equal(read.deliveredSeq, 3, 'who has read has received');
    assert.deepEqual(await watermarks(room, 'bob'), [3, 3]);
    const { rows } = await stack.sql.query("SELECT seq, at FROM message_read_receipts WHERE room_id = $1", [room]);
    assert.deepEqual(rows.map((r) => [r.seq, r.at.toISOString()]), [[3, read.at]]);
    await close();
});

test('many marks of a moment are few receipts, and nothing goes back', { timeout: 30_000 }, async () => {
    const { room, sender, reader, receipt, close } = await setUp(5);
    for (const seq of [1, 5, 2, 4, 3]) mark(reader, 'read', room, { seq });
    await receipt((r) => r.readSeq === 5);
    await mark(reader, 'read', room, { seq: 2 }); // nothing moves: nothing is told
    await sender.send(room, { content: 'one more' });
    await mark(reader, 'read', room, { seq: 2 ** 53 - 1 });
    await receipt((r) => r.readSeq === 6);
    const told = sender.other.items.map(({ text }) => JSON.parse(text).readSeq);
    assert.deepEqual(told, [...new Set(told)].sort((a, b) => a - b), 'watermarks only rise');
    assert.ok(told.length <= 3, `${told.length} receipts`);
    assert.deepEqual(await watermarks(room, 'bob'), [6, 6]);
    await close();
});

test('bad marks are rejected on acks', { timeout: 30_000 }, async () => {
    const { room, reader, close } = await setUp(1);
    const foreign = await stack.room([alice, bob]);
    const other = await alice.door('rest');
    const { id } = await other.send(foreign, { content: 'elsewhere' });
    for (const [clientMessageId, payload, code] of [
        ['none', {}, 'invalid_receipt'],
        ['negative', { seq: -1 }, 'invalid_receipt'],
        ['text', { seq: '1' }, 'invalid_receipt'],
        ['no-id', { messageId: 'x' }, 'invalid_receipt'],
        ['elsewhere', { messageId: id }, 'message_not_found'],
    ]) {
        await mark(reader, 'read', room, { ...payload, clientMessageId });
        const ack = await reader.acks.find((a) => a.clientMessageId === clientMessageId);
        assert.deepEqual([ack.status, ack.code], ['rejected', code]);
    }
    const stranger = await mallory.mqtt();
    await mark(stranger, 'delivered', room, { seq: 1, clientMessageId: 'stranger' });
    const ack = await stranger.acks.find((a) => a.clientMessageId === 'stranger');
    assert.deepEqual([ack.status, ack.code], ['rejected', 'room_not_found']);
    assert.deepEqual(await watermarks(room, 'bob'), [0, 0]);
    await stranger.close();
    await close();
});

test('a socket marks, and is answered also when nothing moves', { timeout: 30_000 }, async () => {
    const { room, receipt, close } = await setUp(4);
    const socket = await bob.socket({ room });
    const watcher = await alice.socket({ room });
    assert.deepEqual(await socket.emit('mark_as_read', { chatRoomId: room, seq: 3 }), { status: 'ok', readSeq: 3 });
    await receipt((r) => r.readSeq === 3 && r.userId === 'bob');
    const { args } = await watcher.other.find(({ event }) => event === 'message_read');
    assert.deepEqual([args[0].chatRoomId, args[0].userId, args[0].seq], [room, 'bob', 3]);
    assert.deepEqual(await socket.emit('mark_as_read', { chatRoomId: room, seq: 1 }), { status: 'ok', readSeq: 3 });
    const refused = await socket.emit('mark_as_read', { chatRoomId: room, messageId: '01900000-0000-7000-8000-000000000000' });
    assert.deepEqual([refused.status, refused.code], ['error', 'message_not_found']);
    await Promise.all([socket.close(), watcher.close(), close()]);
});

test('kill -9 of the broker loses no receipt that was told', { timeout: 60_000 }, async () => {
    const { room, reader, receipt, close } = await setUp(3);
    await mark(reader, 'read', room, { seq: 2 });
    await receipt((r) => r.readSeq === 2);
    await stack.killBroker();
    await stack.startBroker();
    await stack.ready();
    assert.deepEqual(await watermarks(room, 'bob'), [2, 2]);
    await close();
});

const marksOf = (participants) => Object.fromEntries(participants.map((p) => [p.userId, [p.readSeq, p.deliveredSeq]]));

test('to send is to have read, at once and for everybody who asks', { timeout: 30_000 }, async () => {
    const { room, sender, close } = await setUp(2);
    for (const seq of [3, 4, 5, 6]) {
        if (seq % 2) assert.equal((await alice.rest('POST', `/chat/rooms/${room}/messages`, { content: 'x' })).status, 201);
        else await sender.send(room, { content: 'x' });
        for (const user of [alice, bob]) {
            const { body } = await user.rest('GET', `/chat/rooms/${room}`);
            assert.deepEqual(marksOf(body.participants), { alice: [seq, seq], bob: [0, 0] }, `${user.id} at ${seq}`);
        }
    }
    const list = await bob.rest('GET', '/chat/rooms');
    assert.deepEqual(marksOf(list.body.data.find((r) => r.id === room).participants).alice, [6, 6]);
    await close();
});

test('who was away learns the watermarks from sync, whatever rev is', { timeout: 30_000 }, async () => {
    const { room, reader, receipt, close } = await setUp(4);
    const ask = async (rooms) => (await alice.rest('POST', '/chat/sync', { rooms })).body.rooms[room];
    const { seq, rev, epoch } = await ask({ [room]: { seq: 0, rev: 0 } });
    await mark(reader, 'read', room, { seq: 2 });
    await mark(reader, 'delivered', room, { seq: 4 });
    await receipt((r) => r.readSeq === 2 && r.deliveredSeq === 4);
    const again = await ask({ [room]: { seq, rev, epoch } });
    assert.equal(again.rev, rev, 'a mark is no change');
    assert.deepEqual(marksOf(again.participants), { alice: [4, 4], bob: [2, 4] });
    assert.equal((await ask({})).participants, undefined, 'a room that is not named comes by its head only');
    await close();
});
