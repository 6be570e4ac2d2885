// historyFrom "join": who joins a group hears of nothing that is older than its joining, on no door: not by edits and
// deletions, not by what rooms, replies, marks, search and sync tell, not after a restart, not in a session that
// was left and taken up again.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { Stack } from './lib/stack.mjs';

let stack, owner, witness;

before(async () => {
    stack = await Stack.start();
    [owner, witness] = ['owner', 'witness'].map((id) => stack.user(id));
});
after(() => stack.stop());

const OLD = 'secret';
let count = 0;

async function ok(answer) {
    const { status, body } = await answer;
    assert(status < 300, JSON.stringify(body));
    return body;
}

const say = (user, room, content, more) => ok(user.rest('POST', `/chat/rooms/${room}/messages`, { content, ...more }));
const edit = (user, message, content) => ok(user.rest('PATCH', `/chat/messages/${message.id}`, { content }));
const add = (room, user) => ok(owner.rest('POST', `/chat/rooms/${room}/participants`, { userId: user.id }));
const remove = (room, user) => ok(owner.rest('PATCH', `/chat/rooms/${room}/participants/${user.id}/remove`));

// A group with two messages that a new user may not see.
async function make(historyFrom = 'join') {
    const room = await stack.room([owner, witness]);
    await ok(owner.rest('PATCH', `/chat/rooms/${room}`, { historyFrom }));
    const old = [await say(owner, room, `${OLD} one`), await say(owner, room, `${OLD} two`)];
    const late = stack.user(`late${++count}`);
    await add(room, late);
    return { room, old, late };
}

const open = async (user, room) => ({
    mqtt: await user.mqtt({ room }),
    five: await user.mqtt({ subscribe: [`chat/v1/rooms/${room}/#`], protocolVersion: 5 }),
    inbox: await user.mqtt({ subscribe: [`chat/v1/users/${user.id}/#`] }),
    socket: await user.socket({ room }),
    polling: await user.socket({ transports: ['polling'] }),
});
const close = async (doors) => {
    for (const door of Object.values(doors)) await door.close();
};
const heard = (door) => JSON.stringify([door.seen.items, door.other.items]);

// Reads an old message, changes both, then a new one, whose edit comes last on every door.
let fences = 0;
async function stir(room, old) {
    const fence = `fence ${++fences}`;
    const fresh = await say(owner, room, 'new');
    await ok(witness.rest('PATCH', `/chat/rooms/${room}/read`, { seq: old[0].seq }));
    await edit(owner, old[0], `${OLD} edited ${fences}`);
    if (old.length > 1) await ok(owner.rest('DELETE', `/chat/messages/${old.pop().id}`));
    await edit(owner, fresh, fence);
    return fence;
}
const fenced = async (doors, fence) => {
    for (const door of Object.values(doors))
        await (door.client && door !== doors.inbox
            ? door.seen.find((m) => m.content === fence)
            : door.other.find((m) => JSON.stringify(m).includes(fence)));
};
function assertUntold(doors, old, deleted) {
    for (const [name, door] of Object.entries(doors)) {
        const text = heard(door);
        assert(!text.includes(OLD), `${name} was told: ${text}`);
        for (const { id } of [...old, deleted]) assert(!text.includes(id), `${name} was told of ${id}: ${text}`);
    }
}

test('edits and deletions of what is older reach those who saw it, and nobody who came later', { timeout: 60_000 }, async () => {
    const { room, old, late } = await make();
    const [, deleted] = old;
    const doors = await open(late, room);
    const others = await open(witness, room);
    let fence = await stir(room, old);
    await fenced(doors, fence);
    await fenced(others, fence);
    assertUntold(doors, old, deleted);
    for (const [name, door] of Object.entries(others))
        for (const { id } of [...old, deleted]) assert(heard(door).includes(id), `${name} of a member since the start`);

    // A change of role is no new joining; a broker and a parlord that start know it from the table.
    await ok(owner.rest('PATCH', `/chat/rooms/${room}/participants/${late.id}`, { role: 'admin' }));
    fence = await stir(room, old);
    await fenced(doors, fence);
    assertUntold(doors, old, deleted);
    await close(doors);
    await close(others);
    await stack.killBroker();
    await stack.killParlord();
    await stack.startBroker();
    await stack.startParlord();
    const again = await open(late, room);
    fence = await stir(room, old);
    await fenced(again, fence);
    assertUntold(again, old, deleted);
    await close(again);
});

test('who comes again sees as far as it may now', { timeout: 60_000 }, async () => {
    const { room, old, late } = await make();
    const own = await say(late, room, `${OLD} of late`);
    const doors = await open(late, room);
    await remove(room, late);
    await add(room, late);
    const joined = { ...doors, socket: await late.socket({ room }) };
    await doors.socket.close();
    assert.equal((await late.rest('PATCH', `/chat/messages/${own.id}`, { content: 'mine' })).status, 404);
    assert.equal((await late.rest('DELETE', `/chat/messages/${own.id}`)).status, 404);
    let fence = await stir(room, [old[0]]);
    await fenced(joined, fence);
    for (const [name, door] of Object.entries(joined)) assert(!heard(door).includes(old[0].id), name);
    await remove(room, late);
    await ok(owner.rest('PATCH', `/chat/rooms/${room}`, { historyFrom: 'start' }));
    await add(room, late);
    fence = await stir(room, [old[0]]);
    await fenced(joined, fence);
    for (const [name, door] of Object.entries(joined)) assert(heard(door).includes(old[0].id), name);
    await close(joined);
});

test('a session that was left as a member hears of nothing older when it joins again', { timeout: 60_000 }, async () => {
    const { room, old, late } = await make('start');
    const session = { room, clean: false, clientId: `${late.id}:phone` };
    const before = await late.mqtt(session);
    await before.close();
    await edit(owner, old[0], `${OLD} queued`);
    await remove(room, late);
    await ok(owner.rest('PATCH', `/chat/rooms/${room}`, { historyFrom: 'join' }));
    await add(room, late);
    const resumed = await late.mqtt(session);
    const fence = await stir(room, [old[0]]);
    await resumed.seen.find((m) => m.content === fence);
    assert(!heard(resumed).includes(OLD), heard(resumed));
    await resumed.close();
});

test('rooms, pages, search, sync, replies and marks tell nothing of what is older', { timeout: 60_000 }, async () => {
    const { room, old, late } = await make();
    const lists = async () => [
        await late.rest('GET', '/chat/rooms'),
        await late.rest('GET', `/chat/rooms/${room}`),
        await late.rest('GET', `/chat/rooms/${room}/messages`),
        await late.rest('GET', `/chat/rooms/${room}/messages?after=0`),
        await late.rest('GET', `/chat/rooms/${room}/messages?search=${OLD}`),
        await late.rest('POST', '/chat/sync', { rooms: { [room]: { seq: 0, rev: 0, epoch: 1 } } }),
        await late.rest('POST', '/chat/sync', { rooms: {} }),
    ];
    const untold = (answers) => {
        for (const { status, body } of answers) {
            assert.equal(status < 300, true, JSON.stringify(body));
            const text = JSON.stringify(body);
            assert(!text.includes(OLD) && old.every(({ id }) => !text.includes(id)), text);
        }
    };
    await edit(owner, old[0], `${OLD} edited`);
    untold(await lists());
    assert.equal((await lists())[1].body.lastMessage, null);

    // Every door answers as if the message were not there.
    const reply = { content: 'and?', replyToId: old[0].id };
    const mqtt = await late.mqtt();
    const socket = await late.socket();
    const joined = await socket.emit('join_chat', { chatRoomId: room, afterSeq: 0 });
    assert.deepEqual([joined.status, joined.missed, joined.room.lastMessage], ['ok', [], null]);
    assert.equal((await late.rest('POST', `/chat/rooms/${room}/messages`, reply)).body.code, 'reply_not_found');
    for (const door of [mqtt, socket]) assert.equal((await door.send(room, reply)).code, 'reply_not_found');
    for (const [method, path, body] of [
        ['PATCH', `/chat/messages/${old[0].id}`, { content: 'x' }],
        ['DELETE', `/chat/messages/${old[0].id}`],
        ['PATCH', `/chat/messages/${old[0].id}/read`],
        ['PATCH', `/chat/rooms/${room}/read`, { messageId: old[0].id }],
    ])
        assert.deepEqual([(await late.rest(method, path, body)).status, path], [404, path]);
    assert.equal((await socket.emit('mark_as_read', { chatRoomId: room, messageId: old[0].id })).code, 'message_not_found');
    await mqtt.client.publishAsync(`chat/v1/rooms/${room}/read/${late.id}`, JSON.stringify({ messageId: old[0].id }), { qos: 1 });
    assert.equal((await mqtt.acks.find((a) => a.code?.startsWith('message'))).code, 'message_not_found');
    assert.equal((await say(late, room, 'hello')).seq, 3);
    untold(await lists());
    for (const door of [mqtt, socket]) await door.close();
});
