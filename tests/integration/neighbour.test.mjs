// A good neighbour: Parlor in a broker that already serves others by acl_file and password_file.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, chmodSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import test from 'node:test';
import { Stack } from './lib/stack.mjs';
import { connectMqtt, nowSeconds, signToken } from './lib/clients.mjs';
import { EventLog, pause, until } from './lib/events.mjs';

function files() {
    const folder = mkdtempSync(`${tmpdir()}/parlor-neighbour-`);
    chmodSync(folder, 0o755);
    writeFileSync(`${folder}/passwd`, '');
    execFileSync('mosquitto_passwd', ['-b', `${folder}/passwd`, 'sensor', 'sensor-password']);
    writeFileSync(`${folder}/acl`, 'user sensor\ntopic readwrite plant/#\ntopic readwrite chat/v1/rooms/#\n\nuser alice\ntopic read plant/temperature\n');
    chmodSync(`${folder}/passwd`, 0o644);
    chmodSync(`${folder}/acl`, 0o644);
    return folder;
}

// Connects, and keeps what comes in.
async function device(stack, username, password, more = {}) {
    const client = await connectMqtt(stack, { username, password, protocolVersion: 5, ...more });
    client.seen = new EventLog(username);
    client.on('message', (topic, payload) => client.seen.push({ topic, text: payload.toString() }));
    return client;
}

async function granted(client, filter) {
    const answer = await client.subscribeAsync(filter, { qos: 1 }).catch(() => [{ qos: 128 }]);
    return answer.every((g) => g.qos < 128);
}

for (const outside of ['defer', 'allow']) {
    test(`outside_prefix ${outside}`, { timeout: 60_000 }, async () => {
        const folder = files();
        const stack = await Stack.start({
            parlor: { outside_prefix: outside },
            broker: [`acl_file ${folder}/acl`, `password_file ${folder}/passwd`],
        });
        try {
            const sensor = await device(stack, 'sensor', 'sensor-password');
            await assert.rejects(connectMqtt(stack, { username: 'sensor', password: 'wrong' }), 'the password_file still decides');
            await assert.rejects(connectMqtt(stack, {}), 'nobody comes in unnamed');
            const [alice, bob] = [stack.user('alice'), stack.user('bob')];
            const room = await stack.room([alice, bob]);
            const user = await device(stack, 'alice', alice.token);

            // The device's own topics go on as the acl_file says.
            assert(await granted(sensor, 'plant/#'));
            await sensor.publishAsync('plant/temperature', '21', { qos: 1 });
            await sensor.seen.find((m) => m.topic === 'plant/temperature');

            // Below the prefix no acl_file opens anything.
            assert(!(await granted(sensor, `chat/v1/rooms/${room}/messages`)));
            await assert.rejects(sensor.publishAsync(`chat/v1/rooms/${room}/messages`, 'forged', { qos: 1 }));
            await assert.rejects(sensor.publishAsync(`chat/v1/rooms/${room}/send/alice`, '{"content":"forged"}', { qos: 1 }));

            // A user of Parlor outside the prefix: the acl_file decides, or all is open.
            assert(await granted(user, 'plant/temperature'));
            await sensor.publishAsync('plant/temperature', '22', { qos: 1 });
            await user.seen.find((m) => m.text === '22');
            if (outside === 'defer') {
                await assert.rejects(user.publishAsync('plant/temperature', '99', { qos: 1 }), 'read only by the acl_file');
            } else {
                await user.publishAsync('plant/pressure', '1013', { qos: 1 });
                await sensor.seen.find((m) => m.topic === 'plant/pressure');
            }
            // And the chat works beside it.
            const receiver = await bob.mqtt({ room });
            const sender = await alice.mqtt();
            const answer = await sender.send(room, { content: 'beside' });
            await receiver.seen.find((m) => m.id === answer.id);
            assert.equal((await stack.stored(room)).length, 1);
            for (const client of [sensor, user]) await client.endAsync(true);
            await sender.close();
            await receiver.close();
        } finally {
            await stack.stop();
            rmSync(folder, { recursive: true });
        }
    });
}

test('a will outside the prefix is published when the connection ends with its token, and none below it', { timeout: 60_000 }, async () => {
    const stack = await Stack.start({ parlor: { outside_prefix: 'allow' } });
    try {
        const [alice, bob] = ['alice', 'bob'].map((id) => stack.user(id));
        const room = await stack.room([alice, bob]);
        const hearer = await device(stack, 'bob', bob.token);
        for (const filter of ['plant/#', `chat/v1/rooms/${room}/#`]) assert(await granted(hearer, filter));
        for (const options of [{ protocolVersion: 4 }, { protocolVersion: 5 }, { ws: true, protocolVersion: 4 }, { ws: true, protocolVersion: 5 }]) {
            const payload = JSON.stringify({ isTyping: true, options });
            for (const topic of [`chat/v1/rooms/${room}/typing/alice`, 'plant/will']) {
                const password = signToken({ sub: 'alice', exp: nowSeconds() + 2 }, stack.secret);
                await device(stack, 'alice', password, { ...options, will: { topic, payload, qos: 1 } });
            }
            await hearer.seen.find((m) => m.topic === 'plant/will' && m.text === payload);
        }
        assert.deepEqual(hearer.seen.items.filter((m) => m.topic !== 'plant/will'), []);
        await hearer.endAsync(true);
    } finally {
        await stack.stop();
    }
});

test('a reload asks for sessions that are offline, and changes nothing about them', { timeout: 60_000 }, async () => {
    const folder = files();
    const stack = await Stack.start({ broker: [`acl_file ${folder}/acl`, `password_file ${folder}/passwd`], parlor: { presence_grace_ms: 100 } });
    try {
        const [alice, bob] = ['alice', 'bob'].map((id) => stack.user(id));
        await stack.room([alice, bob]);
        // Sessions that live on under an id of no name: by their expiry, and by a will that waits.
        const session = { protocolVersion: 5, clean: true, properties: { sessionExpiryInterval: 600 } };
        const will = { topic: 'plant/will', payload: 'x', qos: 1, properties: { willDelayInterval: 600 } };
        const short = signToken({ sub: 'alice', exp: nowSeconds() + 3 }, stack.secret);
        for (const [clientId, password] of [['plain-valid', alice.token], ['plain-expired', short]])
            (await connectMqtt(stack, { ...session, username: 'alice', password, clientId })).stream.destroy();
        (await connectMqtt(stack, { username: 'alice', password: short, protocolVersion: 5, clientId: 'plain-will', will })).stream.destroy();
        await (await device(stack, 'sensor', 'sensor-password', { ...session, clientId: 'plain-device' })).endAsync();
        const hearer = await device(stack, 'bob', bob.token);
        assert(await granted(hearer, 'chat/v1/users/alice/presence'));
        await hearer.seen.find((m) => m.text.includes('"offline"'));
        await pause(3500);
        const lines = () => readFileSync(`${stack.folder}/mosquitto.log`, 'utf8').split('\n');
        const before = lines().length - 1;
        stack.broker.signal('SIGHUP');
        await until('it has reloaded', () => lines().slice(before).some((line) => line.includes('Reloading config')));
        await pause(500);
        assert.deepEqual(lines().slice(before).filter((line) => line.includes('plain-')), [], 'nobody is refused or disconnected once more');
        assert.deepEqual(hearer.seen.items.filter((m) => m.text.includes('"online"') && m !== hearer.seen.items[0]), []);
        const own = await device(stack, 'alice', alice.token, { clientId: 'plain-device' }); // held by nobody
        await Promise.all([own.endAsync(true), hearer.endAsync(true)]);
    } finally {
        await stack.stop();
        rmSync(folder, { recursive: true });
    }
});

test('a device has its own sessions, and none of a user', { timeout: 60_000 }, async () => {
    const folder = files();
    const stack = await Stack.start({ broker: [`acl_file ${folder}/acl`, `password_file ${folder}/passwd`] });
    try {
        const [alice, bob] = ['alice', 'bob'].map((id) => stack.user(id));
        const room = await stack.room([alice, bob]);
        const sender = await alice.mqtt();
        const asDevice = (more) => device(stack, 'sensor', 'sensor-password', more);
        for (const v of [{ protocolVersion: 4, clean: false }, { protocolVersion: 5, clean: false, properties: { sessionExpiryInterval: 600 } }]) {
            const session = { ...v, clientId: `bob:v${v.protocolVersion}` };
            await (await bob.mqtt({ room, ...session })).close();
            await sender.send(room, { content: `missed by ${session.clientId}` });
            for (const clean of [false, true]) await assert.rejects(asDevice({ ...session, clean }), ({ code }) => [5, 135].includes(code));
            await assert.rejects(asDevice({ ...session, clientId: 'bob:other' }), 'whatever is behind the name');
            const resumed = await bob.mqtt(session);
            await resumed.seen.find((m) => m.content === `missed by ${session.clientId}`);
            await resumed.close();
            // Its own, a hardware address as the id, go on as before.
            const own = { ...v, clientId: 'aa:bb:cc:00:11:22' };
            await (await asDevice(own)).endAsync();
            const again = await asDevice(own);
            await again.endAsync();
        }
        await sender.close();
    } finally {
        await stack.stop();
        rmSync(folder, { recursive: true });
    }
});
