// A broker that starts again: clients whose libraries subscribe by themselves hear what is theirs, also when the
// database comes later than they do.
import assert from 'node:assert/strict';
import test from 'node:test';
import { connectMqtt } from './lib/clients.mjs';
import { until } from './lib/events.mjs';
import { Stack } from './lib/stack.mjs';

test('who comes at once after a start is granted what is theirs', { timeout: 90_000 }, async () => {
    const stack = await Stack.start();
    try {
        const [alice, bob] = [stack.user('alice'), stack.user('bob')];
        const room = await stack.room([alice, bob]);
        for (let round = 0; round < 5; round++) {
            await stack.killBroker();
            const starting = stack.startBroker();
            const client = await until('the broker takes a client', () =>
                connectMqtt(stack, { username: 'bob', password: bob.token }).catch(() => null), 30_000);
            const [granted] = await client.subscribeAsync(`chat/v1/rooms/${room}/messages`, { qos: 1 });
            assert.equal(granted.qos, 1, `round ${round}`);
            await client.endAsync(true);
            await starting;
        }
    } finally {
        await stack.stop();
    }
});

test('who subscribes while the database is away hears when it is back; a stranger is told then', { timeout: 90_000 }, async () => {
    const stack = await Stack.start();
    try {
        const [alice, bob, mallory] = ['alice', 'bob', 'mallory'].map((id) => stack.user(id));
        const room = await stack.room([alice, bob]);
        const receiver = await bob.mqtt({ room, keep: true });
        const subscribed = (client) => new Promise((resolve) =>
            client.on('packetreceive', (packet) => packet.cmd === 'suback' && resolve(packet.granted)));
        const again = subscribed(receiver.client);
        await stack.postgres.kill();
        await stack.killBroker();
        await stack.startBroker();
        assert(!(await again).includes(0x80), 'granted on credit');
        const stranger = await connectMqtt(stack, { username: 'mallory', password: mallory.token });
        await stranger.subscribeAsync(`chat/v1/rooms/${room}/messages`, { qos: 1 });
        const gone = new Promise((resolve) => stranger.once('close', resolve));
        await stack.postgres.up();
        await gone;
        await stack.ready();
        const back = await connectMqtt(stack, { username: 'mallory', password: mallory.token });
        await assert.rejects(back.subscribeAsync(`chat/v1/rooms/${room}/messages`, { qos: 1 }));
        const sender = await alice.mqtt();
        const ack = await until('a message is stored again', async () => {
            const a = await sender.send(room, { content: 'do you hear me' });
            return a.status === 'stored' && a;
        }, 20_000);
        await receiver.seen.find((m) => m.id === ack.id);
        for (const client of [stranger, back]) await client.endAsync(true);
        for (const door of [sender, receiver]) await door.close();
    } finally {
        await stack.stop();
    }
});

// What clients do that subscribe when they connect, as most programs of paho are written.
test('who was refused because members could not be read is disconnected when they can', { timeout: 90_000 }, async () => {
    const stack = await Stack.start({ parlor: { members_stale_s: 2 } });
    try {
        const [alice, bob] = [stack.user('alice'), stack.user('bob')];
        const room = await stack.room([alice, bob]);
        await stack.postgres.kill();
        const client = await connectMqtt(stack, { username: 'bob', password: bob.token });
        await until('too old for new grants', () =>
            client.subscribeAsync(`chat/v1/rooms/${room}/messages`, { qos: 1 }).then(() => false, () => true), 20_000);
        const gone = new Promise((resolve) => client.once('close', resolve));
        await stack.postgres.up();
        await gone;
        const again = await connectMqtt(stack, { username: 'bob', password: bob.token });
        const [granted] = await again.subscribeAsync(`chat/v1/rooms/${room}/messages`, { qos: 1 });
        assert.equal(granted.qos, 1);
        for (const c of [client, again]) await c.endAsync(true);
    } finally {
        await stack.stop();
    }
});
