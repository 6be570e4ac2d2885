// Clients that open thousands of sockets, send half of something, never poll, or flood: each meets its limit, with the
// answer that the documentation states, and is counted in /metrics.
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { connect } from 'node:net';
import test, { after, before } from 'node:test';
import { Stack } from './lib/stack.mjs';
import { until } from './lib/events.mjs';
import { WireSocket, frame, openPolling, poll } from './lib/wire.mjs';

const STRANGERS = 5;
const PER_USER = 3;
const PACKETS = 20; // a second
const REQUEST_MS = 1500;
let stack, alice, bob;

before(async () => {
    stack = await Stack.start({
        parlor: {
            limits: 'on', connects_per_s: 1000000, strangers_address_max: STRANGERS, connections_user_max: PER_USER,
            socket_packets_per_s: PACKETS, request_timeout_ms: REQUEST_MS, socket_connect_timeout_ms: 2000,
            socket_ping_interval_ms: 1000, socket_ping_timeout_ms: 1000, sends_per_s: 5, sends_burst: 5, cors_origins: 'https://app.example',
        },
    });
    [alice, bob] = ['alice', 'bob'].map((id) => stack.user(id));
});
after(() => stack.stop());

async function metric(line) {
    const page = await (await fetch(`http://127.0.0.1:${stack.adminPort}/metrics`)).text();
    const found = page.split('\n').find((l) => l.startsWith(`${line} `));
    assert(found, `${line} is in /metrics`);
    return Number(found.slice(line.length + 1));
}

// Counts a metric's rise over what happens.
async function rises(line, by, what) {
    const before = await metric(line);
    await what();
    await until(`${line} rises by ${by}`, async () => (await metric(line)) === before + by);
}

const HANDSHAKE = 'EIO=4&transport=polling';

test('sessions without a token: so many of an address, then 429, until some leave or are known', { timeout: 30_000 }, async () => {
    const open = [];
    await rises('parlor_socket_sessions_refused_total{limit="strangers"}', 3, async () => {
        for (let i = 0; i < STRANGERS; i++) open.push(await WireSocket.open(stack));
        const refused = await poll(stack, HANDSHAKE);
        assert.equal(refused.status, 429);
        assert.deepEqual(JSON.parse(refused.text), { code: 4, message: 'Too many sessions of this address without a token' });
        assert.equal((await WireSocket.open(stack)).status, 429);
        // The namespace "/" asks for no token and makes nobody known; /chat does.
        open[0].say('40');
        await open[0].text('40{"sid"');
        assert.equal((await poll(stack, HANDSHAKE)).status, 429);
        open[0].say(`40/chat,${JSON.stringify({ token: alice.token })}`);
        await open[0].text('40/chat,');
        open.push(await WireSocket.open(stack));
        assert.equal(open.at(-1).status, 101);
    });
    for (const wire of open) wire.close();
    await until('places are free again', async () => (await poll(stack, HANDSHAKE)).status === 200);
});

test('a session that never comes into a namespace is closed', { timeout: 20_000 }, async () => {
    await until('places are free', async () => (await metric('parlor_socket_sessions{transport="polling"}')) === 0);
    await rises('parlor_socket_sessions_ended_total{reason="closed"}', 1, async () => {
        const wire = await WireSocket.open(stack);
        const pong = setInterval(() => wire.say('3'), 500);
        assert.deepEqual(await wire.heard.find((f) => f.close), { close: 1000 });
        clearInterval(pong);
    });
});

test('half a frame, and never polling: the ping\'s timeout ends them', { timeout: 20_000 }, async () => {
    await rises('parlor_socket_sessions_ended_total{reason="ping_timeout"}', 2, async () => {
        const wire = await WireSocket.open(stack);
        wire.say(`40/chat,${JSON.stringify({ token: alice.token })}`);
        await wire.text('40/chat,');
        wire.socket.write(frame('42/chat,["send_message",{}]').subarray(0, 12)); // no pong can follow
        const query = await openPolling(stack);
        await poll(stack, query, { body: `40/chat,${JSON.stringify({ token: alice.token })}` });
        await wire.heard.find((f) => f.close);
        await until('the one that does not poll is gone', async () => (await poll(stack, query, { body: '6' })).status === 400);
    });
});

test('half a request is cut off, and not counted against others', { timeout: 20_000 }, async () => {
    await rises('parlor_http_connections_cut_total', 3, async () => {
        const began = Date.now();
        const halves = ['', 'GET /api/v1/chat/rooms HT', 'POST /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n4'];
        await Promise.all(halves.map((half) => new Promise((resolve) => {
            const socket = connect(stack.httpPort, '127.0.0.1', () => socket.write(half));
            socket.on('error', () => {});
            socket.on('close', resolve);
            socket.resume();
        })));
        assert(Date.now() - began >= REQUEST_MS, 'not before its time');
    });
});

test('a flood of packets ends its session alone, with 1008', { timeout: 20_000 }, async () => {
    const other = await bob.socket();
    await rises('parlor_socket_sessions_ended_total{reason="flood"}', 2, async () => {
        for (const packet of [frame('6'), frame('', 9)]) {
            const wire = await WireSocket.open(stack);
            wire.socket.write(Buffer.concat(Array.from({ length: PACKETS * 5 + 20 }, () => packet)));
            assert.deepEqual(await wire.heard.find((f) => f.close), { close: 1008 });
        }
    });
    assert(other.socket.connected);
    await other.close();
});

test('a flood of events is answered rate_limited, by ack and by exception', { timeout: 20_000 }, async () => {
    const room = await stack.room([alice, bob]);
    const socket = await alice.socket();
    await rises('parlor_socket_events_limited_total', 3, async () => {
        // All at once, before the rate allows one more.
        const asked = Array.from({ length: 7 }, (_, i) => socket.emit('send_message', { chatRoomId: room, content: `${i}` }));
        socket.socket.emit('send_message', { chatRoomId: room, content: 'unasked' });
        const answers = await Promise.all(asked);
        assert.deepEqual(answers.map((a) => a.code ?? a.status), ['ok', 'ok', 'ok', 'ok', 'ok', 'rate_limited', 'rate_limited']);
        const { args } = await socket.other.find((e) => e.event === 'exception');
        assert.equal(args[0].code, 'rate_limited');
    });
    await socket.close();
});

// Each makes the broker check a signature, which by some keys takes it a millisecond.
test('a flood of renewals is answered rate_limited, and renewals go on', { timeout: 20_000 }, async () => {
    const door = await alice.mqtt();
    const renew = () => door.client.publishAsync('chat/v1/users/alice/token/alice', alice.token, { qos: 1 });
    const count = (what) => door.acks.items.filter((a) => a.status === what || a.code === what).length;
    await Promise.all(Array.from({ length: 40 }, renew));
    await until('all are answered', () => count('renewed') + count('rate_limited') === 40);
    assert(count('renewed') >= 10 && count('renewed') <= 15, `${count('renewed')} were taken`);
    const taken = count('renewed');
    await until('one is taken again', async () => (await renew(), count('renewed') > taken));
    await door.close();
});

test('sockets of one user: so many in each namespace, the next is refused', { timeout: 20_000 }, async () => {
    const carol = stack.user('carol');
    for (const namespace of ['/chat', '/calls']) {
        const open = [];
        for (let i = 0; i < PER_USER; i++) open.push(await carol.socket({ namespace }));
        await assert.rejects(carol.socket({ namespace }), (error) => {
            assert.deepEqual([error.message, error.data], ['Too many connections', { code: 'too_many_connections' }]);
            return true;
        });
        await open.pop().close();
        await until('a place is free again', () => carol.socket({ namespace }).then((door) => open.push(door), () => false));
        for (const door of open) await door.close();
    }
});

// What a request is answered with before it is known whose it is.
function askRaw(method, path, headers, body) {
    return new Promise((resolve, reject) => {
        const asked = request({ port: stack.httpPort, host: '127.0.0.1', method, path, headers, agent: false }, (answer) => {
            let text = '';
            answer.setEncoding('utf8').on('data', (part) => (text += part));
            answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, body: JSON.parse(text) }));
        });
        asked.on('error', reject);
        asked.end(body);
    });
}

test('a browser of an allowed origin may read every refusal, early ones too', { timeout: 20_000 }, async () => {
    const large = 'x'.repeat(256 * 1024 + 1);
    for (const [method, path, headers, body, status, code] of [
        ['GET', '/api/v1/chat/rooms/%00', {}, undefined, 400, 'bad_path'],
        ['BREW', '/api/v1/chat/rooms', {}, undefined, 501, 'unknown_method'],
        ['POST', '/api/v1/chat/rooms', { 'content-length': large.length }, large, 413, 'payload_too_large'],
        ['POST', '/api/v1/chat/rooms', { 'transfer-encoding': 'chunked' }, large, 413, 'payload_too_large'],
        ['GET', '/api/v1/chat/rooms', {}, undefined, 401, 'invalid_token'], // the router's own
    ]) {
        const allowed = await askRaw(method, path, { ...headers, origin: 'https://app.example' }, body);
        assert.deepEqual([allowed.status, allowed.body.code], [status, code]);
        assert.equal(allowed.headers['access-control-allow-origin'], 'https://app.example', code);
        assert.equal(allowed.headers['access-control-allow-credentials'], 'true', code);
        assert.match(allowed.headers['access-control-expose-headers'], /X-Request-Id/, code);
        assert.equal(allowed.headers.vary, 'Origin', code);
        const stranger = await askRaw(method, path, { ...headers, origin: 'https://other.example' }, body);
        assert.equal(stranger.status, status);
        assert.equal(stranger.headers['access-control-allow-origin'], undefined, code);
    }
});

// What libmicrohttpd has room for is answered, without waiting for the next event; what it has not is closed by it.
test('a large head is answered at once, or its connection closed', { timeout: 20_000 }, async () => {
    const answered = (head) => new Promise((resolve) => {
        const socket = connect(new URL(stack.url).port, '127.0.0.1', () => socket.write(head));
        let text = '';
        socket.on('data', (bytes) => (text += bytes, text.includes('\r\n\r\n') && (socket.destroy(), resolve(Number(text.slice(9, 12))))));
        socket.on('error', () => {}).on('close', () => resolve('closed'));
    });
    const seen = new Set();
    for (let size = 12_000; size < 27_000; size += 200) {
        seen.add(await answered(`GET /${'a'.repeat(size)} HTTP/1.1\r\nHost: x\r\n\r\n`));
        seen.add(await answered(`GET /healthz HTTP/1.1\r\nHost: x\r\nCookie: ${'a'.repeat(size)}\r\n\r\n`));
    }
    assert.deepEqual([...seen].sort(), [200, 404, 414, 431, 'closed']);
});

test('limits off: no rates and no counts', { timeout: 30_000 }, async () => {
    const free = await Stack.start({ parlor: { strangers_address_max: 2, connections_user_max: 1, connects_per_s: 1, socket_packets_per_s: 10, sends_per_s: 1, sends_burst: 1 } });
    try {
        const dave = free.user('dave');
        const wires = await Promise.all(Array.from({ length: 20 }, () => WireSocket.open(free)));
        assert(wires.every((wire) => wire.status === 101));
        for (let i = 0; i < 200; i++) wires[0].say('6');
        wires[0].say(`40/chat,${JSON.stringify({ token: dave.token })}`);
        await wires[0].text('40/chat,');
        const second = await dave.socket();
        for (let i = 0; i < 20; i++) assert.equal((await second.emit('leave_chat', { chatRoomId: 'x' })).code, 'invalid_message');
        await second.close();
        for (const wire of wires) wire.close();
    } finally {
        await free.stop();
    }
});
