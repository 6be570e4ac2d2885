// The published contract against the code: every route, topic and event is documented and nothing else is, every
// example is valid against its schema, and so is what the service really answers.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test, { after, before } from 'node:test';
import Ajv from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { parse } from 'yaml';
import { Stack } from './lib/stack.mjs';

const CHECKOUT = new URL('../../', import.meta.url);
const read = (path) => readFileSync(new URL(path, CHECKOUT), 'utf8');
const openapi = parse(read('docs/openapi.yaml'));
const asyncapi = parse(read('docs/asyncapi.yaml'), { merge: true });
const METHODS = ['get', 'post', 'put', 'patch', 'delete'];

const follow = (document, value) =>
    value?.$ref ? follow(document, value.$ref.slice(2).split('/').reduce((at, key) => at[key], document)) : value;

// Each operation of openapi.yaml: {name: 'GET /healthz', path, operation, parameters}.
const operations = Object.entries(openapi.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => ({
        name: `${method.toUpperCase()} ${path}`,
        path,
        operation: item[method],
        parameters: [...(item.parameters ?? []), ...(item[method].parameters ?? [])].map((p) => follow(openapi, p)),
    })));

// ---- The tables of the code

// Rows of the router's table, less those of the admin listener alone (docs/operations.md has these): {name, flags, params}, with params null where the query is not looked at.
function routes() {
    const text = read('http/http.c');
    const lists = Object.fromEntries([...text.matchAll(/const (\w+)\[\] = \{([^}]*)NULL\};/g)].map(([, name, words]) =>
        [name, [...words.matchAll(/"(\w+)"/g)].map(([, word]) => word)]));
    const table = text.match(/struct route routes\[\] = \{([\s\S]*?)\n\};/)[1];
    const rows = [...table.matchAll(/\{"([A-Z]+)",\s*"([^"]+)",\s*\w+,\s*([\w\s|]+),\s*(\w+)\}/g)];
    assert.equal(rows.length, table.match(/\{"/g).length, 'every row of the table is understood');
    return rows.map(([, method, pattern, flags, params]) => ({
        name: `${method} ${pattern.replace(/:(\w+)/g, '{$1}')}`,
        flags: flags.split('|').map((flag) => flag.trim()),
        params: params === 'NULL' ? null : lists[params],
    })).filter(({ flags }) => !flags.includes('ROUTE_HIDDEN'));
}

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

// A validator in which an object has no keys but those of its schema: an answer with an unknown one is not documented.
// Such a schema stands by itself: allOf would refuse the keys of its other parts.
function validator(document) {
    const ajv = new Ajv({ strict: false, allErrors: true });
    addFormats(ajv);
    ajv.addFormat('int64', true);
    const close = (schema) => {
        if (Array.isArray(schema)) return schema.map(close);
        if (schema === null || typeof schema !== 'object') return schema;
        const copy = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, key === 'not' ? value : close(value)]));
        if (copy.type === 'object' && typeof copy.properties === 'object' && !('additionalProperties' in copy))
            copy.unevaluatedProperties = false;
        return copy;
    };
    ajv.addSchema({ $id: 'contract', components: { schemas: close(document.components.schemas) } });
    return (schema, value, what) => {
        const copy = JSON.parse(JSON.stringify(close(schema)).replaceAll('"#/', '"contract#/'));
        const validate = ajv.compile(copy);
        assert(validate(value), `${what}: ${ajv.errorsText(validate.errors)}\n${JSON.stringify(value)}`);
    };
}

const fits = validator(openapi);

test('every example of openapi.yaml is valid, and each answer and body has one', () => {
    let count = 0;
    const check = (content, what) => {
        for (const [type, { schema, examples }] of Object.entries(content ?? {})) {
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
            for (const { examples } of Object.values(content ?? {}))
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

// A request whose answer must be as documented; its body.
async function ask(user, method, path, body, status) {
    const bare = path.split('?')[0];
    const answer = await user.rest(method, path, body);
    const found = operations.find((o) => o.name.startsWith(`${method} `) &&
        new RegExp(`^${o.path.replace(/\{\w+\}/g, '[^/]+')}$`).test(`/api/v1${bare}`));
    assert(found, `${method} ${path} is documented`);
    assert.equal(answer.status, status, `${found.name}: ${JSON.stringify(answer.body)}`);
    const response = follow(openapi, found.operation.responses[status]);
    assert(response, `${found.name} ${status} is documented`);
    fits(response.content['application/json'].schema, answer.body, `${found.name} ${status}`);
    for (const [header, { schema }] of Object.entries(response.headers ?? {}).map(([h, v]) => [h, follow(openapi, v)]))
        if (status >= 400 || header !== 'Location')
            assert(schema && answer.headers.get(header) !== null, `${found.name} ${status}: ${header}`);
    asked.add(found.name);
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
        const url = path.replace('/api/v1', '').replace('{id}', group.id).replace('{userId}', 'bob');
        await ask(late, method, url, operation.requestBody ? {} : undefined, 401);
    }
    assert.deepEqual(operations.map((o) => o.name).filter((name) => !asked.has(name)).sort(), ['GET /healthz', 'GET /readyz']);
});

test('the health routes answer as documented', { timeout: 30_000 }, async () => {
    for (const path of ['/healthz', '/readyz']) {
        const answer = await fetch(stack.url + path);
        const { responses } = openapi.paths[path].get;
        fits(responses[answer.status].content['application/json'].schema, await answer.json(), path);
        const refused = await fetch(stack.url + path, { method: 'POST' });
        assert.equal(refused.status, 405);
        assert(refused.headers.get('allow'));
        fits(openapi.components.schemas.Error, await refused.json(), `POST ${path}`);
    }
});

test('what is said on topics and sockets is what is documented', { timeout: 60_000 }, async () => {
    const fitsMessage = validator(asyncapi);
    const payloadOf = (name) => asyncapi.components.messages[name].payload;
    const room = await stack.room([alice, bob]);
    const device = await bob.mqtt({ subscribe: [`chat/v1/rooms/${room}/#`, 'chat/v1/users/bob/#', 'chat/v1/users/alice/presence'] });
    const watcher = await bob.socket({ room });
    const speaker = await alice.socket({ room });
    const sent = await speaker.emit('send_message', { chatRoomId: room, content: 'one' });
    fitsMessage(payloadOf('sent'), sent, 'send_message');
    fitsMessage(payloadOf('joined'), await watcher.emit('join_chat', { chatRoomId: room, afterSeq: 0 }), 'join_chat');
    fitsMessage(payloadOf('done'), await speaker.emit('typing_start', { chatRoomId: room }), 'typing_start');
    fitsMessage(payloadOf('marked'), await watcher.emit('mark_as_read', { chatRoomId: room, seq: 1 }), 'mark_as_read');
    fitsMessage(payloadOf('failed'), await speaker.emit('mark_as_read', { chatRoomId: room }), 'mark_as_read');
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

    const events = ['message_updated', 'message_deleted', 'participant_added', 'participant_updated', 'participant_removed',
        'room_updated', 'room_added', 'message_read', 'user_typing'];
    for (const name of events) {
        const seen = await watcher.other.find((m) => m.event === name);
        const message = Object.values(asyncapi.components.messages).find((m) => m.name === name);
        fitsMessage(message.payload, seen.args[0], name);
    }
    const words = { receipts: 'receipt', inbox: 'message', typing: 'typing', presence: 'presence', replies: 'reply' };
    for (const [word, name] of Object.entries(words)) {
        const seen = await device.other.find((m) => m.topic.split('/').includes(word));
        fitsMessage(payloadOf(name), JSON.parse(seen.text), word);
    }
    fitsMessage(payloadOf('rejected'), await device.acks.find((a) => a.status === 'rejected'), 'acks');
    const named = { participant_added: 'roomEvent', participant_updated: 'roomEvent', participant_removed: 'roomEvent',
        room_updated: 'roomEvent', room_added: 'userEvent' };
    for (const [event, name] of Object.entries(named)) {
        const seen = await device.other.find((m) => m.topic.endsWith('/events') && JSON.parse(m.text).event === event);
        fitsMessage(payloadOf(name), JSON.parse(seen.text), event);
    }
    for (const door of [device, watcher]) await door.close();
});
