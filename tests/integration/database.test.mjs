// The database away, hung or slow: the broker goes on, senders get a clear answer at once, and all goes on by
// itself when it is back. What was accepted before a SIGTERM is stored.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import test from 'node:test';
import { Stack } from './lib/stack.mjs';
import { until } from './lib/events.mjs';

// Sends by the door until the answer is `stored`; the codes of refusals on the way.
async function sendUntilStored(door, room, ms = 20_000) {
    const codes = [];
    const clientMessageId = randomUUID();
    const answer = await until('a message is stored again', async () => {
        const a = await door.send(room, { content: 'again', clientMessageId }, 5000).catch((error) => ({ code: error.message }));
        if (a.status === 'stored') return a;
        codes.push(a.code);
        return null;
    }, ms);
    return { answer, codes };
}

async function gauge(stack, name) {
    const page = await (await fetch(`http://127.0.0.1:${stack.adminPort}/metrics`)).text();
    return Number(page.match(new RegExp(`^${name} (\\d+)`, 'm'))[1]);
}

for (const [name, fail, mend] of [
    ['down', (s) => s.postgres.kill(), (s) => s.postgres.up()],
    ['hung', (s) => s.postgres.hang(), (s) => s.postgres.resume()],
]) {
    test(`the database is ${name}`, { timeout: 90_000 }, async () => {
        const stack = await Stack.start();
        try {
            const [alice, bob] = [stack.user('alice'), stack.user('bob')];
            const room = await stack.room([alice, bob]);
            const sender = await alice.mqtt();
            const socket = await alice.socket();
            const receiver = await bob.mqtt({ room, subscribe: [`chat/v1/rooms/${room}/typing/+`] });
            await sender.send(room, { content: 'before' });
            await fail(stack);

            // Everything is answered in two seconds, by code; but for the batch whose commit was under way when the
            // database stopped answering: nobody knows yet what became of that.
            const ids = Array.from({ length: 20 }, () => randomUUID());
            const under = ids.map((clientMessageId) => sender.send(room, { content: 'lost', clientMessageId }, 3000).catch(() => null));
            const answers = await Promise.all(under);
            const unknown = ids.filter((_, i) => answers[i] === null);
            assert(unknown.length <= (name === 'hung' ? 5 : 0), `${unknown.length} without an answer`);
            for (const a of answers.filter((answer) => answer !== null)) {
                assert.equal(a.status, 'rejected');
                assert(['unavailable', 'busy', 'database_unavailable'].includes(a.code), JSON.stringify(a));
            }
            const bySocket = await socket.send(room, { content: 'lost' }, 8000);
            assert.equal(bySocket.status, 'rejected');
            // The broker serves everything else meanwhile: a new connection and what passes straight through.
            const another = await bob.mqtt({ room });
            await sender.client.publishAsync(`chat/v1/rooms/${room}/typing/alice`, '{"isTyping":true}', { qos: 1 });
            await receiver.other.find((m) => m.topic.endsWith('/typing/alice'), 2000);
            assert(sender.client.connected && receiver.client.connected && socket.socket.connected);
            const health = await fetch(`${stack.url}/readyz`, { signal: AbortSignal.timeout(3000) });
            assert.equal(health.status, 503);
            assert((await fetch(`${stack.url}/healthz`, { signal: AbortSignal.timeout(3000) })).ok);

            await mend(stack);
            const { answer } = await sendUntilStored(sender, room);
            await receiver.seen.find((m) => m.id === answer.id);
            await another.seen.find((m) => m.id === answer.id);
            await stack.ready();
            const fromSocket = await sendUntilStored(socket, room);
            await receiver.seen.find((m) => m.id === fromSocket.answer.id);
            // What was unknown is answered now. What was rejected was not stored, and no number is missing.
            for (const id of unknown) await sender.acks.find((a) => a.clientMessageId === id);
            const history = await alice.history(room);
            const rejected = new Set(ids.filter((id) => !unknown.includes(id)));
            assert(!history.some((m) => rejected.has(m.clientMessageId)));
            assert.deepEqual(history.map((m) => m.seq), history.map((_, i) => i + 1));
            for (const door of [sender, socket, receiver, another]) await door.close();
        } finally {
            await stack.stop();
        }
    });
}

for (const [name, end] of [
    ['hangs', () => {}],
    ['breaks', async (stack) => {
        await until('they are under way', async () => (await gauge(stack, 'parlor_http_requests_under_way')) >= 7);
        await stack.postgres.kill();
    }],
]) {
    test(`the database ${name} under requests: a read is told to try again, a change that it is uncertain`, { timeout: 90_000 }, async () => {
        const stack = await Stack.start();
        try {
            const [alice, bob] = [stack.user('alice'), stack.user('bob')];
            const room = `/chat/rooms/${await stack.room([alice, bob])}`;
            stack.postgres.hang();
            const asked = [
                ['GET', '/chat/rooms'], ['GET', room], ['GET', `${room}/messages`], ['GET', `${room}/messages?search=x`],
                ['POST', '/chat/sync', {}], ['PATCH', room, { name: 'new' }], ['PATCH', `${room}/participants/bob/remove`],
            ].map(([method, path, body]) => alice.rest(method, path, body));
            await end(stack);
            const answers = await Promise.all(asked);
            for (const { status, body, headers } of answers) {
                assert.equal(status, 503, JSON.stringify(body));
                assert.equal(headers.get('retry-after'), '1');
                assert.doesNotMatch(body.hint, /Idempotency-Key/, 'none of these takes one');
            }
            const reads = answers.slice(0, 5).map(({ body }) => body);
            for (const { code, hint } of reads) assert.deepEqual([code, /try again/.test(hint)], ['database_unavailable', true], hint);
            const [renamed, removed] = answers.slice(5).map(({ body }) => body);
            assert.deepEqual([renamed.code, removed.code], ['uncertain', 'uncertain']);
            assert.match(renamed.hint, /^Repeat the request/);
            assert.match(removed.hint, /404 `participant_not_found`/);

            // One that starts now can't know yet who is in which room; a browser may read that, too.
            stack.configure({ cors_origins: 'https://app.example' });
            await stack.killParlord();
            stack.launchParlord();
            const starting = await until('parlord listens', () =>
                fetch(`${stack.url}/api/v1/chat/rooms`, { headers: { origin: 'https://app.example' } }).catch(() => null));
            const { code, requestId } = await starting.json();
            assert.deepEqual([starting.status, code], [503, 'starting']);
            assert.equal(starting.headers.get('access-control-allow-origin'), 'https://app.example');
            assert.equal(starting.headers.get('x-request-id'), requestId);
            assert.equal(starting.headers.get('retry-after'), '1');
        } finally {
            await stack.stop();
        }
    });
}

test('a locked room costs only its own messages', { timeout: 60_000 }, async () => {
    const stack = await Stack.start({ parlor: { lock_timeout_ms: 500 } });
    try {
        const [alice, bob] = [stack.user('alice'), stack.user('bob')];
        const [locked, free] = [await stack.room([alice, bob]), await stack.room([alice, bob])];
        const sender = await alice.mqtt();
        const locker = await stack.postgres.connect();
        await locker.query('BEGIN');
        await locker.query('SELECT 1 FROM chat_rooms WHERE id = $1 FOR UPDATE', [locked]);
        const [a, b] = await Promise.all([sender.send(locked, { content: 'stuck' }), sender.send(free, { content: 'free' })]);
        assert.deepEqual([a.status, a.code], ['rejected', 'busy']);
        assert.equal(b.status, 'stored');
        await locker.query('ROLLBACK');
        await locker.end();
        assert.equal((await sender.send(locked, { content: 'free again' })).seq, 1);
        await sender.close();
    } finally {
        await stack.stop();
    }
});

// As after a failover, or on a full disk: it answers, but can't write now. That is not the request's fault.
test('a database that may only be read is unavailable on every door', { timeout: 60_000 }, async () => {
    const stack = await Stack.start();
    try {
        const alice = stack.user('alice');
        const room = await stack.room([alice, stack.user('bob')]);
        const doors = [await alice.door('rest'), await alice.door('socket'), await alice.door('mqtt')];
        const readOnly = async (on) => {
            const client = await stack.postgres.connect();
            await client.query(`ALTER SYSTEM SET default_transaction_read_only = ${on}`);
            await client.query('SELECT pg_reload_conf()');
            await client.end();
        };
        const name = async () => alice.rest('POST', '/chat/rooms', { type: 'group', participantIds: ['bob'], name: 'x' });
        await readOnly('on');
        const made = await until('nothing is made', async () => {
            const answer = await name();
            return answer.status !== 201 && answer;
        });
        assert.deepEqual([made.status, made.body.code], [503, 'database_unavailable']);
        for (const door of doors) {
            const answer = await door.send(room, { content: 'not now' }, 5000);
            assert.deepEqual([answer.status, answer.code], ['rejected', 'unavailable']);
        }
        await readOnly('off');
        for (const door of doors) await sendUntilStored(door, room);
        assert.equal((await until('made again', async () => (await name()).status === 201 && { status: 201 })).status, 201);
        assert.equal((await stack.stored(room)).length, 3);
    } finally {
        await stack.stop();
    }
});

test('SIGTERM of the broker flushes what it accepted', { timeout: 60_000 }, async () => {
    const stack = await Stack.start({ parts: ['broker', 'parlord'] });
    try {
        const [alice, bob] = [stack.user('alice'), stack.user('bob')];
        const room = await stack.room([alice, bob]);
        await stack.parlord.end();
        const sender = await alice.mqtt();
        // A lock keeps the batch from committing until the broker has been asked to end.
        const locker = await stack.postgres.connect();
        await locker.query('BEGIN');
        await locker.query('SELECT 1 FROM chat_rooms WHERE id = $1 FOR UPDATE', [room]);
        const ids = Array.from({ length: 200 }, () => randomUUID());
        await Promise.all(ids.map((clientMessageId) => sender.publish(room, JSON.stringify({ content: 'x', clientMessageId }))));
        stack.broker.signal('SIGTERM');
        await locker.query('ROLLBACK');
        await locker.end();
        const { code } = await stack.broker.ended;
        assert.equal(code, 0);
        const rows = await stack.stored(room);
        assert.deepEqual(rows.map((r) => r.seq), ids.map((_, i) => i + 1), 'all that PUBACK was given for');
        assert.deepEqual(rows.map((r) => r.client_message_id), ids, 'in their order');
    } finally {
        await stack.stop();
    }
});
