// REST over MQTT against REST: every route that needs a token is asked by both doors, on equal states, once well and
// once with each of its typical errors, and the answers are the same but for ids and times. The one world knows REST
// alone; in the other nobody but MQTT 3.1.1 clients with a single connection each say anything.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import test, { after, before } from 'node:test';
import { BASE, follow, openapi, operations } from './lib/contract.mjs';
import { until } from './lib/events.mjs';
import { routes } from './lib/routes.mjs';
import { Stack } from './lib/stack.mjs';

const NAMES = ['ann', 'ben', 'cat', 'gus', 'mallory'];
const ROUTES = routes().filter(({ flags }) => flags.includes('ROUTE_AUTH'))
    .map((route) => ({ ...route, pattern: route.pattern.replace(BASE, '') }));
const NOWHERE = '00000000-0000-7000-8000-000000000000';
let stack;

before(async () => {
    stack = await Stack.start();
});
after(() => stack?.stop());

const queryText = (query) => (query === undefined || query === '' ? ''
    : `?${typeof query === 'string' ? query : new URLSearchParams(query)}`);

// Two doors of one interface: ask(user's name, method, path, {query, body, key}) gives {status, body}.
const doors = {
    rest: () => async (user, method, path, { query, body, key } = {}) => {
        const { status, body: answer } = await user.rest(method, path + queryText(query), body, key === undefined ? {} : { 'Idempotency-Key': key });
        return { status, body: answer };
    },
    mqtt: () => {
        const open = new Map();
        return async (user, method, path, { query, body, key } = {}) => {
            if (!open.has(user)) open.set(user, await user.mqtt({ protocolVersion: 4, subscribe: [`chat/v1/users/${user.id}/replies/+`] }));
            return ask(open.get(user), { method, path, query, body, idempotencyKey: key });
        };
    },
};

async function ask(door, request, id = randomUUID()) {
    const { user } = door;
    await door.client.publishAsync(`chat/v1/users/${user.id}/api/${id}/${user.id}`, JSON.stringify(request), { qos: 1 });
    const reply = await door.other.find((m) => m.topic === `chat/v1/users/${user.id}/replies/${id}`);
    return JSON.parse(reply.text);
}

// A world: its users, and all that was answered there, with ids by order of appearance and without times.
function world(kind) {
    const users = Object.fromEntries(NAMES.map((name) =>
        [name, stack.user(`${name}-${kind}`, name === 'gus' ? { role: 'agent' } : {})]));
    const door = doors[kind]();
    const ids = new Map();
    const id = (uuid) => ids.get(uuid) ?? ids.set(uuid, `id${ids.size}`).get(uuid);
    const plain = (text) => text
        .replace(/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g, id)
        .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'time')
        .replace(new RegExp(`-${kind}\\b`, 'g'), '');
    const log = [];
    // Who is online differs between the worlds by their nature; cursors have ids and times in them.
    const own = (key, value) => (key === 'requestId' || key === 'online' ? 'own' : key === 'nextCursor' && typeof value === 'string' ? 'cursor' : value);
    return {
        log,
        name: (name) => users[name].id,
        // what: the case's name in the log.
        async ask(what, name, method, path, request) {
            const answer = await door(users[name], method, path, request);
            log.push({ what, status: answer.status, body: JSON.parse(plain(JSON.stringify(answer.body, own))) });
            return answer;
        },
    };
}

// ---- What is asked well, in an order that suits the state: [route, who, path's parts, request]. `w` has what stands.

async function begin(w) {
    const make = async (who, body) => (await w.ask('made', who, 'POST', '/chat/rooms', { body })).body.id;
    w.room = await make('ann', { type: 'group', name: 'Team', participantIds: [w.name('ben')] });
    w.support = await make('ann', { type: 'support' });
    w.message = (await w.ask('said', 'ann', 'POST', `/chat/rooms/${w.room}/messages`, { body: { content: 'Lunch at noon?', clientMessageId: 'c-0' } })).body.id;
}

const GROUP = (w) => ({ type: 'group', name: 'Made', participantIds: [w.name('ben')] });
const WELL = [
    ['POST /chat/rooms', 'ann', () => [], (w) => ({ body: GROUP(w), key: 'k-1' })],
    ['POST /chat/rooms', 'ann', () => [], (w) => ({ body: GROUP(w), key: 'k-1' })],
    ['POST /chat/rooms', 'ann', () => [], (w) => ({ body: { ...GROUP(w), name: 'Other' }, key: 'k-1' })],
    ['POST /chat/rooms', 'ann', () => [], (w) => ({ body: GROUP(w), key: '' })],
    ['POST /chat/rooms', 'ann', () => [], (w) => ({ body: GROUP(w), key: 'k'.repeat(129) })],
    ['POST /chat/rooms', 'ben', () => [], (w) => ({ body: { type: 'direct', participantIds: [w.name('ann')] } })],
    ['POST /chat/rooms', 'ann', () => [], (w) => ({ body: { type: 'direct', participantIds: [w.name('ben')] } })],
    ['GET /chat/rooms', 'ann', () => [], () => ({ query: { type: 'group', limit: 1 } })],
    ['GET /chat/rooms', 'ann', () => [], () => ({})],
    ['GET /chat/rooms/{id}', 'ben', (w) => [w.room], () => ({})],
    ['PATCH /chat/rooms/{id}', 'ann', (w) => [w.room], () => ({ body: { name: 'Team East', historyFrom: 'join' } })],
    ['PATCH /chat/rooms/{id}', 'ben', (w) => [w.room], () => ({ body: { name: 'West' } })],
    ['POST /chat/rooms/{id}/participants', 'ann', (w) => [w.room], (w) => ({ body: { userId: w.name('cat') }, key: 'k-2' })],
    ['POST /chat/rooms/{id}/participants', 'ann', (w) => [w.room], (w) => ({ body: { userId: w.name('cat') }, key: 'k-2' })],
    ['POST /chat/rooms/{id}/participants', 'ann', (w) => [w.room], (w) => ({ body: { userId: w.name('cat'), role: 'admin' }, key: 'k-2' })],
    ['POST /chat/rooms/{id}/participants', 'gus', (w) => [w.support], (w) => ({ body: { userId: w.name('gus') } })],
    ['PATCH /chat/rooms/{id}/participants/{userId}', 'ann', (w) => [w.room, w.name('cat')], () => ({ body: { role: 'admin' } })],
    ['PATCH /chat/rooms/{id}/participants/{userId}', 'ann', (w) => [w.room, w.name('ann')], () => ({ body: { role: 'member' } })],
    ['POST /chat/rooms/{id}/messages', 'ann', (w) => [w.room], (w) => ({ body: { content: 'grüße 🦜', mentions: [w.name('ben')] }, key: 'c-1' })],
    ['POST /chat/rooms/{id}/messages', 'ann', (w) => [w.room], (w) => ({ body: { content: 'grüße 🦜', mentions: [w.name('ben')] }, key: 'c-1' })],
    ['POST /chat/rooms/{id}/messages', 'ann', (w) => [w.room], () => ({ body: { content: 'other' }, key: 'c-1' })],
    ['POST /chat/rooms/{id}/messages', 'ann', (w) => [w.room], () => ({ body: { content: 'x'.repeat(16385) } })],
    ['GET /chat/rooms/{id}/messages', 'ben', (w) => [w.room], () => ({ query: { limit: 1, after: 0 } })],
    ['GET /chat/rooms/{id}/messages', 'ben', (w) => [w.room], () => ({ query: 'limit=1&before=2' })],
    ['GET /chat/rooms/{id}/messages', 'ben', (w) => [w.room], () => ({ query: { search: 'grüße 🦜' } })],
    ['GET /chat/rooms/{id}/messages', 'ben', (w) => [w.room], () => ({ query: { search: 'a&b=c+d%20#?' } })],
    ['PATCH /chat/messages/{id}/read', 'ben', (w) => [w.message], () => ({})],
    ['PATCH /chat/rooms/{id}/read', 'ben', (w) => [w.room], () => ({ body: { seq: 2 } })],
    ['PATCH /chat/rooms/{id}/read', 'ben', (w) => [w.room], () => ({})],
    ['PATCH /chat/messages/{id}', 'ann', (w) => [w.message], () => ({ body: { content: 'Lunch at one?' } })],
    ['PATCH /chat/messages/{id}', 'ben', (w) => [w.message], () => ({ body: { content: 'Lunch at two?' } })],
    ['POST /chat/sync', 'ben', () => [], (w) => ({ body: { rooms: { [w.room]: { seq: 0, rev: 0, epoch: 1 } }, limit: 1 } })],
    ['POST /chat/sync', 'ben', () => [], () => ({ body: {} })],
    ['DELETE /chat/messages/{id}', 'ben', (w) => [w.message], () => ({})],
    ['DELETE /chat/messages/{id}', 'ann', (w) => [w.message], () => ({})],
    ['PATCH /chat/messages/{id}', 'ann', (w) => [w.message], () => ({ body: { content: 'gone' } })],
    ['PATCH /chat/rooms/{id}/participants/{userId}/remove', 'ben', (w) => [w.room, w.name('ann')], () => ({})],
    // As an address has it: %2D is a hyphen.
    ['PATCH /chat/rooms/{id}/participants/{userId}/remove', 'ann', (w) => [w.room, w.name('cat').replace('-', '%2D')], () => ({})],
    ['PATCH /chat/rooms/{id}/participants/{userId}/remove', 'ben', (w) => [w.room, w.name('ben')], () => ({})],
];

const fill = (pattern, parts) => parts.reduce((path, part) => path.replace(/\{\w+\}/, part), pattern);

// ---- What is asked badly: made from the route's row and its schema.

const wrongly = (value) => (typeof value === 'string' ? 7 : 'wrong');

function bodies(route) {
    const { operation } = operations.find((o) => o.name === `${route.method} ${BASE}${route.pattern}`);
    const schema = follow(openapi, operation.requestBody.content['application/json'].schema);
    const example = follow(openapi, Object.values(operation.requestBody.content['application/json'].examples)[0]).value;
    const fields = Object.keys(schema.properties);
    assert(fields.length > 0, route.name);
    return [
        ...fields.flatMap((field) => [
            [`${field} of a wrong type`, { ...example, [field]: wrongly(example[field]) }],
            [`${field} is an object`, { ...example, [field]: { a: { b: [1] } } }],
            [`${field} is null`, { ...example, [field]: null }],
        ]),
        ['every field of a wrong type', Object.fromEntries(fields.map((field) => [field, wrongly(example[field])]))],
        ['an empty object', {}],
        ['an array', []],
        ['a text', '"text"'],
    ];
}

// Each is [what, method, path, request] by one who is in the room, unless `who` says otherwise.
function badly(route, w) {
    const { method, pattern, flags, params } = route;
    const target = pattern.startsWith('/chat/messages') ? w.message : w.room;
    const path = fill(pattern, [target, w.name('ben')]);
    const body = flags.includes('ROUTE_JSON') ? follow(openapi, Object.values(operations.find((o) => o.name === `${method} ${BASE}${pattern}`)
        .operation.requestBody.content['application/json'].examples)[0]).value : undefined;
    const cases = [
        ['another method', 'PUT', path, { body }],
        ['a method of no protocol', 'BREW', path, {}],
        ['an unknown path', method, `${path}/nothing`, { body }],
        ['a slash too many', method, `${path}//`, { body }],
        ['an unknown parameter', method, path, { body, query: { colour: 'blue' } }],
        ['a broken query', method, path, { body, query: 'limit=%zz' }],
        ['a broken escape', method, `${path}%zz`, { body }],
        ['what may be asked there', 'OPTIONS', path, {}],
    ];
    if (method === 'GET') cases.push(['the head alone', 'HEAD', path, {}]);
    for (const name of params.filter((p) => p !== 'search'))
        for (const value of ['', '-1', '0', '101', '1e3', 'x', '99999999999999999999'])
            if (name !== 'after' && name !== 'before' || value !== '101')
                cases.push([`${name} ${value}`, method, path, { query: { [name]: value } }]);
    if (params.length > 0) cases.push(['a parameter twice', method, path, { query: `${params[0]}=1&${params[0]}=1` }]);
    if (pattern.includes('{id}')) {
        cases.push(['no id', method, fill(pattern, ['x', w.name('ben')]), { body }],
            ['an unknown id', method, fill(pattern, [NOWHERE, w.name('ben')]), { body }],
            ['a stranger', method, path, { body }, 'mallory']);
    }
    if (pattern.includes('{userId}')) {
        for (const user of ['nobody', 'a%20b', 'x'.repeat(129), 'a%2Fb'])
            cases.push([`the user ${user.slice(0, 9)}`, method, fill(pattern, [target, user]), { body }]);
    }
    if (body !== undefined) {
        cases.push(['no body', method, path, {}]);
        for (const [what, wrong] of bodies(route)) cases.push([what, method, path, { body: wrong }]);
    }
    return cases;
}

// By REST a text goes as it is, so that it is JSON there; by MQTT it is the value.
const asValue = (kind, request) => (kind === 'mqtt' && typeof request.body === 'string' ? { ...request, body: JSON.parse(request.body) } : request);

async function live(kind) {
    const w = world(kind);
    await begin(w);
    for (const route of ROUTES) {
        // What would be well for a member is asked by nobody but a stranger; the rest is refused, or changes the same.
        for (const [what, method, path, request, who = 'ann'] of badly(route, w))
            await w.ask(`${route.method} ${route.pattern}, ${what}`, who, method, path, asValue(kind, request));
    }
    for (const [name, who, parts, request] of WELL) {
        const [method, pattern] = name.split(' ');
        await w.ask(`${name} by ${who}`, who, method, fill(pattern, parts(w)), request(w));
    }
    return w.log;
}

test('every route answers by the api topic what it answers by REST', { timeout: 240_000 }, async () => {
    assert.deepEqual([...new Set(WELL.map(([name]) => name))].sort(), ROUTES.map((r) => `${r.method} ${r.pattern}`).sort());
    const rest = await live('rest');
    const mqtt = await live('mqtt');
    assert.equal(mqtt.length, rest.length);
    const differ = rest.flatMap((answer, i) => {
        try {
            assert.deepEqual(mqtt[i], answer);
            return [];
        } catch {
            return [`${answer.what}\n  rest ${JSON.stringify(answer).slice(0, 600)}\n  mqtt ${JSON.stringify(mqtt[i]).slice(0, 600)}`];
        }
    });
    assert.equal(differ.length, 0, `${differ.length} of ${rest.length} differ\n${differ.join('\n')}`);
    const statuses = new Set(rest.map(({ status }) => status));
    for (const status of [200, 201, 204, 400, 403, 404, 405, 409, 413, 501]) assert(statuses.has(status), `no ${status} among them`);
    for (const { pattern, method } of ROUTES)
        assert(rest.some(({ what, status }) => what.startsWith(`${method} ${pattern} by `) && status < 300), `${method} ${pattern} was never answered well`);
});

// ---- The topic itself.

const replies = (user) => `chat/v1/users/${user.id}/replies/+`;
const asking = (user, options) => user.mqtt({ protocolVersion: 4, subscribe: [replies(user)], ...options });
const say = (door, id, payload) => door.client.publishAsync(`chat/v1/users/${door.user.id}/api/${id}/${door.user.id}`, payload, { qos: 1 });
const heard = (door, id) => door.other.items.filter((m) => m.topic === `chat/v1/users/${door.user.id}/replies/${id}`).map((m) => JSON.parse(m.text));

test('a request of the largest payload is served, one byte more is answered 413', { timeout: 30_000 }, async () => {
    const door = await asking(stack.user('big'));
    const of = (size) => {
        const bare = JSON.stringify({ method: 'POST', path: '/chat/sync', body: { pad: '' } });
        return JSON.parse(bare.replace('""', `"${'x'.repeat(size - bare.length)}"`));
    };
    assert.equal((await ask(door, of(65_536))).status, 200);
    const { status, body } = await ask(door, of(65_537));
    assert.deepEqual([status, body.code], [413, 'payload_too_large']);
    assert.equal((await ask(door, of(5_000_000))).status, 413);
    await door.close();
});

test('the largest answers come whole', { timeout: 60_000 }, async () => {
    const [writer, reader] = ['writer', 'reader'].map((id) => stack.user(id));
    const room = await stack.room([writer, reader]);
    const sender = await writer.mqtt();
    await Promise.all(Array.from({ length: 500 }, (_, i) => sender.send(room, { content: `${i} `.padEnd(16_384, 'x') }, 30_000)));
    const door = await asking(reader);
    const page = await ask(door, { method: 'GET', path: `/chat/rooms/${room}/messages`, query: { limit: 100 } });
    const rest = await reader.rest('GET', `/chat/rooms/${room}/messages?limit=100`);
    assert.deepEqual(page, { status: 200, body: rest.body });
    const rooms = { [room]: { seq: 0, rev: 0, epoch: 1 } };
    const sync = await ask(door, { method: 'POST', path: '/chat/sync', body: { rooms, limit: 500 } });
    assert.deepEqual(sync.body.data.map((m) => m.seq), Array.from({ length: 500 }, (_, i) => i + 1));
    assert.deepEqual(sync.body.data, (await reader.rest('POST', '/chat/sync', { rooms, limit: 500 })).body.data);
    for (const client of [sender, door]) await client.close();
});

test('requests of one id are answered each, to every connection of that user alone', { timeout: 30_000 }, async () => {
    const [own, other] = ['own', 'other'].map((id) => stack.user(id));
    const phone = await asking(own);
    const laptop = await asking(own);
    const spy = await asking(other);
    for (const topic of [replies(own), 'chat/v1/users/own/#', 'chat/v1/users/+/replies/+', 'chat/v1/users/own/replies/same'])
        await assert.rejects(spy.client.subscribeAsync(topic), topic);
    await Promise.all([
        say(phone, 'same', JSON.stringify({ method: 'GET', path: '/chat/rooms' })),
        say(phone, 'same', JSON.stringify({ method: 'GET', path: '/chat/rooms', query: { limit: 1000 } })),
    ]);
    // What the other user asks afterwards is its fence.
    for (const door of [phone, laptop]) {
        await door.other.count(2);
        assert.deepEqual(heard(door, 'same').map(({ status }) => status).sort(), [200, 400]);
    }
    assert.equal((await ask(spy, { method: 'GET', path: '/chat/rooms' }, 'fence')).status, 200);
    assert.deepEqual(spy.other.items.map(({ topic }) => topic), ['chat/v1/users/other/replies/fence']);
    for (const door of [phone, laptop, spy]) await door.close();
});

test('an answer that comes meanwhile waits for a persistent session, and is lost to a clean one', { timeout: 60_000 }, async () => {
    const user = stack.user('away');
    const request = (name) => JSON.stringify({ method: 'POST', path: '/chat/rooms', body: { type: 'group', name, participantIds: [] }, idempotencyKey: name });
    for (const clean of [false, true]) {
        const session = { clientId: `away:${clean}`, clean };
        const first = await asking(user, session);
        const watcher = await asking(user);
        // Nobody makes rooms until the client has gone.
        await stack.sql.query('BEGIN');
        await stack.sql.query('LOCK TABLE chat_rooms IN EXCLUSIVE MODE');
        await say(first, 'r1', request(`${clean}`));
        await first.close();
        assert.equal(heard(watcher, 'r1').length, 0);
        await stack.sql.query('COMMIT');
        const made = JSON.parse((await watcher.other.find((m) => m.topic.endsWith('/r1'))).text);
        assert.equal(made.status, 201);
        const second = await asking(user, session);
        if (!clean) assert.deepEqual(JSON.parse((await second.other.find((m) => m.topic.endsWith('/r1'))).text), made);
        await say(second, 'r2', request(`${clean}`));
        const again = JSON.parse((await second.other.find((m) => m.topic.endsWith('/r2'))).text);
        assert.equal(again.body.id, made.body.id, 'repeated with its key, it is done once');
        if (clean) assert.equal(heard(second, 'r1').length, 0);
        for (const door of [second, watcher]) await door.close();
    }
});

test('requests by REST and by the api topic count together against a user\'s rate', { timeout: 60_000 }, async () => {
    const limited = await Stack.start({ parlor: { limits: 'on', connects_per_s: 1000000, rest_per_s: 5 } });
    try {
        const [eager, calm] = ['eager', 'calm'].map((id) => limited.user(id));
        const [door, other] = [await asking(eager), await asking(calm)];
        const request = { method: 'GET', path: '/chat/rooms' };
        const began = Date.now();
        const answers = await Promise.all([() => eager.rest('GET', '/chat/rooms'), () => ask(door, request)]
            .map((call) => Promise.all(Array.from({ length: 30 }, call))));
        const statuses = answers.flat().map(({ status }) => status);
        const served = statuses.filter((status) => status === 200).length;
        const may = 10 + Math.ceil((Date.now() - began) / 200);
        assert(served >= 10 && served <= may, `${served} of 60 were served, at most ${may} may be`);
        assert.deepEqual([...new Set(statuses)].sort(), [200, 429]);
        assert.equal((await ask(other, request)).status, 200, 'another user has a rate of its own');
        const bodies = answers.map((all) => all.find(({ status }) => status === 429).body);
        for (const body of bodies) delete body.requestId;
        assert.deepEqual(bodies[0], bodies[1]);
        assert.deepEqual([bodies[0].statusCode, bodies[0].code], [429, 'rate_limited']);
        await until('a while later it is served again', async () => (await ask(door, request)).status === 200);
        for (const client of [door, other]) await client.close();
    } finally {
        await limited.stop();
    }
});

test('a request whose parlord goes away is answered that it is uncertain, and done once when repeated', { timeout: 60_000 }, async () => {
    const door = await asking(stack.user('patient'));
    const request = { method: 'POST', path: '/chat/rooms', body: { type: 'group', name: 'Once', participantIds: [] }, idempotencyKey: 'once' };
    await stack.sql.query('BEGIN');
    await stack.sql.query('LOCK TABLE chat_rooms IN EXCLUSIVE MODE');
    const answer = ask(door, request);
    await until('the database has it', async () => (await stack.sql.query('SELECT 1 FROM pg_locks WHERE NOT granted')).rowCount > 0);
    await stack.killParlord();
    const { status, body } = await answer;
    assert.deepEqual([status, body.code], [503, 'uncertain']);
    await stack.sql.query('COMMIT');
    await stack.startParlord();
    const made = await until('it is served again', async () => {
        const again = await ask(door, request);
        return again.status === 201 && again;
    });
    assert.equal((await ask(door, request)).body.id, made.body.id);
    const { rows } = await stack.sql.query("SELECT count(*)::int AS n FROM chat_rooms WHERE name = 'Once'");
    assert.deepEqual(rows, [{ n: 1 }]);
    await door.close();
});
