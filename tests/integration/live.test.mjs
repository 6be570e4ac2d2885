// What lives in rooms beside new messages: typing, presence, receipts and changes, and REST over MQTT; at every door
// and over crashes.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import test, { after, before } from 'node:test';
import { connectMqtt } from './lib/clients.mjs';
import { Stack } from './lib/stack.mjs';
import { pause, until } from './lib/events.mjs';

const GRACE_MS = 1500;
let stack, alice, bob;
const room = (id) => `chat/v1/rooms/${id}`;

before(async () => {
    stack = await Stack.start({ parlor: { presence_grace_ms: GRACE_MS, presence_room_max: 3, limits: 'on', connects_per_s: 1000000 } });
    [alice, bob] = ['alice', 'bob'].map((id) => stack.user(id));
});
after(() => stack.stop());

const typings = (door) => door.other.items.filter((m) => m.topic?.includes('/typing/') || m.event === 'user_typing');
const eventOf = (name, userId) => (m) => m.event === name && m.args[0].userId === userId;

// ---- Typing.

test('typing by MQTT reaches members on MQTT and open rooms on sockets, and ends by itself', { timeout: 30_000 }, async () => {
    const id = await stack.room([alice, bob]);
    const open = await bob.socket({ room: id });
    const closed = await bob.socket();
    const own = await alice.socket({ room: id });
    const member = await bob.mqtt({ subscribe: [`${room(id)}/typing/+`] });
    const typist = await alice.mqtt();
    const began = Date.now();
    await typist.client.publishAsync(`${room(id)}/typing/alice`, '{"isTyping":true}');
    const seen = await open.other.find((m) => m.event === 'user_typing');
    assert.deepEqual(seen.args[0], { chatRoomId: id, userId: 'alice', isTyping: true });
    assert.equal((await member.other.find((m) => m.topic === `${room(id)}/typing/alice`)).text, '{"isTyping":true}');
    const end = await open.other.find((m) => m.event === 'user_typing' && !m.args[0].isTyping);
    assert.deepEqual(end.args[0], { chatRoomId: id, userId: 'alice', isTyping: false });
    assert(Date.now() - began >= 5_900, 'after six seconds');
    await member.other.find((m) => m.text === '{"isTyping":false}');
    assert.deepEqual([typings(closed).length, typings(own).length], [0, 0], 'neither closed rooms nor the typist');
    for (const door of [open, closed, own, member, typist]) await door.close();
});

test('typing by a socket reaches both doors, once a second', { timeout: 30_000 }, async () => {
    const id = await stack.room([alice, bob]);
    const member = await bob.mqtt({ subscribe: [`${room(id)}/typing/+`] });
    const open = await bob.socket({ room: id });
    const typist = await alice.socket({ room: id });
    for (let i = 0; i < 10; i++) assert.deepEqual(await typist.emit('typing_start', { chatRoomId: id }), { status: 'ok' });
    assert.deepEqual(await typist.emit('typing_stop', { chatRoomId: id }), { status: 'ok' });
    await open.other.find((m) => m.event === 'user_typing' && !m.args[0].isTyping);
    await member.other.find((m) => m.text === '{"isTyping":false}');
    assert.deepEqual(typings(open).map((m) => m.args[0].isTyping), [true, false]);
    assert.deepEqual(typings(member).map((m) => m.text), ['{"isTyping":true}', '{"isTyping":false}']);
    for (const door of [member, open, typist]) await door.close();
});

test('no typing in large rooms, by strangers, or without sense', { timeout: 30_000 }, async () => {
    const large = await stack.room(['alice', 'bob', 'carol', 'dave'].map((id) => stack.user(id)));
    const small = await stack.room([alice, bob]);
    const member = await bob.mqtt({ subscribe: [`${room(large)}/typing/+`, `${room(small)}/typing/+`] });
    const open = await bob.socket({ room: large });
    const typist = await alice.mqtt();
    const socket = await alice.socket({ room: large });
    assert.equal((await socket.emit('typing_start', { chatRoomId: large })).status, 'ok');
    await typist.client.publishAsync(`${room(large)}/typing/alice`, '{"isTyping":true}', { qos: 1 });
    for (const payload of ['', 'true', '{}', '{"isTyping":1}', '\xff', '{"isTyping":true} x', '{"isTyping":true,x}'])
        await typist.client.publishAsync(`${room(small)}/typing/alice`, payload, { qos: 1 });
    const stranger = await stack.user('mallory').socket();
    assert.equal((await stranger.emit('typing_start', { chatRoomId: small })).code, 'room_not_found');
    await typist.client.publishAsync(`${room(small)}/typing/alice`, '{"isTyping":true}', { qos: 1 });
    await member.other.find((m) => m.topic.startsWith(room(small)));
    assert.equal(typings(member).length, 1);
    assert.equal(typings(open).length, 0);
    for (const door of [member, open, typist, socket, stranger]) await door.close();
});

// The typist is gone before it said that it types no more: the members hear the end from the plugin at the removal.
test('typing ends when the typist is removed or leaves, and the typist hears nothing of it', { timeout: 60_000 }, async () => {
    const carol = stack.user('carol');
    for (const [by, remover] of [['mqtt', alice], ['mqtt', carol], ['socket', alice], ['socket', carol]]) {
        const what = `typing by ${by}, removed by ${remover.id}`;
        const id = await stack.room([alice, bob, carol]);
        const subscribe = [`${room(id)}/#`];
        const member = await bob.mqtt({ subscribe });
        const open = await bob.socket({ room: id });
        const typist = await carol.mqtt({ subscribe: [...subscribe, 'chat/v1/users/carol/events'] });
        const socket = await carol.socket({ room: id });
        if (by === 'mqtt') await typist.client.publishAsync(`${room(id)}/typing/carol`, '{"isTyping":true}', { qos: 1 });
        else assert.deepEqual(await socket.emit('typing_start', { chatRoomId: id }), { status: 'ok' });
        await open.other.find((m) => m.event === 'user_typing');
        assert.equal((await remover.rest('PATCH', `/chat/rooms/${id}/participants/carol/remove`)).status, 200);
        await open.other.find((m) => m.event === 'participant_removed');
        await member.other.find((m) => m.text.includes('participant_removed'));
        // The event to the one removed comes behind all that the removal ended.
        await typist.other.find((m) => m.text.includes('room_removed'));
        await socket.other.find((m) => m.event === 'participant_removed' || m.event === 'room_removed');
        assert.deepEqual(typings(open).map((m) => m.args[0]), [true, false].map((isTyping) => ({ chatRoomId: id, userId: 'carol', isTyping })), what);
        assert.deepEqual(typings(member).map((m) => m.text), ['{"isTyping":true}', '{"isTyping":false}'], what);
        assert.deepEqual(typings(typist).map((m) => m.text), ['{"isTyping":true}'], what);
        assert.deepEqual(typings(socket), [], what);
        for (const door of [member, open, typist, socket]) await door.close();
    }
});

// At QoS 2 the broker passes a message on when the client releases it, which may be long after it was allowed.
test('typing at QoS 2 is told at once, and not by its release after a removal', { timeout: 30_000 }, async () => {
    const carol = stack.user('carol');
    const id = await stack.room([alice, bob, carol]);
    const member = await bob.mqtt({ subscribe: [`${room(id)}/typing/+`] });
    const other = await alice.mqtt();
    const typist = await carol.mqtt();
    const send = typist.client._sendPacket.bind(typist.client);
    const released = new Promise((resolve) => {
        typist.client._sendPacket = (packet, ...rest) => (packet.cmd === 'pubrel' ? resolve([packet, ...rest]) : send(packet, ...rest));
    });
    const published = typist.client.publishAsync(`${room(id)}/typing/carol`, '{"isTyping":true}', { qos: 2 });
    const release = await released;
    await member.other.find((m) => m.text === '{"isTyping":true}', 3000);
    assert.equal((await alice.rest('PATCH', `/chat/rooms/${id}/participants/carol/remove`)).status, 200);
    await member.other.find((m) => m.text === '{"isTyping":false}');
    send(...release);
    await published;
    await other.client.publishAsync(`${room(id)}/typing/alice`, '{"isTyping":true}', { qos: 2 });
    await member.other.find((m) => m.topic.endsWith('/alice'));
    assert.deepEqual(typings(member).map((m) => m.text), [true, false, true].map((isTyping) => JSON.stringify({ isTyping })));
    for (const door of [member, other, typist]) await door.close();
});

test('who was away and finds that somebody began to type finds the end too', { timeout: 30_000 }, async () => {
    const id = await stack.room([alice, bob]);
    const session = { clientId: 'bob:away', clean: false };
    const before = await bob.mqtt({ ...session, subscribe: [`${room(id)}/typing/+`] });
    await before.close();
    const present = await bob.mqtt({ subscribe: [`${room(id)}/typing/+`] });
    const typist = await alice.mqtt();
    await typist.client.publishAsync(`${room(id)}/typing/alice`, '{"isTyping":true}', { qos: 1 });
    await present.other.find((m) => m.text === '{"isTyping":false}');
    const back = await bob.mqtt(session);
    await back.other.find((m) => m.text === '{"isTyping":true}');
    await typist.client.publishAsync(`${room(id)}/typing/alice`, '{"isTyping":true}', { qos: 1 }); // behind what was queued
    await back.other.count(3);
    assert.deepEqual(typings(back).map((m) => JSON.parse(m.text).isTyping), [true, false, true]);
    for (const door of [present, typist, back]) await door.close();
});

test('typing carries nothing but its payload, which is small', { timeout: 30_000 }, async () => {
    const id = await stack.room([alice, bob]);
    const member = await bob.mqtt({ protocolVersion: 5, subscribe: [`${room(id)}/typing/+`] });
    const packets = [];
    member.client.on('message', (topic, payload, { properties }) => packets.push(properties ?? {}));
    const typist = await alice.mqtt({ protocolVersion: 5 });
    const properties = {
        userProperties: { note: Array.from({ length: 60 }, () => 'n'.repeat(1000)) },
        contentType: 'text/plain',
        responseTopic: 'chat/v1/elsewhere',
        correlationData: Buffer.alloc(1000, 1),
        payloadFormatIndicator: true,
        messageExpiryInterval: 60,
    };
    const say = (payload, word = 'typing') => typist.client.publishAsync(`${room(id)}/${word}/alice`, payload, { qos: 1, properties });
    const pad = (size) => `${'{"isTyping":true'.padEnd(size - 1)}}`;
    await say(pad(1024));
    await say('{"isTyping":false}');
    await member.other.count(2);
    assert.deepEqual(typings(member).map((m) => m.text.length), [1024, 18]);
    const names = packets.map((p) => Object.keys(p));
    assert.deepEqual(names, [['messageExpiryInterval'], []], JSON.stringify(packets).slice(0, 300));
    await assert.rejects(say(pad(1025)));
    for (const word of ['read', 'delivered']) await say(pad(1025), word);
    await typist.acks.count(3);
    assert.deepEqual(typist.acks.items.map((a) => [a.status, a.code]), Array(3).fill(['rejected', 'payload_too_large']));
    assert.deepEqual(typist.acks.items.map((a) => a.message).sort(), ['a mark has at most 1024 bytes', 'a mark has at most 1024 bytes', 'typing has at most 1024 bytes']);
    for (const door of [member, typist]) await door.close();
});

// ---- Presence.

const presence = (user) => `chat/v1/users/${user}/presence`;
const statuses = (door, user) => door.other.items.filter((m) => m.topic === presence(user)).map((m) => JSON.parse(m.text));
const row = async (user) => (await stack.sql.query('select online, last_seen_at from chat_presence where user_id = $1', [user])).rows[0];
let people = 0;
// Two users of their own, in two rooms together.
async function pair() {
    const [a, b] = [`ann${++people}`, `ben${people}`].map((id) => stack.user(id));
    await stack.room([a, b]);
    await stack.room([a, b]);
    return [a, b];
}

test('online at the first connection, offline after the last one and the grace, once each', { timeout: 30_000 }, async () => {
    const [ann, ben] = await pair();
    const watcher = await ben.socket();
    const device = await ben.mqtt({ subscribe: [presence(ann.id)] });
    const first = await ann.mqtt();
    await watcher.other.find(eventOf('user_online', ann.id));
    const second = await ann.socket();
    await first.close();
    await until('the row says online', async () => (await row(ann.id))?.online);
    await pause(GRACE_MS + 300); // one connection is left: nothing happens
    assert(!watcher.other.items.some(eventOf('user_offline', ann.id)));
    const left = Date.now();
    await second.close();
    const off = await watcher.other.find(eventOf('user_offline', ann.id));
    assert(Date.now() - left >= GRACE_MS - 100, 'not before the grace is over');
    assert(Math.abs(Date.parse(off.args[0].lastSeenAt) - left) < 1000, 'last seen when the connection went');
    await device.other.find((m) => m.topic === presence(ann.id) && m.text.includes('offline'));
    assert.deepEqual(statuses(device, ann.id).map((s) => s.status), ['online', 'offline']);
    assert.deepEqual(Object.keys(statuses(device, ann.id)[0]), ['userId', 'status', 'lastSeenAt']);
    assert.deepEqual(watcher.other.items.filter((m) => m.args[0].userId === ann.id).map((m) => m.event), ['user_online', 'user_offline']);
    await until('the row says offline', async () => (await row(ann.id)).online === false);
    for (const door of [watcher, device]) await door.close();
});

test('a reconnect within the grace is no change; the newest status is retained', { timeout: 30_000 }, async () => {
    const [ann, ben] = await pair();
    const watcher = await ben.socket();
    const first = await ann.socket();
    await watcher.other.find(eventOf('user_online', ann.id));
    await first.close();
    const again = await ann.mqtt();
    await pause(GRACE_MS + 500);
    assert.deepEqual(watcher.other.items.filter((m) => m.args[0].userId === ann.id).map((m) => m.event), ['user_online']);
    const late = await ben.mqtt({ subscribe: [presence(ann.id)] });
    const status = JSON.parse((await late.other.find((m) => m.topic === presence(ann.id))).text);
    assert.deepEqual([status.userId, status.status], [ann.id, 'online']);
    const stranger = await stack.user('mallory').mqtt();
    await assert.rejects(stranger.client.subscribeAsync(presence(ann.id), { qos: 1 }));
    for (const door of [watcher, again, late, stranger]) await door.close();
});

test('a socket of /calls alone is a connection too', { timeout: 30_000 }, async () => {
    const [ann, ben] = await pair();
    const watcher = await ben.socket();
    const calls = await ann.socket({ namespace: '/calls' });
    await watcher.other.find(eventOf('user_online', ann.id));
    const chat = await ann.socket();
    const second = await ann.socket({ namespace: '/calls' });
    await calls.close();
    await chat.close();
    await pause(GRACE_MS + 300); // one connection is left: nothing happens
    assert(!watcher.other.items.some(eventOf('user_offline', ann.id)));
    await second.close();
    await watcher.other.find(eventOf('user_offline', ann.id));
    await watcher.close();
});

test('presence is for those who share a room that is not too large', { timeout: 30_000 }, async () => {
    const [ann, ben, ...more] = ['ann', 'ben', 'cid', 'dan'].map((id) => stack.user(`large-${id}`));
    const large = await stack.room([ann, ben, ...more]);
    const watcher = await ben.socket();
    const device = await ben.mqtt();
    const present = await ann.mqtt();
    await until('the row says online', async () => (await row(ann.id))?.online);
    await assert.rejects(device.client.subscribeAsync(presence(ann.id), { qos: 1 }));
    // A fourth one goes: the three see each other. The status is there for whoever subscribes.
    assert.equal((await ann.rest('PATCH', `/chat/rooms/${large}/participants/${more[1].id}/remove`)).status, 200);
    await device.client.subscribeAsync(presence(ann.id), { qos: 1 });
    await device.other.find((m) => m.topic === presence(ann.id));
    assert.deepEqual(statuses(device, ann.id).map((s) => s.status), ['online']);
    // With a fourth again, the subscription that is there hears nothing more, nor do sockets.
    assert((await ann.rest('POST', `/chat/rooms/${large}/participants`, { userId: more[1].id })).status < 300);
    await present.close();
    await until('the row says offline', async () => (await row(ann.id)).online === false);
    await assert.rejects(device.client.subscribeAsync(presence(ann.id), { qos: 1 }));
    assert.deepEqual(statuses(device, ann.id).map((s) => s.status), ['online']);
    assert(!watcher.other.items.some((m) => m.args?.[0].userId === ann.id && m.event !== 'room_added' && m.event.startsWith('user_')));
    for (const door of [watcher, device]) await door.close();
});

test('a status is retained of those alone whom somebody may see', { timeout: 30_000 }, async () => {
    const [ann, ben, old] = ['ann', 'ben', 'old'].map((id) => stack.user(`lone-${id}`));
    const retained = async () => {
        const operator = await connectMqtt(stack, { username: 'jwt', password: stack.ctl('token', 'ops', '--role', 'operator').trim() });
        const seen = new Map();
        operator.on('message', (topic, payload, { retain }) => retain && seen.set(topic, JSON.parse(payload).status));
        await operator.subscribeAsync('chat/v1/users/+/presence', { qos: 1 });
        await operator.subscribeAsync('chat/v1/users/+/presence', { qos: 1 }); // behind what the first one brought
        await operator.endAsync();
        return [ann, ben, old].map(({ id }) => seen.get(presence(id)) ?? null);
    };
    const alone = await stack.room([old]);
    const doors = [await ann.mqtt({ subscribe: [presence(ann.id)] }), await ben.mqtt(), await old.mqtt()];
    await until('the rows say online', async () => (await row(old.id))?.online && (await row(ann.id))?.online);
    assert.deepEqual(await retained(), [null, null, null]);
    // Both sides of a new room, and one who waited in it, are seen from then on; each once.
    await stack.room([ann, ben]);
    assert((await old.rest('POST', `/chat/rooms/${alone}/participants`, { userId: ann.id })).status < 300);
    assert.deepEqual(await retained(), ['online', 'online', 'online']);
    await doors[0].other.find((m) => m.topic === presence(ann.id));
    assert.equal(statuses(doors[0], ann.id).length, 1);
    // Whoever goes offline in company stays retained as that; whoever goes alone leaves nothing.
    assert((await old.rest('PATCH', `/chat/rooms/${alone}/participants/${ann.id}/remove`)).status < 300);
    await doors[1].close();
    await doors[2].close();
    await until('the rows say offline', async () => !(await row(old.id)).online && !(await row(ben.id)).online);
    assert.deepEqual(await retained(), ['online', 'offline', null]);
    await doors[0].close();
});

test('who went offline while nobody shared a room is offline to those who share one again', { timeout: 30_000 }, async () => {
    const [ann, ben] = ['ann', 'ben'].map((id) => stack.user(`again-${id}`));
    const room = await stack.room([ann, ben, stack.user('again-cid')]);
    const watcher = await ann.mqtt({ subscribe: [presence(ben.id)] });
    const told = () => statuses(watcher, ben.id).map(({ status }) => status).join();
    const door = await ben.mqtt();
    await until('ben is online', () => told() === 'online');
    assert((await ann.rest('PATCH', `/chat/rooms/${room}/participants/${ben.id}/remove`)).status < 300);
    await door.close();
    await until('the row says offline', async () => (await row(ben.id))?.online === false);
    assert.equal(told(), 'online');
    assert((await ann.rest('POST', `/chat/rooms/${room}/participants`, { userId: ben.id })).status < 300);
    await until('ann is told', () => told() === 'online,offline');
    await watcher.close();
});

test('participants are online in REST', { timeout: 30_000 }, async () => {
    const [ann, ben] = await pair();
    const { body: list } = await ben.rest('GET', '/chat/rooms');
    const door = await ann.mqtt();
    const online = async () => {
        const { body } = await ben.rest('GET', `/chat/rooms/${list.data[0].id}`);
        return body.participants.filter((p) => p.online).map((p) => p.userId);
    };
    await until('ann is online', async () => (await online()).join() === ann.id);
    await door.close();
    await until('nobody is', async () => (await online()).length === 0);
});

test('parlord killed: its users go offline unless they come back', { timeout: 60_000 }, async () => {
    const [ann, ben] = await pair();
    const device = await ben.mqtt({ subscribe: [presence(ann.id)] });
    const back = await ben.socket();
    const gone = await ann.socket({ reconnection: false });
    await device.other.find((m) => m.topic === presence(ann.id) && m.text.includes('online"'));
    await stack.killParlord();
    await device.other.find((m) => m.topic === presence(ann.id) && m.text.includes('offline'));
    await stack.startParlord();
    await until('ben is back', () => back.socket.connected);
    await until('the row says offline', async () => (await row(ann.id)).online === false);
    await until('ben is online', async () => (await row(ben.id)).online);
    for (const door of [device, back, gone]) await door.close();
});

test('broker killed: sockets stay online, what did not come back is offline', { timeout: 60_000 }, async () => {
    const [ann, ben] = await pair();
    const watcher = await ben.socket();
    const device = await ann.mqtt();
    await watcher.other.find(eventOf('user_online', ann.id));
    await until('both rows', async () => (await row(ann.id))?.online && (await row(ben.id))?.online);
    await stack.killBroker();
    await stack.startBroker();
    const off = await watcher.other.find(eventOf('user_offline', ann.id), 20_000);
    assert(Date.parse(off.args[0].lastSeenAt) > Date.now() - 20_000);
    await until('the rows are right', async () => (await row(ann.id)).online === false && (await row(ben.id)).online);
    const late = await ben.mqtt({ subscribe: [presence(ben.id), presence(ann.id)] });
    await late.other.find((m) => m.topic === presence(ben.id) && m.text.includes('"online"'));
    assert(!statuses(late, ann.id).some((s) => s.status === 'online'));
    await device.close();
    for (const door of [watcher, late]) await door.close();
});

// ---- What else happens in rooms, as events of sockets.

test('message_read: by every door, with the message, once', { timeout: 30_000 }, async () => {
    const id = await stack.room([alice, bob]);
    const watcher = await alice.socket();
    const reader = await bob.socket();
    const device = await bob.mqtt();
    const sent = [];
    for (const content of ['one', 'two', 'three']) sent.push(await watcher.send(id, { content }));
    assert.deepEqual(await reader.emit('mark_as_read', { chatRoomId: id, messageId: sent[0].id }), { status: 'ok', readSeq: 1 });
    await device.client.publishAsync(`${room(id)}/read/bob`, '{"seq":2}', { qos: 1 });
    await watcher.other.find((m) => m.event === 'message_read' && m.args[0].seq === 2);
    assert.deepEqual(await reader.emit('mark_as_read', { chatRoomId: id, seq: 1 }), { status: 'ok', readSeq: 2 });
    assert.equal((await reader.emit('mark_as_read', { chatRoomId: id, messageId: randomUUID() })).code, 'message_not_found');
    assert.deepEqual(await reader.emit('mark_as_read', { chatRoomId: id, seq: 99 }), { status: 'ok', readSeq: 3 });
    await watcher.other.find((m) => m.event === 'message_read' && m.args[0].seq === 3);
    const events = watcher.other.items.filter((m) => m.event === 'message_read' && m.args[0].userId === 'bob').map((m) => m.args[0]);
    assert.deepEqual(events.map(({ messageId, seq }) => [messageId, seq]), sent.map((m) => [m.id, m.seq]));
    for (const event of events) {
        assert.deepEqual(Object.keys(event), ['chatRoomId', 'userId', 'messageId', 'seq', 'readAt']);
        assert(Math.abs(Date.parse(event.readAt) - Date.now()) < 20_000);
    }
    for (const door of [watcher, reader, device]) await door.close();
});

test('edits, deletions and participants reach sockets; the removed one hears of it once', { timeout: 30_000 }, async () => {
    const id = await stack.room([alice, bob]);
    const watcher = await alice.socket();
    const other = await bob.socket();
    const { id: message } = await other.send(id, { content: 'tpyo' });
    assert.equal((await bob.rest('PATCH', `/chat/messages/${message}`, { content: 'typo' })).status, 200);
    const updated = await watcher.other.find((m) => m.event === 'message_updated');
    assert.equal(updated.args[0].chatRoomId, id);
    assert.equal(updated.args[0].message.content, 'typo');
    assert((await bob.rest('DELETE', `/chat/messages/${message}`)).status < 300);
    const deleted = await watcher.other.find((m) => m.event === 'message_deleted');
    assert.deepEqual([deleted.args[0].messageId, deleted.args[0].seq, deleted.args[0].message.content], [message, 1, null]);
    const carol = await stack.user('carol').socket();
    assert((await alice.rest('POST', `/chat/rooms/${id}/participants`, { userId: 'carol' })).status < 300);
    const added = await watcher.other.find((m) => m.event === 'participant_added');
    assert.deepEqual([added.args[0].chatRoomId, added.args[0].participant.userId], [id, 'carol']);
    await carol.other.find((m) => m.event === 'room_added');
    assert((await alice.rest('PATCH', `/chat/rooms/${id}/participants/bob/remove`)).status < 300);
    for (const door of [watcher, carol, other])
        await door.other.find((m) => m.event === 'participant_removed' && m.args[0].userId === 'bob' && m.args[0].chatRoomId === id);
    const { seq } = await watcher.send(id, { content: 'without bob' });
    await carol.seen.find((m) => m.seq === seq);
    for (const door of [watcher, carol, other])
        assert.equal(door.other.items.filter((m) => m.event === 'participant_removed').length, 1);
    assert(!other.seen.items.some((m) => m.content === 'without bob'));
    for (const door of [watcher, other, carol]) await door.close();
});

// ---- REST over MQTT.

async function call(door, request) {
    const id = randomUUID();
    const { user } = door;
    const payload = typeof request === 'string' ? request : JSON.stringify(request);
    await door.client.publishAsync(`chat/v1/users/${user.id}/api/${id}/${user.id}`, payload, { qos: 1 });
    const reply = await door.other.find((m) => m.topic === `chat/v1/users/${user.id}/replies/${id}`);
    return JSON.parse(reply.text);
}

test('the api topic gives the answers of REST', { timeout: 30_000 }, async () => {
    const door = await alice.mqtt({ subscribe: ['chat/v1/users/alice/replies/+'] });
    const made = await call(door, { method: 'POST', path: '/chat/rooms', body: { type: 'group', name: 'by MQTT', participantIds: ['bob'] }, idempotencyKey: 'k-1' });
    assert.equal(made.status, 201);
    const id = made.body.id;
    const same = await call(door, { method: 'POST', path: '/chat/rooms', body: { type: 'group', name: 'by MQTT', participantIds: ['bob'] }, idempotencyKey: 'k-1' });
    assert.equal(same.body.id, id);
    const sent = await call(door, { method: 'POST', path: `/api/v1/chat/rooms/${id}/messages`, body: { content: 'grüße' } });
    assert.equal(sent.status, 201);
    for (const [path, query, text] of [
        [`/chat/rooms/${id}`, undefined, ''],
        [`/chat/rooms/${id}/messages`, { limit: 1, after: 0 }, '?limit=1&after=0'],
        [`/chat/rooms/${id}/messages`, 'limit=1', '?limit=1'],
        [`/chat/rooms/${id}/messages`, { limit: 1000 }, '?limit=1000'],
        [`/chat/rooms/${randomUUID()}`, undefined, ''],
        ['/chat/nothing', undefined, ''],
    ]) {
        const reply = await call(door, { method: 'GET', path, query });
        const rest = await alice.rest('GET', `${path}${text}`);
        for (const body of [reply.body, rest.body]) delete body.requestId;
        assert.deepEqual(reply, { status: rest.status, body: rest.body }, path);
    }
    for (const wrong of ['', 'no JSON', '[]', '{}', { method: 'get', path: '/x' }, { method: 'GET', path: 'x' }, { method: 'GET', path: '/x', query: [] }]) {
        const reply = await call(door, wrong);
        assert.equal(reply.status, 400, JSON.stringify(wrong));
        assert.equal(reply.body.statusCode, 400);
    }
    assert.equal((await call(door, `{"method":"GET","path":"/${'x'.repeat(70_000)}"}`)).status, 413);
    await door.close();
});

test('nobody asks for another, and nobody answers but the system', { timeout: 30_000 }, async () => {
    const door = await bob.mqtt({ subscribe: ['chat/v1/users/bob/replies/+'] });
    const request = JSON.stringify({ method: 'GET', path: '/chat/rooms' });
    for (const topic of ['users/alice/api/r1/bob', 'users/alice/api/r1/alice', 'users/bob/api/r1/alice', 'users/bob/replies/r1'])
        await door.client.publishAsync(`chat/v1/${topic}`, request, { qos: 1 });
    await until('each is refused', () => door.acks.items.filter((a) => a.status === 'rejected').length === 4);
    assert.equal(door.other.items.length, 0);
    await door.close();
});

test('without a parlord the plugin answers 503', { timeout: 60_000 }, async () => {
    const door = await alice.mqtt({ subscribe: ['chat/v1/users/alice/replies/+'] });
    await stack.killParlord();
    await until('503', async () => (await call(door, { method: 'GET', path: '/chat/rooms' }).catch(() => ({}))).status === 503);
    await stack.startParlord();
    assert.equal((await call(door, { method: 'GET', path: '/chat/rooms' })).status, 200);
    await door.close();
});
