// A request id on its way: what is sent by each door is found under one id in parlord's log and in the broker's, from
// its door to where it is published; a rejection too. Nothing that was said, and no token, is in any line.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import test, { after, before } from 'node:test';
import { until } from './lib/events.mjs';
import { Stack } from './lib/stack.mjs';

const PATIENCE = 60_000; // of a machine that is very busy
const TIMEOUT = { timeout: 240_000 };
const SECRET = 'a-content-that-no-log-may-hold';
const NUMBER = /^[0-9a-f]{8}-[0-9a-f]+$/;

// A line's message and fields; room is the first of that name, the part of the house that speaks.
function fields(line) {
    const found = {};
    for (const [, key, quoted, plain] of line.matchAll(/(?:^|\s)([a-z_0-9]+)=(?:"((?:\\.|[^"\\])*)"|(\S*))/g)) found[key] ??= quoted ?? plain;
    return found;
}

// The lines of ours in a server's log, less the one that it may be writing.
const lines = (server) => server.text().split('\n').slice(0, -1).filter((text) => text.includes('level='));

// Those that have all of these, in order.
function logged(server, wanted) {
    return lines(server).map(fields)
        .filter((line) => Object.entries(wanted).every(([key, value]) => line[key] === String(value)));
}

const line = (server, wanted) =>
    until(`${server.name} logs ${JSON.stringify(wanted)}`, () => logged(server, wanted)[0], PATIENCE);

// The two lines of the plugin for a message that was stored under this id.
async function followed(stack, room, seq, id, user) {
    const stored = await line(stack.broker, { msg: 'stored', request: id });
    assert.deepEqual([stored.room, stored.chat_room, stored.seq, stored.user], ['writer', room, String(seq), user]);
    const published = await line(stack.broker, { msg: 'published', request: id });
    assert.deepEqual([published.room, published.chat_room, published.seq], ['fanout', room, String(seq)]);
    const all = logged(stack.broker, { request: id });
    assert.deepEqual(all.map(({ msg }) => msg), ['stored', 'published'], `one line of each for ${id}, in this order`);
}

async function askApi(door, id, request) {
    const { id: user } = door.user;
    await door.client.publishAsync(`chat/v1/users/${user}/api/${id}/${user}`, JSON.stringify(request), { qos: 1 });
    const reply = await door.other.find((m) => m.topic === `chat/v1/users/${user}/replies/${id}`, PATIENCE);
    return JSON.parse(reply.text);
}

let stack, ann, bob, room, taken;

before(async () => {
    stack = await Stack.start({ parlor: { log_level: 'debug' } });
    [ann, bob] = [stack.user('ann'), stack.user('bob')];
    room = await stack.room([ann, bob]);
    taken = randomUUID(); // a clientMessageId that stands for another body
    const { status } = await ann.rest('POST', `/chat/rooms/${room}/messages`, { content: SECRET, clientMessageId: taken });
    assert.equal(status, 201);
});
after(() => stack?.stop());

test('REST: the id that the client gave', TIMEOUT, async () => {
    const path = `/chat/rooms/${room}/messages`;
    const { body, headers } = await ann.rest('POST', path, { content: SECRET }, { 'X-Request-Id': 'trace-rest.1' });
    assert.equal(headers.get('x-request-id'), 'trace-rest.1');
    const answered = await line(stack.parlord, { msg: 'answered', request: 'trace-rest.1' });
    assert.deepEqual([answered.method, answered.path, answered.status, answered.user], ['POST', `/api/v1${path}`, '201', 'ann']);
    assert.match(answered.ms, /^\d+\.\d+$/);
    await followed(stack, room, body.seq, 'trace-rest.1', 'ann');
    // A path is logged without its query, whatever is in it.
    await ann.rest('GET', `${path}?search=${SECRET}`, undefined, { 'X-Request-Id': 'trace-search' });
    assert.equal((await line(stack.parlord, { msg: 'answered', request: 'trace-search' })).path, `/api/v1${path}`);
});

test('REST: an id of ours', TIMEOUT, async () => {
    const { body, headers } = await ann.rest('POST', `/chat/rooms/${room}/messages`, { content: SECRET });
    assert.match(headers.get('x-request-id'), NUMBER);
    await followed(stack, room, body.seq, headers.get('x-request-id'), 'ann');
});

test('Socket.IO: an id for the event', TIMEOUT, async () => {
    const door = await bob.socket({ room });
    const { seq } = await door.send(room, { content: SECRET }, PATIENCE);
    const { request } = await line(stack.parlord, { msg: 'answered', event: 'send_message', user: 'bob', outcome: 'ok' });
    assert.match(request, NUMBER);
    await followed(stack, room, seq, request, 'bob');
    const joined = await line(stack.parlord, { msg: 'answered', event: 'join_chat', user: 'bob', outcome: 'ok' });
    assert.notEqual(joined.request, request);
    await door.emit('mark_as_read', { chatRoomId: room, seq }, PATIENCE);
    const read = await line(stack.parlord, { msg: 'answered', event: 'mark_as_read', user: 'bob', outcome: 'ok' });
    const marked = await line(stack.broker, { msg: 'marked', request: read.request });
    assert.deepEqual([marked.chat_room, marked.read, marked.user], [room, String(seq), 'bob']);
    await door.close();
});

test('the api topic: its requestId, the longest too', TIMEOUT, async () => {
    const door = await ann.mqtt({ subscribe: ['chat/v1/users/ann/replies/+'] });
    for (const id of ['trace-api', `a@b|c=d.${'x'.repeat(120)}`]) {
        const { status, body } = await askApi(door, id, { method: 'POST', path: `/chat/rooms/${room}/messages`, body: { content: SECRET } });
        assert.equal(status, 201);
        const answered = await line(stack.parlord, { msg: 'answered', request: id });
        assert.deepEqual([answered.status, answered.user], ['201', 'ann']);
        await followed(stack, room, body.seq, id, 'ann');
    }
    const bad = await askApi(door, 'trace-bad', { method: 'POST' });
    assert.equal(bad.status, 400);
    assert.equal((await line(stack.parlord, { msg: 'answered', request: 'trace-bad' })).status, '400');
    await door.close();
});

test('MQTT: a number of the plugin, another one for each', TIMEOUT, async () => {
    const door = await ann.mqtt();
    const ids = [];
    for (let i = 0; i < 2; i++) {
        const { seq } = await door.send(room, { content: SECRET }, PATIENCE);
        const { request } = await line(stack.broker, { msg: 'stored', chat_room: room, seq });
        assert.match(request, NUMBER);
        await followed(stack, room, seq, request, 'ann');
        assert.deepEqual(logged(stack.parlord, { request }), []);
        ids.push(request);
    }
    assert.notEqual(ids[0], ids[1]);
    const before = logged(stack.broker, { msg: 'stored before' }).length;
    assert.equal((await door.send(room, { content: SECRET, clientMessageId: taken }, PATIENCE)).seq, 1);
    await until('a replay is logged', () => logged(stack.broker, { msg: 'stored before' }).length === before + 1, PATIENCE);
    await door.close();
});

test('a rejected send, by each door', TIMEOUT, async () => {
    const draft = { content: `another ${SECRET}`, clientMessageId: taken };
    const rest = await ann.rest('POST', `/chat/rooms/${room}/messages`, draft, { 'X-Request-Id': 'trace-conflict' });
    assert.equal(rest.status, 409);
    assert.equal((await line(stack.parlord, { msg: 'answered', request: 'trace-conflict' })).status, '409');
    const { why, ...rejected } = await line(stack.broker, { msg: 'rejected', request: 'trace-conflict' });
    assert(why.length > 0);
    assert.deepEqual([rejected.level, rejected.user, rejected.what, rejected.chat_room, rejected.code], ['info', 'ann', 'send', room, 'conflict']);
    assert.equal(logged(stack.broker, { request: 'trace-conflict' }).length, 1);

    const socket = await ann.socket({ room });
    assert.equal((await socket.send(room, draft, PATIENCE)).code, 'conflict');
    const { request } = await line(stack.parlord, { msg: 'answered', event: 'send_message', user: 'ann', outcome: 'conflict' });
    assert.equal((await line(stack.broker, { msg: 'rejected', request })).code, 'conflict');
    await socket.close();

    const seen = new Set(logged(stack.broker, { msg: 'rejected' }).map((found) => found.request));
    const mqtt = await ann.mqtt();
    assert.equal((await mqtt.send(room, draft, PATIENCE)).code, 'conflict');
    const found = await until('a rejection by MQTT', () => logged(stack.broker, { msg: 'rejected' }).find((f) => !seen.has(f.request)), PATIENCE);
    assert.deepEqual([found.user, found.what, found.code, found.chat_room], ['ann', 'send', 'conflict', room]);
    assert.match(found.request, NUMBER);
    await mqtt.close();
});

test('a refused publish has one line, that of the rule', TIMEOUT, async () => {
    const eve = stack.user('eve');
    const door = await eve.mqtt();
    assert.equal((await door.send(room, { content: SECRET }, PATIENCE)).code, 'room_not_found');
    const refused = await line(stack.broker, { msg: 'refused write', user: 'eve' });
    assert.equal(refused.rule, 'not_member');
    assert.match(refused.request, NUMBER);
    assert.equal(logged(stack.broker, { request: refused.request }).length, 1);
    await door.close();
});

test('a change is found by its room and version, an edit by its seq', TIMEOUT, async () => {
    const renamed = await ann.rest('PATCH', `/chat/rooms/${room}`, { name: 'traced' }, { 'X-Request-Id': 'trace-change' });
    assert.equal(renamed.status, 200);
    const { chat_room, version } = await line(stack.parlord, { msg: 'waits until every door knows', request: 'trace-change' });
    assert.equal(chat_room, room);
    await line(stack.broker, { msg: 'published an event', chat_room, version, user: '-' });

    const { body } = await ann.rest('POST', `/chat/rooms/${room}/messages`, { content: SECRET });
    const edited = await ann.rest('PATCH', `/chat/messages/${body.id}`, { content: `${SECRET}!` }, { 'X-Request-Id': 'trace-edit' });
    assert.equal(edited.status, 200);
    const changed = await line(stack.parlord, { msg: 'message changed', request: 'trace-edit' });
    assert.deepEqual([changed.chat_room, changed.seq], [room, String(body.seq)]);
    await line(stack.broker, { msg: 'published a changed message', chat_room: room, seq: body.seq });
});

test('no line holds what was said, or a token', TIMEOUT, () => {
    for (const server of [stack.parlord, stack.broker]) {
        const text = server.text();
        assert(logged(server, { level: 'debug' }).length > 5, `${server.name} has logged little`);
        for (const secret of [SECRET, ann.token, bob.token]) assert(!text.includes(secret), `${server.name} logged ${secret}`);
    }
});

test('by default: no line of level debug, and one for a rejection', TIMEOUT, async () => {
    const quiet = await Stack.start();
    try {
        const [ann, bob] = [quiet.user('ann'), quiet.user('bob')];
        const room = await quiet.room([ann, bob]);
        const clientMessageId = randomUUID();
        for (const kind of ['rest', 'socket', 'mqtt']) {
            const door = await ann.door(kind, { room });
            assert.equal((await door.send(room, { content: 'x', ...(kind === 'rest' ? { clientMessageId } : {}) }, PATIENCE)).status, 'stored');
            await door.close();
        }
        const path = `/chat/rooms/${room}/messages`;
        const { status } = await ann.rest('POST', path, { content: 'y', clientMessageId }, { 'X-Request-Id': 'quiet-1' });
        assert.equal(status, 409);
        assert.equal((await line(quiet.broker, { msg: 'rejected', request: 'quiet-1' })).code, 'conflict');
        assert.equal(logged(quiet.broker, { request: 'quiet-1' }).length, 1);
        for (const server of [quiet.parlord, quiet.broker]) assert.deepEqual(logged(server, { level: 'debug' }), []);
    } finally {
        await quiet.stop();
    }
});
