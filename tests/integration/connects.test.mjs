// How often an address may connect by MQTT and how many connections a user may have on each door, with the limits as
// they are by default; and that the service's own connections are not counted.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import test, { after, before } from 'node:test';
import mqtt from 'mqtt';
import { Stack } from './lib/stack.mjs';
import { until } from './lib/events.mjs';
import { MqttDoor, connectMqtt } from './lib/clients.mjs';

const PER_USER = 20;
const PER_S = 20;
const BURST = 5 * PER_S;
const PARLORD = '127.0.0.1';
const [CROWD, OTHER] = ['127.0.0.2', '127.0.0.3'];
let stack, alice, bob;

before(async () => {
    stack = await Stack.start({ parlor: { limits: 'on', service_addresses: PARLORD } });
    [alice, bob] = ['alice', 'bob'].map((id) => stack.user(id));
});
after(() => stack?.stop());

const brokerLog = () => readFileSync(`${stack.folder}/mosquitto.log`, 'utf8');

// One CONNECT from an address: 'accepted', or the broker's reason; it ends at once.
function knock(user, localAddress, protocolVersion = 4) {
    const stream = () => connect({ port: stack.mqttPort, host: '127.0.0.1', localAddress });
    const client = new mqtt.MqttClient(stream, { username: user.id, password: user.token, protocolVersion, reconnectPeriod: 0 });
    return new Promise((resolve) => {
        client.once('connect', () => client.end(true, {}, () => resolve('accepted')));
        client.once('error', ({ code }) => client.end(true, {}, () => resolve(code)));
    });
}

// Half as many at once as a user may have, so that it is the address's limit that is met, also on a slow machine.
const knocks = (user, localAddress, protocolVersion) =>
    Promise.all(Array.from({ length: PER_USER / 2 }, () => knock(user, localAddress, protocolVersion)));

test('an address connects so often, then is refused, while others and parlord come in', { timeout: 60_000 }, async () => {
    const began = Date.now();
    const answers = [];
    while (answers.length < 4 * BURST && answers.filter((a) => a !== 'accepted').length < 20) answers.push(...(await knocks(alice, CROWD)));
    const seconds = (Date.now() - began) / 1000;
    const accepted = answers.filter((answer) => answer === 'accepted').length;
    assert.equal(answers.slice(0, BURST).every((answer) => answer === 'accepted'), true, 'five seconds\' worth at once');
    assert(accepted <= BURST + seconds * PER_S + 1, `${accepted} in ${seconds} s`);
    assert.deepEqual([...new Set(answers)], ['accepted', 5], '3.1.1: not authorized');
    assert.match(brokerLog(), /why="too many connections from this address \(connects_per_s\)"/);

    // A token that is no good costs its address too; what is refused says nothing about it.
    let refused;
    await until('refused on 5', async () => (refused = (await knocks(alice, CROWD, 5)).filter((answer) => answer !== 'accepted')).length > 0);
    assert.deepEqual([...new Set(refused)], [135]);
    assert.equal(await knock(alice, OTHER), 'accepted', 'another address has a count of its own');
    for (let i = 0; i < BURST + 50; i += PER_USER / 2)
        assert.deepEqual([...new Set(await knocks(alice, PARLORD))], ['accepted'], 'parlord\'s address is not counted');

    // Both of the service's connections are made anew meanwhile.
    await stack.killParlord();
    await stack.startParlord();
    await until('the address comes in again', async () => (await knock(bob, CROWD)) === 'accepted');
});

test('a user has so many connections on each door; each that goes makes room for one', { timeout: 60_000 }, async () => {
    const room = await stack.room([alice, bob]);
    const devices = [];
    for (let i = 0; i < PER_USER; i++) devices.push(await connectMqtt(stack, { username: 'alice', password: alice.token, ws: i % 2 === 1 }));
    for (const ws of [false, true])
        await assert.rejects(alice.mqtt({ ws }), ({ code }) => code === 5, 'TCP and WebSocket count together');
    assert.match(brokerLog(), /why="user alice has 20 connections already \(connections_user_max\)"/);
    const sockets = [];
    for (let i = 0; i < PER_USER; i++) sockets.push(await alice.socket());
    await assert.rejects(alice.socket(), ({ data }) => data.code === 'too_many_connections');

    // Others are not concerned, nor is what alice does by REST; parlord speaks for her over a link of its own.
    const door = await bob.mqtt({ room });
    assert.equal((await sockets[0].send(room, { content: 'by one of many sockets' })).status, 'stored');
    assert.equal((await alice.rest('POST', `/chat/rooms/${room}/messages`, { content: 'by REST' })).status, 201);
    await door.seen.count(2);

    // A connection that comes with the client id of one that is there takes its place.
    const taken = await connectMqtt(stack, { username: 'bob', password: bob.token, clientId: 'bob:phone' });
    for (let i = 2; i < PER_USER; i++) devices.push(await connectMqtt(stack, { username: 'bob', password: bob.token }));
    devices.push(await connectMqtt(stack, { username: 'bob', password: bob.token, clientId: 'bob:phone' }));
    await until('the first phone is gone', () => !taken.connected);
    await assert.rejects(bob.mqtt(), ({ code }) => code === 5);

    await devices[0].endAsync();
    let again;
    await until('a place is free', async () => (again = await alice.mqtt().catch(() => null)) !== null);
    assert(again instanceof MqttDoor);
    for (const device of devices.slice(1)) await device.endAsync(true);
    for (const one of [again, door, ...sockets]) await one.close();
});

test('neither parlord\'s link nor the wake-up connection counts as a user\'s', { timeout: 60_000 }, async () => {
    const tight = await Stack.start({ parlor: { limits: 'on', connects_per_s: 1, connections_user_max: 1, service_addresses: PARLORD } });
    try {
        const [carol, dave] = ['carol', 'dave'].map((id) => tight.user(id));
        const room = await tight.room([carol, dave]);
        for (let i = 0; i < 3; i++) {
            await tight.killBroker();
            await tight.startBroker();
            await tight.ready();
        }
        const device = await dave.mqtt({ room });
        await assert.rejects(dave.mqtt(), ({ code }) => code === 5);
        await until('parlord is linked', async () => (await carol.rest('POST', `/chat/rooms/${room}/messages`, { content: 'x', clientMessageId: 'c' })).status < 300);
        await device.seen.count(1);
        // The link is a connection with a token; the wake-up's has none, and is no client of the plugin's.
        await until('parlord\'s and dave\'s are there', async () => (await (await fetch(`http://127.0.0.1:${tight.adminPort}/metrics`)).text())
            .includes('\nparlor_mqtt_connections{transport="tcp"} 2\n'));
        await device.close();
    } finally {
        await tight.stop();
    }
});
