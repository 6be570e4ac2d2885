// users/{user}/inbox and the outbox of events: one subscription for all rooms, also those to come; and what a
// REST change makes known, published in order, also when the broker is killed before it could.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import test, { after, before } from 'node:test';
import mqtt from 'mqtt';
import { connectMqtt } from './lib/clients.mjs';
import { Stack } from './lib/stack.mjs';
import { EventLog, until } from './lib/events.mjs';

let stack, alice, bob, carol;

before(async () => {
    stack = await Stack.start();
    [alice, bob, carol] = ['alice', 'bob', 'carol'].map((id) => stack.user(id));
});
after(() => stack.stop());

const inboxOf = (user) => `chat/v1/users/${user.id}/inbox`;
const inInbox = (door, passes) =>
    door.other.find(({ topic, text }) => topic === inboxOf(door.user) && passes(JSON.parse(text)));
const contents = (door) =>
    door.other.items.filter(({ topic }) => topic === inboxOf(door.user)).map(({ text }) => JSON.parse(text).content);
const events = (door) => door.other.items.filter(({ topic }) => topic.endsWith('/events')).map(({ text }) => JSON.parse(text));
const eventOf = (door, passes) =>
    door.other.find(({ topic, text }) => topic.endsWith('/events') && passes(JSON.parse(text)));

test('one subscription hears all rooms, those to come too, and no others', { timeout: 30_000 }, async () => {
    const first = await stack.room([alice, bob]);
    const listener = await bob.mqtt({ subscribe: ['chat/v1/users/bob/#'] });
    const sender = await alice.mqtt();
    const { id } = await sender.send(first, { content: 'one' });
    const { text } = await inInbox(listener, (m) => m.content === 'one');
    assert.deepEqual(JSON.parse(text), (await bob.history(first)).find((m) => m.id === id));
    const second = await stack.room([alice, bob]);
    await sender.send(second, { content: 'two' });
    await inInbox(listener, (m) => m.content === 'two' && m.chatRoomId === second);
    const elsewhere = await stack.room([alice, carol]);
    await sender.send(elsewhere, { content: 'not for bob' });
    await sender.send(first, { content: 'three' });
    await inInbox(listener, (m) => m.content === 'three');
    assert.deepEqual(contents(listener), ['one', 'two', 'three']);
    await Promise.all([listener.close(), sender.close()]);
});

test('an edit comes to the inbox too', { timeout: 30_000 }, async () => {
    const room = await stack.room([alice, bob]);
    const listener = await bob.mqtt({ subscribe: [inboxOf(bob)] });
    const sender = await alice.mqtt({ room });
    const { id } = await sender.send(room, { content: 'before' });
    const { status } = await alice.rest('PATCH', `/chat/messages/${id}`, { content: 'after' });
    assert.equal(status, 200);
    await inInbox(listener, (m) => m.id === id && m.content === 'after' && m.rev > 0);
    await sender.seen.find((m) => m.id === id && m.content === 'after');
    await Promise.all([listener.close(), sender.close()]);
});

test('unsubscribing one of two filters leaves the other', { timeout: 30_000 }, async () => {
    const room = await stack.room([alice, bob]);
    const listener = await bob.mqtt({ subscribe: [inboxOf(bob), 'chat/v1/users/bob/+'] });
    const sender = await alice.mqtt();
    await listener.client.unsubscribeAsync(inboxOf(bob));
    await sender.send(room, { content: 'by the other filter' });
    await inInbox(listener, (m) => m.content === 'by the other filter');
    await listener.client.unsubscribeAsync('chat/v1/users/bob/+');
    await sender.send(room, { content: 'to nobody' });
    await listener.client.subscribeAsync(inboxOf(bob), { qos: 1 });
    await sender.send(room, { content: 'again' });
    await inInbox(listener, (m) => m.content === 'again');
    assert.deepEqual(contents(listener), ['by the other filter', 'again']);
    await Promise.all([listener.close(), sender.close()]);
});

test('a persistent session goes on collecting while its client is away', { timeout: 30_000 }, async () => {
    const room = await stack.room([alice, bob]);
    const session = { clientId: 'bob:phone', clean: false };
    const sender = await alice.mqtt();
    const before = await bob.mqtt({ ...session, subscribe: [inboxOf(bob)] });
    await before.client.endAsync();
    stack.clients.delete(before);
    await sender.send(room, { content: 'while away' });
    // What was queued comes right behind the CONNACK: the handler must be there before.
    const back = mqtt.connect(`mqtt://127.0.0.1:${stack.mqttPort}`, { ...session, username: 'bob', password: bob.token, reconnectPeriod: 0 });
    const seen = new EventLog('the inbox of the resumed session');
    back.on('message', (topic, payload) => topic === inboxOf(bob) && seen.push(JSON.parse(payload)));
    await seen.find((m) => m.content === 'while away');
    await sender.send(room, { content: 'while here' });
    await seen.find((m) => m.content === 'while here');
    await back.endAsync();
    const anew = await bob.mqtt({ clientId: 'bob:phone', clean: true });
    await sender.send(room, { content: 'not asked for' });
    await anew.client.subscribeAsync(inboxOf(bob), { qos: 1 });
    await sender.send(room, { content: 'asked for' });
    await inInbox(anew, (m) => m.content === 'asked for');
    assert.deepEqual(contents(anew), ['asked for']);
    await Promise.all([anew.close(), sender.close()]);
});

test('a session that a broker with persistence keeps over its restart hears its inbox again', { timeout: 60_000 }, async () => {
    const own = await Stack.start({ broker: ['persistence true'] });
    try {
        const [dave, erin] = ['dave', 'erin'].map((id) => own.user(id));
        const room = await own.room([dave, erin]);
        const session = { clientId: 'erin:phone', clean: false };
        const say = (content) => until(`${content} is said`, async () => {
            const { status } = await dave.rest('POST', `/chat/rooms/${room}/messages`, { content, clientMessageId: content });
            return status < 300;
        });
        const phone = await erin.mqtt({ ...session, subscribe: ['chat/v1/users/erin/#'] });
        await phone.close();
        const tablet = await erin.mqtt({ clientId: 'erin:tablet', clean: false }); // its session has no inbox
        await tablet.close();
        await own.broker.end();
        await own.startBroker();
        // Only its own device asks again: it was told that its session is there.
        const heard = new EventLog('the inbox of the session that was kept');
        const options = { ...session, username: 'erin', password: erin.token, heard: (topic, payload) => heard.push({ topic, text: String(payload) }) };
        const back = await connectMqtt(own, options);
        const other = await connectMqtt(own, { ...options, clientId: 'erin:tablet' });
        await say('after the restart');
        const { topic, text } = await heard.find((m) => m.topic.endsWith('/inbox'));
        assert.equal(JSON.parse(text).content, 'after the restart', topic);
        // Once, and with nothing beside it.
        await say('fence');
        await heard.find((m) => m.text.includes('"fence"'));
        const inbox = heard.items.filter((m) => m.topic.endsWith('/inbox')).map((m) => JSON.parse(m.text).content);
        assert.deepEqual(inbox, ['after the restart', 'fence']);
        await Promise.all([back.endAsync(true), other.endAsync(true)]);
    } finally {
        await own.stop();
    }
});

test('one who was removed hears no more of the room', { timeout: 30_000 }, async () => {
    const [room, other] = [await stack.room([alice, bob]), await stack.room([alice, bob])];
    const listener = await bob.mqtt({ subscribe: ['chat/v1/users/bob/#'] });
    const sender = await alice.mqtt({ subscribe: [`chat/v1/rooms/${room}/events`] });
    const { status } = await alice.rest('PATCH', `/chat/rooms/${room}/participants/bob/remove`);
    assert.ok(status < 300);
    await sender.send(room, { content: 'without bob' });
    await sender.send(other, { content: 'with bob' });
    await inInbox(listener, (m) => m.content === 'with bob');
    assert.deepEqual(contents(listener), ['with bob']);
    await eventOf(listener, (e) => e.event === 'room_removed' && e.chatRoomId === room);
    await eventOf(sender, (e) => e.event === 'participant_removed' && e.userId === 'bob');
    await Promise.all([listener.close(), sender.close()]);
});

test('events come in order, and are deleted once published', { timeout: 30_000 }, async () => {
    const room = await stack.room([alice, bob]);
    const listener = await bob.mqtt({ subscribe: [`chat/v1/rooms/${room}/events`] });
    for (let i = 0; i < 20; i++)
        assert.equal((await alice.rest('PATCH', `/chat/rooms/${room}`, { name: `name ${i}` })).status, 200);
    await eventOf(listener, (e) => e.event === 'room_updated' && e.room.name === 'name 19');
    const names = events(listener).filter((e) => e.event === 'room_updated').map((e) => e.room.name);
    assert.deepEqual(names, Array.from({ length: 20 }, (_, i) => `name ${i}`));
    const revs = events(listener).map((e) => e.rev);
    assert.deepEqual(revs, [...revs].sort((a, b) => a - b));
    await until('the outbox is empty', async () =>
        (await stack.sql.query('SELECT count(*) AS left FROM event_outbox')).rows[0].left === 0);
    await listener.close();
});

test('an event written while the broker is dead is published when it lives again', { timeout: 60_000 }, async () => {
    const late = { event: 'room_removed', chatRoomId: randomUUID() };
    await stack.killBroker();
    await stack.sql.query('SELECT parlor_event(null, $1, $2, $3)', ['bob', 'events', JSON.stringify(late)]);
    // The plugin may be faster than any client that connects again: the table is held shut until one listens.
    const holder = await stack.postgres.connect();
    await holder.query('BEGIN; LOCK TABLE event_outbox IN ACCESS EXCLUSIVE MODE');
    await stack.startBroker();
    const listener = await bob.mqtt({ subscribe: ['chat/v1/users/bob/events'] });
    await holder.query('COMMIT');
    await holder.end();
    await eventOf(listener, (e) => e.chatRoomId === late.chatRoomId);
    await until('the outbox is empty', async () =>
        (await stack.sql.query('SELECT count(*) AS left FROM event_outbox')).rows[0].left === 0);
    await listener.close();
    await stack.ready();
});
