// The published contract against the code: every route, topic and event is documented and nothing else is, every
// example is valid against its schema, and so is what the service really answers.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test, { after, before } from 'node:test';
import {
    BASE, asyncapi, checkAck, checkAnswer, checkEvent, checkTopic, fits, follow, openapi, operations, validator,
} from './lib/contract.mjs';
import { routes } from './lib/routes.mjs';
import { SWAGGER_UI, Stack } from './lib/stack.mjs';

const CHECKOUT = new URL('../../', import.meta.url);
const read = (path) => readFileSync(new URL(path, CHECKOUT), 'utf8');

// ---- The tables of the code

// Topics of the shapes in core/topic.c, less those between broker and service, as templates below the prefix.
function topics() {
    const text = read('core/topic.c');
    const parts = { i: '+', o: '+', r: '+', s: '+' };
    return [['rooms', 'room'], ['calls', 'call'], ['users', 'user']].flatMap(([family, name]) => {
        const shapes = text.match(new RegExp(`${name}_shapes\\[\\] = \\{([\\s\\S]*?)\\n\\};`))[1];
        return [...shapes.matchAll(/\{TOPIC_\w+, "(\w+)", "(\w*)"\}/g)].map(([, word, levels]) =>
            [family, '+', word, ...[...levels].map((level) => parts[level])].join('/'));
    });
}

const template = (topic) => topic.replace(/^chat\/v1\//, '').replace(/\{\w+\}/g, '+');

test('every route of the router is documented, and nothing else', () => {
    assert.deepEqual(operations.map((o) => o.name).sort(), routes().map((r) => r.name).sort());
});

test('what a route takes is what is documented', () => {
    for (const { name, flags, params } of routes()) {
        const { operation, parameters } = operations.find((o) => o.name === name);
        const query = parameters.filter((p) => p.in === 'query').map((p) => p.name);
        assert.deepEqual(query.sort(), [...(params ?? [])].sort(), `${name}: the query`);
        const path = parameters.filter((p) => p.in === 'path').map((p) => p.name);
        assert.deepEqual(path, [...name.matchAll(/\{(\w+)\}/g)].map(([, part]) => part), `${name}: the path`);
        assert.equal('requestBody' in operation, flags.includes('ROUTE_JSON'), `${name}: the body`);
        assert.equal(operation.security?.length !== 0, flags.includes('ROUTE_AUTH'), `${name}: the token`);
        const statuses = Object.keys(operation.responses);
        if (flags.includes('ROUTE_AUTH'))
            for (const status of ['400', '401', '429', '503']) assert(statuses.includes(status), `${name}: ${status}`);
        if (flags.includes('ROUTE_JSON'))
            for (const status of ['413', '415']) assert(statuses.includes(status), `${name}: ${status}`);
        if (path.length > 0) assert(statuses.includes('404'), `${name}: 404`);
    }
});

test('every topic is in topics.md and, when served, in asyncapi.yaml', () => {
    const known = topics();
    assert(known.length >= 17, known.join(' '));
    const listed = [...read('topics.md').matchAll(/^\|([^|]*)\|/gm)].flatMap(([, cell]) =>
        [...cell.matchAll(/`((?:rooms|users|calls)\/[^`]+)`/g)].map(([, topic]) => template(topic)));
    assert.deepEqual([...new Set(listed)].sort(), [...known].sort());
    const served = known.filter((topic) => !topic.startsWith('calls/'));
    const channels = Object.values(asyncapi.channels).map((c) => c.address).filter((address) => !address.startsWith('/'));
    assert.deepEqual(channels.map(template).sort(), served.sort());
});

test('every event of the namespace /chat is in asyncapi.yaml', () => {
    const names = Object.values(asyncapi.channels.chat.messages).map((m) => follow(asyncapi, m).name).filter(Boolean);
    const handlers = read('bridge/chat_events.c').match(/HANDLERS\[\] = \{([\s\S]*?)\};/)[1];
    const taken = [...handlers.matchAll(/\{"(\w+)"/g)].map(([, name]) => name);
    const told = [...`${read('sql/0002_events.sql')}${read('sql/0006_rooms.sql')}`
        .matchAll(/parlor_tell_\w+\([^;]*?'((?:room|participant)_\w+)'/g)].map(([, name]) => name);
    assert(taken.length >= 6 && told.length >= 5, `${taken} ${told}`);
    const fixed = ['new_message', 'message_read', 'message_updated', 'message_deleted', 'user_typing', 'user_online',
        'user_offline', 'room_updated', 'exception'];
    assert.deepEqual([...names].sort(), [...new Set([...taken, ...told, ...fixed])].sort());
});

// ---- Examples

test('every example of openapi.yaml is valid, and each answer and body has one', () => {
    let count = 0;
    const check = (content, what) => {
        for (const [type, { schema, examples }] of Object.entries(content ?? {}).filter(([, { schema }]) => schema)) {
            assert(examples && Object.keys(examples).length > 0, `${what}: no example of ${type}`);
            for (const [name, example] of Object.entries(examples)) {
                fits(schema, follow(openapi, example).value, `${what} ${name}`);
                count++;
            }
        }
    };
    for (const { name, operation } of operations) {
        check(operation.requestBody?.content, `${name}, body`);
        for (const [status, response] of Object.entries(operation.responses)) {
            const { content } = follow(openapi, response);
            check(content, `${name} ${status}`);
            for (const { examples = {} } of Object.values(content ?? {}))
                for (const example of Object.values(examples)) {
                    const { value } = follow(openapi, example);
                    if (value.statusCode !== undefined) assert.equal(value.statusCode, Number(status), `${name} ${status}`);
                }
        }
    }
    assert(count > 100, `${count}`);
});

test('every example of asyncapi.yaml is valid, and each message has one', () => {
    const fitsMessage = validator(asyncapi);
    const all = Object.entries(asyncapi.components.messages);
    assert(all.length > 20);
    for (const [name, message] of all) {
        assert(message.examples?.length > 0, `${name}: no example`);
        for (const { payload } of message.examples) fitsMessage(message.payload, payload, name);
    }
});

// ---- What the service answers

let stack, alice, bob, agent;

before(async () => {
    stack = await Stack.start();
    [alice, bob] = ['alice', 'bob'].map((id) => stack.user(id));
    agent = stack.user('gus', { role: 'agent' });
});
after(() => stack?.stop());

const asked = new Set();

// A request whose answer must be as documented, which the door itself looks after, and of this status; its body.
async function ask(user, method, path, body, status) {
    const answer = await user.rest(method, path, body);
    assert.equal(answer.status, status, `${method} ${path}: ${JSON.stringify(answer.body)}`);
    asked.add(answer.operation);
    return answer.body;
}

test('what each route answers is what is documented', { timeout: 60_000 }, async () => {
    const group = await ask(alice, 'POST', '/chat/rooms', { type: 'group', name: 'Team', participantIds: ['bob'] }, 201);
    const room = `/chat/rooms/${group.id}`;
    const direct = await ask(alice, 'POST', '/chat/rooms', { type: 'direct', participantIds: ['bob'] }, 201);
    await ask(alice, 'POST', '/chat/rooms', { type: 'direct', participantIds: ['bob'] }, 200);
    await ask(alice, 'POST', '/chat/rooms', { type: 'club' }, 400);
    const support = await ask(alice, 'POST', '/chat/rooms', { type: 'support' }, 201);
    await ask(agent, 'GET', `/chat/rooms/${support.id}/messages`, undefined, 403);
    await ask(agent, 'POST', `/chat/rooms/${support.id}/participants`, { userId: 'gus' }, 201);
    await ask(agent, 'PATCH', `/chat/rooms/${support.id}`, { status: 'closed' }, 200);
    await ask(alice, 'POST', `${room}/participants`, { userId: 'carol', role: 'admin' }, 201);
    await ask(alice, 'POST', `${room}/participants`, { userId: 'carol' }, 200);
    await ask(alice, 'PATCH', `${room}/participants/carol`, { role: 'member' }, 200);
    await ask(alice, 'PATCH', `${room}/participants/alice`, { role: 'member' }, 409);
    await ask(alice, 'PATCH', `${room}/participants/nobody`, { role: 'member' }, 404);
    await ask(alice, 'PATCH', `${room}/participants/carol/remove`, undefined, 200);
    await ask(bob, 'PATCH', `${room}/participants/alice/remove`, undefined, 403);
    await ask(alice, 'PATCH', room, { name: 'Team East', historyFrom: 'join' }, 200);
    await ask(alice, 'PATCH', `/chat/rooms/${direct.id}`, { name: 'x' }, 403);
    const draft = { clientMessageId: 'c-1', content: 'Lunch at noon?', mentions: ['bob'] };
    const sent = await ask(alice, 'POST', `${room}/messages`, draft, 201);
    await ask(alice, 'POST', `${room}/messages`, { ...draft, content: 'other' }, 409);
    await ask(alice, 'POST', `${room}/messages`, { content: 'x'.repeat(16385) }, 413);
    await ask(stack.user('mallory'), 'GET', `${room}/messages`, undefined, 404);
    await ask(bob, 'GET', `${room}/messages?limit=1`, undefined, 200);
    const found = await ask(bob, 'GET', `${room}/messages?search=lunch%20no`, undefined, 200);
    assert.deepEqual(found.data[0].matches, [[0, 5], [9, 4]], 'as in the example');
    await ask(bob, 'GET', `${room}/messages?serach=x`, undefined, 400);
    await ask(bob, 'GET', '/chat/rooms?type=group&limit=1', undefined, 200);
    await ask(bob, 'GET', room, undefined, 200);
    await ask(bob, 'PATCH', `${room}/read`, { seq: 1 }, 200);
    await ask(bob, 'PATCH', `${room}/read`, undefined, 200);
    await ask(bob, 'PATCH', `${room}/read`, { seq: -1 }, 400);
    await ask(bob, 'PATCH', `${room}/read`, { messageId: group.id }, 404);
    await ask(bob, 'PATCH', `/chat/messages/${sent.id}/read`, undefined, 200);
    await ask(bob, 'PATCH', `/chat/messages/${sent.id}`, { content: 'x' }, 403);
    await ask(alice, 'PATCH', `/chat/messages/${sent.id}`, { content: 'Lunch at one?' }, 200);
    const sync = await ask(bob, 'POST', '/chat/sync', { rooms: { [group.id]: { seq: 0, rev: 0, epoch: 1 } } }, 200);
    assert.equal(sync.data.length, 1);
    await ask(alice, 'DELETE', `/chat/messages/${sent.id}`, undefined, 200);
    await ask(alice, 'PATCH', `/chat/messages/${sent.id}`, { content: 'x' }, 409);
    await ask(bob, 'DELETE', `/chat/messages/${group.id}`, undefined, 404);
    const late = stack.user('late', { exp: 1 });
    for (const { name, path, operation } of operations.filter((o) => o.operation.security?.length !== 0)) {
        const [method] = name.split(' ');
        const url = path.replace(BASE, '').replace('{id}', group.id).replace('{userId}', 'bob');
        await ask(late, method, url, operation.requestBody ? {} : undefined, 401);
    }
    assert.deepEqual(operations.map((o) => o.name).filter((name) => !asked.has(name)).sort(),
        ['GET /api/docs', 'GET /api/docs/{file}', 'GET /api/openapi.json', 'GET /healthz', 'GET /readyz']);
});

// A route that needs no token, asked as anybody would; the answer is held against the document.
async function get(path, { method = 'GET', headers = {} } = {}) {
    const answer = await fetch(stack.url + path, { method, headers, redirect: 'manual' });
    const text = await answer.text();
    const json = answer.headers.get('content-type')?.startsWith('application/json');
    const body = text ? (json ? JSON.parse(text) : text) : null;
    checkAnswer({ method, path, status: answer.status, headers: answer.headers, body });
    return { status: answer.status, headers: answer.headers, body };
}

test('the health routes answer as documented', { timeout: 30_000 }, async () => {
    for (const path of ['/healthz', '/readyz']) {
        assert.equal((await get(path)).status, 200);
        const refused = await get(path, { method: 'POST' });
        assert.equal(refused.status, 405);
        assert.equal(refused.headers.get('allow'), 'GET, HEAD, OPTIONS');
        assert.equal(refused.body.code, 'method_not_allowed');
    }
});

test('the document is served as it is written', { timeout: 30_000 }, async () => {
    const { headers, body } = await get('/api/openapi.json');
    assert.deepEqual(body, openapi);
    const again = await get('/api/openapi.json', { headers: { 'if-none-match': headers.get('etag') } });
    assert.deepEqual([again.status, again.body, again.headers.get('etag')], [304, null, headers.get('etag')]);
    const head = await get('/api/openapi.json', { method: 'HEAD' });
    assert.deepEqual([head.status, head.headers.get('etag')], [200, headers.get('etag')]);
    assert.equal((await get('/api/openapi.json', { method: 'DELETE' })).status, 405);
});

test('the page that reads it is served from disk, and nothing else is', { timeout: 30_000 }, async () => {
    for (const [path, link] of [['/api/docs', 'docs/'], ['/api/docs/', '']]) {
        const page = await get(path);
        assert.equal(page.status, 200);
        assert.match(page.headers.get('content-security-policy'), /^default-src 'none'; script-src 'self';/);
        assert(page.body.includes(`src="${link}swagger-ui-bundle.js"`), path);
        assert(!/<script>|https?:/.test(page.body), 'no script in the page, none from elsewhere');
        for (const [, name] of page.body.matchAll(/(?:src|href)="([^"]+)"/g)) {
            const file = await get(new URL(name, stack.url + path).pathname);
            assert.equal(file.status, 200, name);
            const again = await get(new URL(name, stack.url + path).pathname, { headers: { 'if-none-match': file.headers.get('etag') } });
            assert.equal(again.status, 304, name);
        }
    }
    const bundle = await get('/api/docs/swagger-ui-bundle.js');
    assert.equal(bundle.body, readFileSync(`${SWAGGER_UI}/swagger-ui-bundle.js`, 'utf8'));
    assert.equal(bundle.headers.get('cache-control'), 'no-cache');
    for (const name of ['package.json', '..%2fpackage.json', '..%2f..%2fpackage.json', 'index.html', '%2fetc%2fpasswd', 'a%5cb'])
        assert.equal((await get(`/api/docs/${name}`)).status, 404, name);
    assert.equal((await get('/api/docs', { method: 'POST' })).status, 405);
});

test('without its files the page says what is missing', { timeout: 60_000 }, async () => {
    const bare = await Stack.start({ parlor: { swagger_ui_path: '/nowhere' } });
    try {
        for (const path of ['/api/docs', '/api/docs/swagger-ui.css']) {
            const answer = await fetch(bare.url + path);
            const body = await answer.json();
            assert.equal(answer.status, 404);
            assert.equal(body.code, 'docs_not_installed');
            assert.match(body.hint, /swagger_ui_path/);
        }
        assert.equal((await fetch(`${bare.url}/api/openapi.json`)).status, 200);
        assert.match(bare.parlord.text(), /swagger_ui_path.*\/nowhere/);
    } finally {
        await bare.stop();
    }
});

test('what is not as documented is found', () => {
    const receipt = { chatRoomId: '0193587a-6b00-7000-8000-3f5a5f1b2c3d', userId: 'bob', readSeq: 1, deliveredSeq: 1, at: '2026-01-31T09:08:00.012Z' };
    const topic = 'chat/v1/rooms/0193587a-6b00-7000-8000-3f5a5f1b2c3d/receipts';
    const answer = { method: 'PATCH', path: `/api/v1/chat/rooms/${receipt.chatRoomId}/read`, status: 200, headers: null };
    checkAnswer({ ...answer, body: receipt });
    checkTopic(topic, Buffer.from(JSON.stringify(receipt)));
    checkEvent('user_online', [{ userId: 'a', lastSeenAt: receipt.at }]);
    checkAck('mark_as_read', { status: 'ok', readSeq: 1 });
    const more = { ...receipt, more: 1 };
    const { at, ...less } = receipt;
    assert(at);
    for (const body of [more, less, { ...receipt, readSeq: '1' }]) {
        assert.throws(() => checkAnswer({ ...answer, body }), /200/);
        assert.throws(() => checkTopic(topic, Buffer.from(JSON.stringify(body))), /receipts/);
    }
    assert.throws(() => checkAnswer({ ...answer, status: 202, body: receipt }), /not documented/);
    assert.throws(() => checkAnswer({ ...answer, asked: { seq: '1' }, body: receipt }), /what was asked/);
    assert.throws(() => checkAnswer({ ...answer, path: '/api/v1/chat/cellar', body: receipt }), /no such route/);
    assert.throws(() => checkTopic('chat/v1/rooms/x/attic', Buffer.from('{}')), /not documented/);
    assert.throws(() => checkEvent('user_asleep', [{}]), /not documented/);
    assert.throws(() => checkEvent('user_online', [{ userId: 'a' }]), /lastSeenAt/);
    assert.throws(() => checkAck('mark_as_read', { status: 'ok' }), /readSeq/);
});

test('what is said on topics and sockets is what is documented', { timeout: 60_000 }, async () => {
    const room = await stack.room([alice, bob]);
    const device = await bob.mqtt({ subscribe: [`chat/v1/rooms/${room}/#`, 'chat/v1/users/bob/#', 'chat/v1/users/alice/presence'] });
    const watcher = await bob.socket({ room });
    const speaker = await alice.socket({ room });
    const sent = await speaker.emit('send_message', { chatRoomId: room, content: 'one' });
    await watcher.emit('join_chat', { chatRoomId: room, afterSeq: 0 });
    await speaker.emit('typing_start', { chatRoomId: room });
    await watcher.emit('mark_as_read', { chatRoomId: room, seq: 1 });
    await speaker.emit('mark_as_read', { chatRoomId: room });
    await alice.rest('PATCH', `/chat/messages/${sent.message.id}`, { content: 'two' });
    await alice.rest('DELETE', `/chat/messages/${sent.message.id}`);
    await alice.rest('POST', `/chat/rooms/${room}/participants`, { userId: 'carol' });
    await alice.rest('PATCH', `/chat/rooms/${room}/participants/carol`, { role: 'admin' });
    await alice.rest('PATCH', `/chat/rooms/${room}/participants/carol/remove`);
    await alice.rest('PATCH', `/chat/rooms/${room}`, { name: 'new' });
    await stack.room([alice, bob]);
    await device.client.publishAsync('chat/v1/users/bob/api/r1/bob',
        JSON.stringify({ method: 'GET', path: '/chat/rooms', query: { limit: 1 } }), { qos: 1 });
    await device.client.publishAsync(`chat/v1/rooms/${room}/read/bob`, '{}', { qos: 1 });
    await speaker.close();

    const told = ['message_updated', 'message_deleted', 'participant_added', 'participant_updated', 'participant_removed',
        'room_updated', 'room_added'];
    for (const event of [...told, 'message_read', 'user_typing']) await watcher.other.find((m) => m.event === event);
    for (const word of ['receipts', 'inbox', 'typing', 'presence', 'replies'])
        await device.other.find((m) => m.topic.split('/').includes(word));
    await device.acks.find((a) => a.status === 'rejected');
    for (const event of told.slice(2))
        await device.other.find((m) => m.topic.endsWith('/events') && JSON.parse(m.text).event === event);
    for (const door of [device, watcher]) await door.close();
    assert.deepEqual(stack.unfit, [], 'the doors look at everything that comes');
});
