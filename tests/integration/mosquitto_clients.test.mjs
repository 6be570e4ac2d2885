// mosquitto_sub and mosquitto_pub as clients, as people use them in a shell.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { Stack } from './lib/stack.mjs';
import { EventLog } from './lib/events.mjs';

function run(tool, user, args) {
    // By lines, also what -d says.
    const child = spawn('stdbuf', ['-oL', tool, '-p', `${user.stack.mqttPort}`, '-u', user.id, '-P', user.token, ...args]);
    const lines = new EventLog(tool);
    let rest = '';
    for (const stream of [child.stdout, child.stderr]) {
        stream.on('data', (part) => {
            const parts = (rest + part).split('\n');
            rest = parts.pop();
            for (const line of parts) lines.push(line);
        });
    }
    return { child, lines, ended: new Promise((resolve) => child.on('close', resolve)) };
}

test('mosquitto_sub sees what mosquitto_pub sends, and what it sends reaches the other doors', { timeout: 60_000 }, async () => {
    const stack = await Stack.start();
    try {
        const [alice, bob, mallory] = ['alice', 'bob', 'mallory'].map((id) => stack.user(id));
        const room = await stack.room([alice, bob]);
        const socket = await bob.socket({ room });
        const listening = run('mosquitto_sub', bob, ['-d', '-v', '-q', '1', '-t', `chat/v1/rooms/${room}/messages`, '-t', 'chat/v1/users/bob/#']);
        await listening.lines.find((line) => /SUBACK/.test(line));
        const acks = run('mosquitto_sub', alice, ['-d', '-t', 'chat/v1/users/alice/acks']);
        await acks.lines.find((line) => /SUBACK/.test(line));

        const send = run('mosquitto_pub', alice, ['-q', '1', '-t', `chat/v1/rooms/${room}/send/alice`, '-m', '{"content":"from a shell","clientMessageId":"shell-1"}']);
        assert.equal(await send.ended, 0);
        const line = await listening.lines.find((l) => l.startsWith(`chat/v1/rooms/${room}/messages `));
        const message = JSON.parse(line.slice(line.indexOf('{')));
        assert.deepEqual([message.content, message.seq, message.senderId], ['from a shell', 1, 'alice']);
        const ack = JSON.parse(await acks.lines.find((l) => l.startsWith('{')));
        assert.deepEqual([ack.status, ack.id, ack.seq, ack.clientMessageId], ['stored', message.id, 1, 'shell-1']);
        assert.deepEqual(await socket.seen.find((m) => m.id === message.id), message);

        const spy = run('mosquitto_sub', mallory, ['-d', '-t', `chat/v1/rooms/${room}/messages`]);
        await spy.lines.find((l) => /denied|All subscription requests were denied|128/i.test(l));
        // Not SIGTERM: mosquitto_sub then says goodbye, and tries forever if the broker ends meanwhile.
        for (const { child } of [listening, acks, spy]) child.kill('SIGKILL');
        await Promise.all([listening, acks, spy].map((client) => client.ended));
        await socket.close();
    } finally {
        await stack.stop();
    }
});

// ---- What is to be pasted, as it is printed.

// The one block of a document that has the text.
function block(path, text) {
    const document = readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
    const found = [...document.matchAll(/^```\w*\n([\s\S]*?)^```$/gm)].map(([, lines]) => lines).filter((lines) => lines.includes(text));
    assert.equal(found.length, 1, `one block of ${path} has ${text}`);
    return found[0];
}

test('the lines of README.md and topics.md do what they say', { timeout: 60_000 }, async () => {
    const stack = await Stack.start();
    try {
        const [alice, bob] = ['alice', 'bob'].map((id) => stack.user(id));
        const room = await stack.room([alice, bob], { name: 'Demo' });
        const ENV = 'eval "$(./dev env)"\n'; // what it would set is set here
        const paste = (lines) => {
            const child = spawn('sh', ['-c', lines.replace(ENV, '').replace(/^mosquitto_sub/m, 'exec stdbuf -oL mosquitto_sub -d')], {
                env: {
                    PATH: process.env.PATH, PARLOR_MQTT_PORT: `${stack.mqttPort}`, PARLOR_URL: stack.url, PARLOR_ROOM: room,
                    PARLOR_TOKEN_ALICE: alice.token, PARLOR_TOKEN_BOB: bob.token,
                },
            });
            const out = new EventLog(lines.slice(0, 60));
            let rest = '';
            child.stdout.on('data', (part) => {
                const parts = (rest + part).split('\n');
                rest = parts.pop();
                for (const line of parts) out.push(line);
            });
            return { child, out, ended: new Promise((resolve) => child.on('close', (code) => resolve({ code, rest }))) };
        };
        const [listening, speaking] = [block('README.md', 'mosquitto_sub'), block('README.md', 'mosquitto_pub')];
        for (const lines of [listening, speaking]) assert(lines.startsWith(ENV), lines);
        const heard = paste(listening);
        await heard.out.find((line) => /SUBACK/.test(line));
        const spoken = await paste(speaking).ended;
        assert.equal(spoken.code, 0);
        assert.equal(JSON.parse(spoken.rest).content, 'hello by REST');
        for (const [seq, content] of [[1, 'hello by MQTT'], [2, 'hello by REST']]) {
            const message = JSON.parse(await heard.out.find((line) => line.startsWith('{') && line.includes(content)));
            assert.deepEqual([message.seq, message.senderId, message.content], [seq, 'alice', content]);
        }
        heard.child.kill('SIGKILL');
        await heard.ended;

        const asked = paste(block('topics.md', 'mosquitto_rr'));
        const { status, body } = JSON.parse(await asked.out.find((line) => line.startsWith('{')));
        assert.deepEqual([status, body.data.map((r) => [r.id, r.name])], [200, [[room, 'Demo']]]);
        assert.equal((await asked.ended).code, 0);
    } finally {
        await stack.stop();
    }
});
