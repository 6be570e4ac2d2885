// The README's Socket.IO lines, as printed there: they run through kills of parlord and of the broker while others
// send by MQTT and REST, and end with every message shown once and in order; and miss nothing that comes in one
// piece with the answer about what was missed.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';
import test from 'node:test';
import { EventLog, pause, until } from '../integration/lib/events.mjs';
import { Stack } from '../integration/lib/stack.mjs';

const LIBRARIES = new URL('../integration', import.meta.url).pathname; // where socket.io-client is installed
const KILLS = ['Parlord', 'Broker', 'Parlord', 'Broker'];
const BETWEEN = 150; // messages shown between two kills, at least
const FOR_GOOD = ['conflict', 'room_not_found', 'forbidden', 'invalid_message', 'invalid_token'];

function snippet() {
    const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
    const blocks = [...readme.matchAll(/```js\n([\s\S]*?)```/g)].map((m) => m[1]).filter((s) => s.includes('socket.io-client'));
    assert.equal(blocks.length, 1, 'one snippet with socket.io-client');
    return blocks[0];
}

// Runs it with node; what it shows, as {seq, senderId, content}.
function runSnippet(url, user, room, text = snippet()) {
    const shown = new EventLog('what the snippet shows');
    const child = spawn(process.execPath, ['-e', text], {
        cwd: LIBRARIES,
        env: { PATH: process.env.PATH, PARLOR_URL: url, PARLOR_TOKEN_ALICE: user.token, PARLOR_ROOM: room },
        stdio: ['ignore', 'pipe', 'inherit'],
    });
    createInterface({ input: child.stdout }).on('line', (line) => {
        const [, seq, senderId, content] = line.match(/^(\d+) (\S+) (.*)$/) ?? [];
        if (seq) shown.push({ seq: Number(seq), senderId, content });
    });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    return { shown, end: () => (child.kill(), ended), alive: () => child.exitCode === null };
}

// Sends one message after the other until told to stop, each with the same clientMessageId until it is stored.
async function keepSending(door, room, state) {
    for (let i = 0; !state.stop; i++) {
        const draft = { content: `${door.user.id} ${i}`, clientMessageId: randomUUID() };
        await until('a message is stored', async () => {
            const answer = await door.send(room, draft, 1000).catch(() => null);
            assert(!FOR_GOOD.includes(answer?.code), JSON.stringify(answer));
            return answer?.status === 'stored';
        }, 60_000);
        state.acked++;
    }
}

test('the README\'s snippet shows every message once and in order, whatever is killed', { timeout: 200_000 }, async () => {
    const stack = await Stack.start();
    const state = { stop: false, acked: 0 };
    let client;
    try {
        const [alice, bob, carol] = ['alice', 'bob', 'carol'].map((id) => stack.user(id));
        const room = await stack.room([alice, bob, carol]);
        const doors = [await bob.mqtt({ keep: true, clientId: 'bob:load', clean: false }), await carol.door('rest')];
        for (let i = 0; i < 4; i++) doors.push(await carol.mqtt({ keep: true, clientId: `carol:load${i}`, clean: false }));
        const senders = doors.map((door) => keepSending(door, room, state));
        client = runSnippet(stack.url, alice, room);
        for (const name of KILLS) {
            await client.shown.count(client.shown.items.length + BETWEEN, 60_000);
            await stack[`kill${name}`]();
            await pause(300); // the others go on sending where they can
            await stack[`start${name}`]();
        }
        await client.shown.count(client.shown.items.length + BETWEEN, 60_000);
        state.stop = true;
        await Promise.all(senders);
        await stack.ready();
        const history = await bob.history(room);
        await client.shown.find((m) => m.seq === history.length, 30_000);
        assert.deepEqual(client.shown.items.map((m) => m.seq), history.map((m) => m.seq), 'no gap, no double, in order');
        assert.deepEqual(client.shown.items.map((m) => m.content), history.map((m) => m.content));
        assert.equal(history.filter((m) => m.senderId === 'alice').length, 1, 'and sends its own one once');
        assert(client.alive(), 'it goes on');
        for (const door of doors) await door.close();
    } finally {
        state.stop = true;
        await client?.end();
        await stack.stop();
    }
});

// A way to the service that keeps back what follows the namespace's answer, until let(): then it comes at once.
async function holdingProxy(target) {
    const held = [];
    let holds = false, end = () => {};
    const server = createServer((client) => {
        const service = connect({ port: new URL(target).port, host: '127.0.0.1' });
        client.pipe(service);
        service.on('data', (bytes) => {
            if (holds) return held.push(bytes);
            client.write(bytes);
            holds = bytes.includes('40/chat,{"sid"');
        });
        for (const [one, other] of [[client, service], [service, client]]) one.on('error', () => {}).on('close', () => other.destroy());
        proxy.let = () => (holds = false, client.write(Buffer.concat(held.splice(0))));
        end = () => client.destroy();
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const proxy = {
        url: `http://127.0.0.1:${server.address().port}`,
        holds: (text) => Buffer.concat(held).includes(text),
        end: () => (end(), server.close()),
    };
    return proxy;
}

test('the README\'s snippet shows what comes in one piece with the answer', { timeout: 60_000 }, async () => {
    const stack = await Stack.start();
    let client, proxy;
    try {
        const [alice, bob] = ['alice', 'bob'].map((id) => stack.user(id));
        const room = await stack.room([alice, bob]);
        const door = await bob.door('rest');
        await door.send(room, { content: 'missed' });
        proxy = await holdingProxy(stack.url);
        // Without long polling, where one piece holds one answer; and silent, to leave the numbers to bob.
        const text = snippet().replace('/chat", {', '/chat", { transports: ["websocket"],').replace(/^send\(.*$/m, '');
        assert.match(text, /websocket/);
        client = runSnippet(proxy.url, alice, room, text);
        await until('the answer is kept back', () => proxy.holds('"missed":[{'), 20_000);
        await door.send(room, { content: 'right behind it' });
        await until('the message too', () => proxy.holds('right behind it'));
        proxy.let();
        await client.shown.count(2);
        assert.deepEqual(client.shown.items.map((m) => [m.seq, m.content]), [[1, 'missed'], [2, 'right behind it']]);
    } finally {
        await client?.end();
        proxy?.end();
        await stack.stop();
    }
});
