// The README's Socket.IO lines, as printed there: they run through kills of parlord and of the broker while others
// send by MQTT and REST, and end with every message shown once and in order.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
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
function runSnippet(stack, user, room) {
    const shown = new EventLog('what the snippet shows');
    const child = spawn(process.execPath, ['-e', snippet()], {
        cwd: LIBRARIES,
        env: { PATH: process.env.PATH, PARLOR_URL: stack.url, PARLOR_TOKEN_ALICE: user.token, PARLOR_ROOM: room },
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
        client = runSnippet(stack, alice, room);
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
