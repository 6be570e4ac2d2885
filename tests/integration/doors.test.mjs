// One message through every door: sent by any of MQTT, Socket.IO and REST it is stored once and reaches every
// other door with the same id and seq.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import test, { after, before } from 'node:test';
import { Stack } from './lib/stack.mjs';
import { until } from './lib/events.mjs';

const DOORS = ['mqtt', 'socket', 'rest'];
let stack, alice, bob, carol, stranger;

before(async () => {
    stack = await Stack.start();
    [alice, bob, carol, stranger] = ['alice', 'bob', 'carol', 'mallory'].map((id) => stack.user(id));
});
after(() => stack.stop());

// What of a message must be the same at every door.
const essence = ({ id, chatRoomId, seq, senderId, clientMessageId, type, content, mentions, replyToId, createdAt }) => ({
    id, chatRoomId, seq, senderId, clientMessageId, type, content, mentions, replyToId, createdAt,
});

for (const from of DOORS) {
    for (const to of DOORS) {
        test(`from ${from} to ${to}`, { timeout: 30_000 }, async () => {
            const room = await stack.room([alice, bob]);
            const receiver = await bob.door(to, { room });
            const sender = await alice.door(from, { room });
            const draft = {
                content: `by ${from}: grüße 🎉 "quoted" \\ \n line`,
                mentions: ['bob'],
                clientMessageId: randomUUID(),
            };
            const answer = await sender.send(room, draft);
            assert.equal(answer.status, 'stored', JSON.stringify(answer));
            assert.equal(answer.seq, 1);
            const seen = await receiver.seen.find((m) => m.id === answer.id);
            const [row] = await stack.stored(room);
            assert.equal(row.id, answer.id);
            assert.deepEqual(essence(seen), {
                id: answer.id,
                chatRoomId: room,
                seq: 1,
                senderId: 'alice',
                clientMessageId: draft.clientMessageId,
                type: 'text',
                content: draft.content,
                mentions: ['bob'],
                replyToId: null,
                createdAt: row.created_at.toISOString(),
            });
            const [fetched] = await alice.history(room);
            assert.deepEqual(seen, fetched, 'every door carries the same object');
            await sender.close();
            await receiver.close();
        });
    }
}

test('Socket.IO by long polling carries the same', { timeout: 30_000 }, async () => {
    const room = await stack.room([alice, bob]);
    const receiver = await bob.socket({ room, transports: ['polling'] });
    const sender = await alice.socket({ room, transports: ['polling'] });
    const answer = await sender.send(room, { content: 'by polling' });
    const seen = await receiver.seen.find((m) => m.id === answer.id);
    assert.equal(seen.content, 'by polling');
    await sender.close();
    await receiver.close();
});

test('a polling socket upgrades to WebSocket and loses nothing', { timeout: 30_000 }, async () => {
    const room = await stack.room([alice, bob]);
    const receiver = await bob.socket({ room, transports: ['polling', 'websocket'] });
    const sender = await alice.socket({ room });
    for (let i = 1; i <= 50; i++) await sender.send(room, { content: `${i}` });
    await until('the upgrade', () => receiver.socket.io.engine.transport.name === 'websocket');
    const seen = await receiver.seen.count(50);
    assert.deepEqual(seen.map((m) => m.seq), Array.from({ length: 50 }, (_, i) => i + 1));
    await sender.close();
    await receiver.close();
});

test('MQTT over WebSocket and MQTT 5 are the same door', { timeout: 30_000 }, async () => {
    const room = await stack.room([alice, bob]);
    const receiver = await bob.mqtt({ room, ws: true, protocolVersion: 5 });
    const sender = await alice.mqtt({ room, protocolVersion: 5 });
    const answer = await sender.send(room, { content: 'five' });
    assert.equal((await receiver.seen.find((m) => m.id === answer.id)).content, 'five');
    await sender.close();
    await receiver.close();
});

test('three senders on three doors: every observer sees 1 to 300 in order, as GET has them', { timeout: 60_000 }, async () => {
    const each = 100;
    const room = await stack.room([alice, bob, carol]);
    const observers = [
        await alice.mqtt({ room }),
        await bob.socket({ room }),
        await carol.socket({ room, transports: ['polling'] }),
        await carol.mqtt({ room, protocolVersion: 5 }),
    ];
    const senders = [await alice.mqtt(), await bob.socket(), await carol.door('rest')];
    const answers = await Promise.all(
        senders.map(async (sender, s) => {
            const mine = [];
            for (let i = 0; i < each; i += 10) {
                const some = Array.from({ length: 10 }, (_, k) => sender.send(room, { content: `${s}:${i + k}` }));
                mine.push(...(await Promise.all(some)));
            }
            return mine;
        }),
    );
    const all = answers.flat();
    assert(all.every((a) => a.status === 'stored'), JSON.stringify(all.find((a) => a.status !== 'stored')));
    const numbers = Array.from({ length: 300 }, (_, i) => i + 1);
    assert.deepEqual(all.map((a) => a.seq).sort((a, b) => a - b), numbers);
    const history = await alice.history(room);
    assert.deepEqual(history.map((m) => m.seq), numbers);
    for (const observer of observers) {
        const seen = await observer.seen.count(300, 20_000);
        assert.deepEqual(seen.map((m) => m.seq), numbers, `${observer.seen.name}: in order`);
        assert.deepEqual(seen, history, `${observer.seen.name}: the same as GET`);
    }
    for (const door of [...observers, ...senders]) await door.close();
});

test('a stranger is told at SUBSCRIBE, receives nothing, and finds no room', { timeout: 30_000 }, async () => {
    const room = await stack.room([alice, bob]);
    for (const protocolVersion of [4, 5]) {
        const spy = await stack.user('mallory').mqtt({ protocolVersion });
        await assert.rejects(
            spy.client.subscribeAsync([`chat/v1/rooms/${room}/messages`, `chat/v1/rooms/${room}/#`], { qos: 1 }),
            'SUBACK says so',
        );
        for (const filter of ['#', 'chat/v1/rooms/+/messages', 'chat/v1/#', '+/v1/rooms/#', `$share/g/chat/v1/rooms/${room}/messages`]) {
            const answer = await spy.client.subscribeAsync(filter, { qos: 1 }).catch(() => null);
            assert(answer === null || answer.every((g) => g.qos >= 128), `${filter} was granted`);
        }
        const sender = await alice.mqtt();
        const receiver = await bob.mqtt({ room });
        const answer = await sender.send(room, { content: 'not for mallory' });
        await receiver.seen.find((m) => m.id === answer.id);
        // What mallory sends afterwards comes back rejected: by then everything earlier has passed.
        const own = await spy.send(room, { content: 'let me in' });
        assert.equal(own.status, 'rejected');
        assert.equal(spy.seen.items.length + spy.other.items.length, 0);
        for (const door of [spy, sender, receiver]) await door.close();
    }
    const socket = await stranger.socket();
    assert.equal((await socket.emit('join_chat', { chatRoomId: room })).status, 'error');
    assert.equal((await socket.send(room, { content: 'x' })).status, 'rejected');
    await socket.close();
    for (const [method, path, body] of [
        ['GET', `/chat/rooms/${room}`],
        ['GET', `/chat/rooms/${room}/messages`],
        ['POST', `/chat/rooms/${room}/messages`, { content: 'x' }],
    ]) {
        const { status, body: error } = await stranger.rest(method, path, body);
        assert.equal(status, 404, `${method} ${path}`);
        assert.equal(error.code, 'room_not_found');
    }
    assert(!(await stack.stored(room)).some((row) => row.sender_id === 'mallory'));
});

test('nobody speaks as another, as the plugin, or leaves something retained', { timeout: 30_000 }, async () => {
    const room = await stack.room([alice, bob]);
    const receiver = await bob.mqtt({ subscribe: [`chat/v1/rooms/${room}/#`] });
    const sender = await alice.mqtt({ protocolVersion: 5 });
    for (const topic of [`rooms/${room}/send/bob`, `rooms/${room}/messages`, `rooms/${room}/events`, 'users/bob/acks', 'nonsense']) {
        await assert.rejects(sender.client.publishAsync(`chat/v1/${topic}`, '{"content":"forged"}', { qos: 1 }), topic);
    }
    const answer = await sender.send(room, { content: 'honest' });
    await sender.client.publishAsync(`chat/v1/rooms/${room}/send/alice`, '{"content":"kept?"}', { qos: 1, retain: true });
    const kept = await receiver.seen.find((m) => m.content === 'kept?');
    assert.deepEqual(receiver.seen.items.map((m) => m.id), [answer.id, kept.id]);
    const late = await bob.mqtt({ subscribe: [`chat/v1/rooms/${room}/#`] });
    const third = await sender.send(room, { content: 'third' });
    await late.seen.find((m) => m.id === third.id);
    assert.deepEqual(late.seen.items.filter((m) => m.id !== third.id), [], 'nothing retained came');
    for (const door of [receiver, sender, late]) await door.close();
});

for (const kind of DOORS) {
    test(`by ${kind} a resent clientMessageId stores nothing, another body conflicts`, { timeout: 30_000 }, async () => {
        const room = await stack.room([alice, bob]);
        const watcher = await bob.mqtt({ room });
        const sender = await alice.door(kind);
        const draft = { content: 'once', clientMessageId: randomUUID() };
        const first = await sender.send(room, draft);
        assert.equal(first.status, 'stored');
        await sender.send(room, { content: 'between' });
        const again = await sender.send(room, draft);
        assert.deepEqual([again.status, again.id, again.seq], ['stored', first.id, first.seq]);
        const other = await sender.send(room, { ...draft, content: 'twice' });
        assert.deepEqual([other.status, other.code], ['rejected', 'conflict']);
        if (kind === 'rest') assert.equal(other.httpStatus, 409);
        const last = await sender.send(room, { content: 'last' });
        assert.equal(last.seq, 3, 'the resends took no seq');
        await watcher.seen.find((m) => m.id === last.id);
        assert.deepEqual(watcher.seen.items.map((m) => m.content), ['once', 'between', 'last']);
        await sender.close();
        await watcher.close();
    });
}

test('a resend through another door answers with the first id', { timeout: 30_000 }, async () => {
    const room = await stack.room([alice, bob]);
    const draft = { content: 'anywhere', clientMessageId: randomUUID() };
    const answers = [];
    for (const kind of DOORS) {
        const door = await alice.door(kind);
        answers.push(await door.send(room, draft));
        await door.close();
    }
    assert(answers.every((a) => a.status === 'stored' && a.id === answers[0].id && a.seq === 1), JSON.stringify(answers));
    assert.equal((await stack.stored(room)).length, 1);
});

test('a poison message costs only itself', { timeout: 30_000 }, async () => {
    const room = await stack.room([alice, bob]);
    const watcher = await bob.mqtt({ room });
    const sender = await alice.mqtt();
    const long = 'x'.repeat(17 * 1024);
    const poison = [
        '{"clientMessageId":"p1","content":"a\\u0000b"}',
        Buffer.from([...Buffer.from('{"clientMessageId":"p2","content":"'), 0xc3, 0x28, ...Buffer.from('"}')]),
        '{"clientMessageId":"p3","content":"a","content":"b"}',
        '{"clientMessageId":"p4","content":"a"} trailing',
        '{"clientMessageId":"p5","content":"\\ud800"}',
        '{"clientMessageId":"p6"',
        '',
        '[]',
        `${'['.repeat(40)}${']'.repeat(40)}`,
        '{"clientMessageId":"p7","content":42}',
        '{"clientMessageId":"p8","content":"a","mentions":"all"}',
        '{"clientMessageId":"p9","content":"a","replyToId":"not-a-uuid"}',
        `{"clientMessageId":"p10","content":"${long}"}`,
        '{"clientMessageId":"p11","content":"a","type":"system"}',
        '{"clientMessageId":"p12","content":"a","replyToId":"018f0000-0000-7000-8000-000000000000"}',
    ];
    // One batch: good and bad are under way together.
    const sends = [];
    const good = [];
    for (const [i, payload] of poison.entries()) {
        sends.push(sender.publish(room, payload));
        good.push(sender.send(room, { content: `good ${i}` }));
    }
    await Promise.all(sends);
    const answers = await Promise.all(good);
    assert.deepEqual(answers.map((a) => a.seq), poison.map((_, i) => i + 1));
    const rejected = await sender.acks.find(() => sender.acks.items.filter((a) => a.status === 'rejected').length >= poison.length)
        .then(() => sender.acks.items.filter((a) => a.status === 'rejected'));
    assert.equal(rejected.length, poison.length);
    for (const id of ['p7', 'p8', 'p9', 'p10', 'p11', 'p12']) {
        const ack = rejected.find((a) => a.clientMessageId === id);
        assert(ack, `the refusal names ${id}`);
        assert(typeof ack.code === 'string' && typeof ack.message === 'string');
    }
    assert.equal(rejected.find((a) => a.clientMessageId === 'p10').code, 'content_too_large');
    await watcher.seen.count(poison.length);
    assert.deepEqual(watcher.seen.items.map((m) => m.content), poison.map((_, i) => `good ${i}`));
    // The same by REST and Socket.IO.
    for (const body of ['{"content":"a\\u0000b"}', '{"content":"a","content":"b"}', '{"content":1}', '{']) {
        const { status, body: error } = await alice.rest('POST', `/chat/rooms/${room}/messages`, body);
        assert.equal(status, 400, `${body}: ${JSON.stringify(error)}`);
    }
    const socket = await alice.socket();
    const answer = await socket.send(room, { content: 'a\u0000b' });
    assert.equal(answer.status, 'rejected');
    const after = await socket.send(room, { content: 'still here' });
    assert.equal(after.seq, poison.length + 1);
    for (const door of [socket, watcher, sender]) await door.close();
});

test('a message is committed before anybody sees it', { timeout: 30_000 }, async () => {
    const room = await stack.room([alice, bob]);
    // As many connections as looks under way; a delivery that finds none idle is not in the sample.
    const observers = await Promise.all(Array.from({ length: 8 }, () => stack.postgres.connect()));
    const idle = [...observers];
    const found = [];
    const check = (message) => {
        const observer = idle.pop();
        if (!observer) return;
        const look = observer.query('SELECT seq FROM chat_messages WHERE id = $1', [message.id]);
        found.push(look.finally(() => idle.push(observer)));
    };
    const byMqtt = await bob.mqtt({ room });
    byMqtt.client.on('message', (topic, payload) => topic.endsWith('/messages') && check(JSON.parse(payload)));
    const bySocket = await bob.socket({ room });
    bySocket.socket.on('new_message', ({ message }) => check(message));
    const sender = await alice.mqtt();
    for (let i = 0; i < 20; i++) {
        const answers = await Promise.all([1, 2, 3].map((k) => sender.send(room, { content: `${i} ${k}` })));
        for (const answer of answers) check(answer);
    }
    await byMqtt.seen.count(60);
    await bySocket.seen.count(60);
    const rows = await Promise.all(found);
    assert(rows.length >= 60, `a sample of ${rows.length}`);
    assert(rows.every(({ rowCount }) => rowCount === 1));
    for (const observer of observers) await observer.end();
    for (const door of [byMqtt, bySocket, sender]) await door.close();
});

test('one device of a user sees what another one sends, by every door', { timeout: 30_000 }, async () => {
    const room = await stack.room([alice, bob]);
    const devices = [await alice.mqtt({ room }), await alice.socket({ room })];
    const sender = await alice.door('rest');
    const answer = await sender.send(room, { content: 'mine' });
    for (const device of devices) {
        await device.seen.find((m) => m.id === answer.id);
        await device.close();
    }
});
