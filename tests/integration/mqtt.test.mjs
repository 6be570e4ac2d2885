// The MQTT door to the letter: who may subscribe to and publish on what, and how each is told, on 3.1.1 and 5; sessions,
// wills and client ids; tokens that are renewed and that end.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { connect as connectTcp } from 'node:net';
import test, { after, before } from 'node:test';
import { Stack } from './lib/stack.mjs';
import { connectMqtt, nowSeconds, signToken } from './lib/clients.mjs';
import { pause, until } from './lib/events.mjs';

let stack, ann, bob, sam, gus, room, alien, ops;
const call = randomUUID();

before(async () => {
    stack = await Stack.start();
    [ann, bob, sam] = ['ann', 'bob', 'sam'].map((id) => stack.user(id));
    gus = stack.user('gus', { role: 'agent' });
    ops = stack.user('ops');
    ops.token = stack.ctl('token', 'ops', '--role', 'operator').trim();
    room = await stack.room([ann, bob]);
    alien = await stack.room([sam]);
});
after(() => stack.stop());

const VERSIONS = [4, 5];
const users = () => ({ ann, bob, sam, gus, ops });

// What SUBACK says: the granted QoS, or 128 on 3.1.1 and 135 (not authorized) on 5.
async function subscribe(door, topic) {
    const done = new Promise((resolve) =>
        door.client.subscribe(topic, { qos: 1 }, (error, granted, packet) => resolve(packet?.granted?.[0] ?? error?.code ?? granted?.[0]?.qos)),
    );
    return done;
}

// ---- Subscriptions.

// Below chat/v1, and who may: a member of the room and owner is ann.
const filters = () => [
    // own and shared rooms
    [`rooms/${room}/messages`, 'ann bob ops'],
    [`rooms/${room}/receipts`, 'ann bob ops'],
    [`rooms/${room}/events`, 'ann bob ops'],
    [`rooms/${room}/typing/+`, 'ann bob ops'],
    [`rooms/${room}/typing/bob`, 'ann bob ops'],
    [`rooms/${room}/typing/#`, 'ann bob ops'],
    [`rooms/${room}/#`, 'ann bob ops'],
    [`rooms/${room}/+`, 'ann bob ops'],
    [`rooms/${room}/+/+`, 'ann bob ops'],
    [`rooms/${alien}/#`, 'sam ops'],
    [`rooms/${alien}/messages`, 'sam ops'],
    // what a client says is read by nobody
    [`rooms/${room}/send/ann`, ''],
    [`rooms/${room}/send/+`, ''],
    [`rooms/${room}/read/ann`, ''],
    [`rooms/${room}/delivered/#`, ''],
    // wildcards in place of the room, the user, the call, or above
    ['#', 'ops'],
    ['+/#', 'ops'],
    ['rooms/#', 'ops'],
    ['rooms/+/messages', 'ops'],
    ['rooms/+/#', 'ops'],
    ['+/+/messages', 'ops'],
    ['users/+/presence', 'ops'],
    ['users/#', 'ops'],
    ['calls/+/events', 'ops'],
    ['calls/#', 'ops'],
    // users
    ['users/ann/#', 'ann ops'],
    ['users/ann/+', 'ann ops'],
    ['users/ann/events', 'ann ops'],
    ['users/ann/acks', 'ann ops'],
    ['users/ann/inbox', 'ann ops'],
    ['users/ann/replies/+', 'ann ops'],
    ['users/ann/replies/r1', 'ann ops'],
    ['users/ann/presence', 'ann bob ops'],
    ['users/sam/presence', 'sam ops'],
    ['users/ann/token/ann', ''],
    ['users/ann/api/r1/ann', ''],
    // calls: one's own signals alone
    ['calls/+/signal/ann/+', 'ann ops'],
    [`calls/${call}/signal/ann/+`, 'ann ops'],
    [`calls/${call}/signal/ann/#`, 'ann ops'],
    [`calls/${call}/media/+`, 'ops'],
    [`calls/${call}/events`, 'ops'],
    // no such topics
    ['', ''],
    ['rooms', ''],
    [`rooms/${room}`, ''],
    [`rooms/${room}/`, ''],
    [`rooms/${room}/nothing`, ''],
    [`rooms/${room}/messages/x`, ''],
    [`rooms/${room.toUpperCase()}/messages`, ''],
    ['rooms/x/messages', ''],
    ['users//events', ''],
    ['users/./events', ''],
    ['users/../events', ''],
    ['users/ann/nothing', ''],
    ['service/out/x', ''],
    ['service/#', ''],
    ['nothing/at/all', ''],
];

for (const protocolVersion of VERSIONS) {
    test(`who may subscribe to what, by MQTT ${protocolVersion}`, { timeout: 60_000 }, async () => {
        const wrong = [];
        for (const [id, user] of Object.entries(users())) {
            const door = await user.mqtt({ protocolVersion });
            for (const [filter, who] of filters()) {
                if (id === 'ops' && filter.startsWith('service/')) continue; // below
                const topic = `chat/v1/${filter}`;
                const code = await subscribe(door, topic);
                const expected = who.split(' ').includes(id) ? 1 : protocolVersion === 5 ? 135 : 128;
                if (code !== expected) wrong.push(`${id} ${topic}: ${code}, not ${expected}`);
            }
            await door.close();
        }
        assert.deepEqual(wrong, []);
    });

    test(`above the prefix, in groups and outside it, by MQTT ${protocolVersion}`, { timeout: 60_000 }, async () => {
        const wrong = [];
        const refused = protocolVersion === 5 ? 135 : 128;
        for (const user of [ann, ops]) {
            const door = await user.mqtt({ protocolVersion });
            for (const topic of ['#', '+/#', 'chat/#', 'chat/+/#', '+/v1/rooms/#', `+/v1/rooms/${room}/messages`, `chat/+/rooms/${room}/messages`]) {
                const code = await subscribe(door, topic);
                if (user === ann && code !== refused) wrong.push(`ann ${topic}: ${code}`);
            }
            for (const topic of [`chat/v1/rooms/${room}/messages`, `chat/v1/rooms/${room}/#`, 'chat/v1/users/ann/#', 'chat/v1/users/ann/acks', 'chat/v1/#', '#', '+/v1/#']) {
                const code = await subscribe(door, `$share/group/${topic}`);
                if (user === ann && code !== refused) wrong.push(`ann $share ${topic}: ${code}`);
            }
            await door.close();
        }
        assert.deepEqual(wrong, []);
    });
}

test('operators hear what anybody hears, by one subscription', { timeout: 30_000 }, async () => {
    const door = await ops.mqtt({ subscribe: ['chat/v1/#'] });
    const other = await ann.mqtt();
    const { seq } = await other.send(room, { content: 'to operators' });
    await door.seen.find((m) => m.seq === seq && m.content === 'to operators');
    await other.client.publishAsync('chat/v1/users/ann/api/r9/ann', '{"method":"GET","path":"/chat/rooms"}', { qos: 1 });
    await door.other.find((m) => m.topic === 'chat/v1/users/ann/replies/r9');
    for (const { topic } of door.other.items) assert(!/\/(send|read|delivered|token|api|service)\//.test(topic), topic);
    await other.close();
    await door.close();
});

// ---- Publishing.

const JSON_TEXT = '{"content":"x","seq":1}';
// What ann may not say, with the code of the ack.
const refusals = () => [
    [`rooms/${room}/send/bob`, 'own_voice'],
    [`rooms/${room}/read/bob`, 'own_voice'],
    [`rooms/${room}/delivered/bob`, 'own_voice'],
    [`rooms/${room}/typing/bob`, 'own_voice'],
    [`rooms/${alien}/send/ann`, 'room_not_found'],
    [`rooms/${alien}/read/ann`, 'room_not_found'],
    [`rooms/${alien}/delivered/ann`, 'room_not_found'],
    [`rooms/${alien}/typing/ann`, 'room_not_found'],
    [`rooms/${randomUUID()}/send/ann`, 'room_not_found'],
    [`rooms/${room}/messages`, 'system_speaks'],
    [`rooms/${room}/receipts`, 'system_speaks'],
    [`rooms/${room}/events`, 'system_speaks'],
    [`calls/${call}/signal/bob/ann`, 'call'],
    [`calls/${call}/signal/bob/bob`, 'own_voice'],
    [`calls/${call}/media/ann`, 'call'],
    [`calls/${call}/events`, 'system_speaks'],
    ['users/ann/events', 'system_speaks'],
    ['users/ann/acks', 'system_speaks'],
    ['users/ann/inbox', 'system_speaks'],
    ['users/ann/presence', 'system_speaks'],
    ['users/bob/acks', 'system_speaks'],
    ['users/bob/token/ann', 'not_own_topic'],
    ['users/bob/token/bob', 'own_voice'],
    ['users/bob/api/r1/ann', 'not_own_topic'],
    ['users/bob/api/r1/bob', 'own_voice'],
    ['users/ann/api/r1/bob', 'own_voice'],
    ['users/ann/replies/r1', 'service_only'],
    ['users/bob/replies/r1', 'service_only'],
    ['service/in/x', 'service_only'],
    ['service/out/x', 'system_speaks'],
    [`rooms/${room}/send`, 'unknown_topic'],
    [`rooms/${room}/send/ann/x`, 'unknown_topic'],
    [`rooms/${room.toUpperCase()}/send/ann`, 'unknown_topic'],
    [`rooms/${room}/nothing/ann`, 'unknown_topic'],
    ['rooms', 'unknown_topic'],
    ['x', 'unknown_topic'],
    ['users/ann/api/ann', 'unknown_topic'],
    [`users/ann/api/${'r'.repeat(129)}/ann`, 'unknown_topic'],
];

for (const protocolVersion of VERSIONS) {
    for (const qos of [0, 1, 2]) {
        test(`what may not be said is refused and answered, by MQTT ${protocolVersion} at QoS ${qos}`, { timeout: 60_000 }, async () => {
            const door = await ann.mqtt({ protocolVersion });
            const operator = await ops.mqtt({ subscribe: ['chat/v1/#'] });
            const wrong = [];
            for (const [topic, code] of refusals()) {
                const clientMessageId = randomUUID();
                const from = door.acks.items.length;
                const payload = JSON.stringify({ clientMessageId, ...JSON.parse(JSON_TEXT) });
                const error = await door.client.publishAsync(`chat/v1/${topic}`, payload, { qos, retain: true }).then(() => null, (e) => e);
                const ack = await door.acks.find((_, i) => i >= from, 5000).catch(() => null);
                const named = topic.includes('/token/') ? null : clientMessageId;
                if (ack?.status !== 'rejected' || ack.code !== code || ack.clientMessageId !== named || typeof ack.message !== 'string')
                    wrong.push(`${topic}: ${JSON.stringify(ack)}, not ${code}`);
                if ((error?.code ?? null) !== (protocolVersion === 5 && qos > 0 ? 135 : null)) wrong.push(`${topic}: ${error}`);
            }
            // Nothing of it was passed on or stays.
            await door.send(room, { content: 'behind' });
            await operator.seen.find((m) => m.content === 'behind');
            for (const { topic, text } of operator.other.items) if (text.includes('"content":"x"')) wrong.push(`${topic} was passed on`);
            assert.deepEqual(wrong, []);
            await operator.close();
            await door.close();
        });
    }
}

test('what may be said is done at each QoS, and nothing of it is retained', { timeout: 60_000 }, async () => {
    const own = await stack.room([ann, bob]);
    const hearer = await bob.mqtt({ subscribe: [`chat/v1/rooms/${own}/#`] });
    for (const protocolVersion of VERSIONS) {
        const door = await ann.mqtt({ protocolVersion });
        for (const qos of [0, 1, 2]) {
            const clientMessageId = randomUUID();
            const payload = JSON.stringify({ clientMessageId, content: `${protocolVersion} at ${qos}` });
            await door.client.publishAsync(`chat/v1/rooms/${own}/send/ann`, payload, { qos, retain: true });
            const ack = await door.acks.find((a) => a.clientMessageId === clientMessageId);
            assert.deepEqual(Object.keys(ack), ['clientMessageId', 'status', 'id', 'chatRoomId', 'seq', 'createdAt']);
            assert.equal(ack.status, 'stored');
            // The same again, and with another body.
            for (const [body, code] of [[payload, undefined], [payload.replace(' at ', ' and '), 'conflict']]) {
                const from = door.acks.items.length;
                await door.client.publishAsync(`chat/v1/rooms/${own}/send/ann`, body, { qos });
                const again = await door.acks.find((_, i) => i >= from);
                assert.equal(again.clientMessageId, clientMessageId);
                if (code) assert.deepEqual([again.status, again.code], ['rejected', code]);
                else assert.deepEqual(again, ack);
            }
            await door.client.publishAsync(`chat/v1/rooms/${own}/typing/ann`, '{"isTyping":true}', { qos, retain: true });
            await door.client.publishAsync(`chat/v1/rooms/${own}/typing/ann`, '{"isTyping":false}', { qos, retain: true });
            await hearer.other.find((m) => m.text === '{"isTyping":false}');
            hearer.other.items.length = 0;
        }
        await door.close();
    }
    // Without a clientMessageId one is made, and a resend stores twice.
    const door = await ann.mqtt();
    for (const expected of [1, 2]) {
        await door.publish(own, '{"content":"anonymous"}');
        await door.acks.count(expected);
    }
    const made = door.acks.items;
    assert(made.every((a) => a.status === 'stored' && typeof a.clientMessageId === 'string'));
    assert.equal(made[1].seq, made[0].seq + 1);
    assert.notEqual(made[0].clientMessageId, made[1].clientMessageId);
    await door.client.publishAsync(`chat/v1/rooms/${own}/read/ann`, '{"seq":1}', { qos: 1, retain: true });
    const late = await bob.mqtt({ subscribe: [`chat/v1/rooms/${own}/#`] });
    const { seq } = await door.send(own, { content: 'last' });
    await late.seen.find((m) => m.seq === seq);
    assert.equal(late.seen.items.length, 1, 'nothing was retained');
    assert(!late.other.items.some((m) => m.topic.includes('/typing/')));
    for (const d of [door, late, hearer]) await d.close();
});

test('sizes: content 16 KiB, payload 64 KiB, depth 16, mentions 50', { timeout: 30_000 }, async () => {
    const door = await ann.mqtt();
    const k = 1024;
    const nested = (depth) => `${'['.repeat(depth)}${']'.repeat(depth)}`;
    const pad = (size) => `{"content":"x","pad":"${'p'.repeat(size - 24)}"}`;
    assert.equal(pad(100).length, 100);
    for (const [what, payload, code] of [
        ['content of 16 KiB', { content: 'c'.repeat(16 * k) }],
        ['content of 16 KiB in umlauts', { content: 'ü'.repeat(8 * k) }],
        ['one more', { content: 'c'.repeat(16 * k + 1) }, 'content_too_large'],
        ['umlauts and one more', { content: `ü${'c'.repeat(16 * k - 1)}` }, 'content_too_large'],
        ['payload of 64 KiB', pad(64 * k)],
        ['one more', pad(64 * k + 1), 'payload_too_large'],
        ['depth 16', `{"content":"x","deep":${nested(15)}}`],
        ['depth 17', `{"content":"x","deep":${nested(16)}}`, 'invalid_json'],
        ['50 mentions', { content: 'x', mentions: Array.from({ length: 50 }, (_, i) => `u${i}`) }],
        ['51 mentions', { content: 'x', mentions: Array.from({ length: 51 }, (_, i) => `u${i}`) }, 'invalid_message'],
        ['no content', {}, 'invalid_message'],
        ['content null', { content: null }, 'invalid_message'],
        ['a number as content', { content: 1 }, 'invalid_message'],
        ['a reply to nothing', { content: 'x', replyToId: randomUUID() }, 'reply_not_found'],
        ['a reply to no id', { content: 'x', replyToId: 'x' }, 'invalid_message'],
        ['type call', { content: 'x', type: 'call' }, 'invalid_message'],
        ['type system', { content: 'x', type: 'system' }, 'invalid_message'],
        ['an array', '[]', 'invalid_message'],
        ['nothing', '', 'invalid_json'],
        ['unknown fields', { content: 'x', colour: 'blue' }],
    ]) {
        const from = door.acks.items.length;
        await door.publish(room, typeof payload === 'string' ? payload : JSON.stringify(payload));
        const ack = await door.acks.find((_, i) => i >= from);
        assert.deepEqual([what, ack.status, ack.code], [what, code ? 'rejected' : 'stored', code]);
    }
    await door.close();
});

test('ids of every allowed character and the longest one do everything', { timeout: 30_000 }, async () => {
    const odd = stack.user('A-Z.a_z@0|9=-.~'.replace('~', '').padEnd(128, 'x'));
    const short = stack.user('=');
    const own = await stack.room([odd, short]);
    for (const user of [odd, short]) {
        const door = await user.mqtt({ subscribe: [`chat/v1/users/${user.id}/#`], room: own, clientId: `${user.id}:phone`, clean: false });
        const { seq, status } = await door.send(own, { content: user.id, mentions: [odd.id] });
        assert.equal(status, 'stored');
        const message = await door.seen.find((m) => m.seq === seq);
        assert.deepEqual([message.senderId, message.mentions], [user.id, [odd.id]]);
        await door.other.find((m) => m.topic.endsWith('/inbox'));
        await door.other.find((m) => m.topic === `chat/v1/users/${user.id}/presence`);
        const request = 'r.A_9@|=-';
        await door.client.publishAsync(`chat/v1/users/${user.id}/api/${request}/${user.id}`, '{"method":"GET","path":"/chat/rooms"}', { qos: 1 });
        await door.other.find((m) => m.topic.endsWith(`/replies/${request}`));
        const socket = await user.socket();
        assert.equal((await socket.send(own, { content: 'by socket' })).status, 'stored');
        await socket.close();
        await door.close();
    }
    for (const user of [odd, short]) {
        const { status: removed } = await user.rest('PATCH', `/chat/rooms/${own}/participants/${encodeURIComponent(user.id)}/remove`);
        assert.equal(removed, 200);
    }
});

// ---- Sessions.

test('wills below the prefix do nothing, at a loss and at a take-over', { timeout: 30_000 }, async () => {
    const own = await stack.room([ann, bob]);
    const hearer = await bob.mqtt({ subscribe: [`chat/v1/rooms/${own}/#`] });
    const sender = await bob.mqtt();
    for (const protocolVersion of VERSIONS) {
        for (const [what, topic, payload] of [
            ['send', `chat/v1/rooms/${own}/send/ann`, '{"content":"a will"}'],
            ['typing', `chat/v1/rooms/${own}/typing/ann`, '{"isTyping":true}'],
            ['messages', `chat/v1/rooms/${own}/messages`, '{"content":"a will"}'],
            ['presence', 'chat/v1/users/ann/presence', '{"status":"dead"}'],
        ]) {
            const will = { topic, payload, qos: 1, retain: true };
            const options = { username: 'ann', password: ann.token, protocolVersion, clientId: 'ann:willing', will };
            const lost = await connectMqtt(stack, options);
            lost.stream.destroy();
            const first = await connectMqtt(stack, options);
            const second = await connectMqtt(stack, { ...options, will: undefined });
            await until(`${what}: taken over`, () => !first.connected);
            const { seq } = await sender.send(own, { content: 'fence' });
            await hearer.seen.find((m) => m.seq === seq);
            await second.endAsync();
        }
    }
    assert(hearer.seen.items.every((m) => m.content === 'fence'));
    assert(!hearer.other.items.some((m) => m.topic.includes('/typing/')), JSON.stringify(hearer.other.items));
    for (const door of [hearer, sender]) await door.close();
});

test('client ids: one takes over from itself, nobody from another', { timeout: 30_000 }, async () => {
    const options = (user, more) => ({ username: user.id, password: user.token, ...more });
    const refused = async (what, o) =>
        assert.rejects(connectMqtt(stack, o), ({ code }) => code === (o.protocolVersion === 5 ? 135 : 5), what);
    for (const protocolVersion of VERSIONS) {
        const first = await connectMqtt(stack, options(ann, { clientId: 'phone', protocolVersion }));
        await refused('of another user', options(bob, { clientId: 'phone', protocolVersion }));
        assert(first.connected);
        const second = await connectMqtt(stack, options(ann, { clientId: 'phone', protocolVersion }));
        await until('the first one is gone', () => !first.connected);
        await refused('a colon and another name', options(ann, { clientId: 'bob:phone', protocolVersion }));
        await refused('a colon and a longer name', options(ann, { clientId: 'anna:phone', protocolVersion }));
        await refused('a colon and no name', options(ann, { clientId: ':phone', protocolVersion }));
        await refused("the service's", options(ann, { clientId: '$parlord:x', protocolVersion }));
        await refused('a session of no name', options(ann, { clientId: 'tablet', clean: false, protocolVersion }));
        await refused('another user name', options(ann, { username: 'bob', protocolVersion }));
        for (const username of ['jwt', 'ann']) await (await connectMqtt(stack, options(ann, { username, protocolVersion }))).endAsync();
        await second.endAsync();
        // Free again.
        const own = await connectMqtt(stack, options(bob, { clientId: 'phone', protocolVersion }));
        await own.endAsync();
    }
});

test('a persistent session gets what it missed, and nothing from behind a removal', { timeout: 30_000 }, async () => {
    for (const options of [
        { protocolVersion: 4, clean: false },
        { protocolVersion: 5, clean: false, properties: { sessionExpiryInterval: 600 } },
    ]) {
        const own = await stack.room([ann, bob]);
        const session = { clientId: `bob:v${options.protocolVersion}`, ...options };
        const first = await bob.mqtt({ room: own, ...session });
        await first.close();
        const sender = await ann.mqtt();
        await sender.send(own, { content: 'missed' });
        const removed = await ann.rest('PATCH', `/chat/rooms/${own}/participants/bob/remove`);
        assert.equal(removed.status, 200);
        await sender.send(own, { content: 'behind the removal' });
        const resumed = await bob.mqtt(session);
        const fence = await resumed.send(own, { content: 'fence' });
        assert.deepEqual([fence.status, fence.code], ['rejected', 'room_not_found']);
        assert(!resumed.seen.items.some((m) => m.content === 'behind the removal'));
        assert((await ann.rest('POST', `/chat/rooms/${own}/participants`, { userId: 'bob' })).status < 300);
        const { seq } = await sender.send(own, { content: 'a member again' });
        await resumed.seen.find((m) => m.seq === seq); // the subscription is there still
        assert(!resumed.seen.items.some((m) => m.content === 'behind the removal'));
        await sender.close();
        await resumed.close();
        await (await connectMqtt(stack, { username: 'bob', password: bob.token, clientId: session.clientId, protocolVersion: options.protocolVersion })).endAsync();
    }
});

// ---- Tokens.

const token = (sub, seconds, claims) => signToken({ sub, exp: nowSeconds() + seconds, ...claims }, stack.secret);
const renew = (door, text, who = 'ann') => door.client.publishAsync(`chat/v1/users/${who}/token/${who}`, text, { qos: 1 });

test('who subscribes after the warning is warned again', { timeout: 30_000 }, async () => {
    const events = 'chat/v1/users/ann/events';
    const tablet = await stack.user('ann').mqtt({ subscribe: [events] });
    const short = stack.user('ann');
    short.token = token('ann', 40);
    const phone = await short.mqtt();
    const warned = (m) => m.text.includes('token_expiring');
    await tablet.other.find(warned);
    await phone.client.subscribeAsync(events, { qos: 1 });
    const { expiresAt } = JSON.parse((await phone.other.find(warned)).text);
    assert(Math.abs(Date.parse(expiresAt) - Date.now() - 40_000) < 15_000, expiresAt);
    for (const door of [tablet, phone]) await door.close();
});

for (const protocolVersion of VERSIONS) {
    test(`a renewed connection outlives its first token, SIGHUP too, by MQTT ${protocolVersion}`, { timeout: 30_000 }, async () => {
        const short = stack.user('ann');
        short.token = token('ann', 4);
        const door = await short.mqtt({ protocolVersion, subscribe: ['chat/v1/users/ann/events'] });
        const warning = await door.other.find((m) => m.text.includes('token_expiring'));
        assert.deepEqual(Object.keys(JSON.parse(warning.text)), ['event', 'expiresAt']);
        for (const [text, code] of [
            [token('ann', -5), 'token_expired'],
            [token('bob', 600), 'invalid_token'],
            ['x.y.z', 'invalid_token'],
            ['', 'invalid_token'],
            [signToken({ sub: 'ann', exp: nowSeconds() + 600 }, 'another-secret-another-secret-another'), 'invalid_token'],
        ]) {
            const from = door.acks.items.length;
            await renew(door, text);
            const ack = await door.acks.find((_, i) => i >= from);
            assert.deepEqual([ack.status, ack.code, ack.clientMessageId], ['rejected', code, null]);
        }
        const exp = nowSeconds() + 62;
        await renew(door, signToken({ sub: 'ann', exp }, stack.secret));
        const renewed = await door.acks.find((a) => a.status === 'renewed');
        assert.deepEqual(renewed, { status: 'renewed', expiresAt: new Date(exp * 1000).toISOString() });
        await pause(5000); // past the end of the first one
        stack.broker.signal('SIGHUP');
        assert.equal((await door.send(room, { content: 'still here' })).status, 'stored');
        await pause(300);
        assert.equal((await door.send(room, { content: 'and here' })).status, 'stored');
        // A minute ahead of the new end it is warned again.
        await door.other.find((m) => m.text.includes(new Date(exp * 1000).toISOString()));
        assert(door.client.connected);
        await door.close();
    });
}

test('the connection ends with its token, and the client is told', { timeout: 30_000 }, async () => {
    for (const protocolVersion of VERSIONS) {
        const client = await connectMqtt(stack, { username: 'ann', password: token('ann', 2), protocolVersion });
        const told = new Promise((resolve) => client.on('disconnect', (packet) => resolve(packet.reasonCode)));
        const began = Date.now();
        await new Promise((resolve) => client.once('close', resolve));
        assert(Date.now() - began < 5000);
        if (protocolVersion === 5) assert(Number.isInteger(await Promise.race([told, pause(500)])), 'a reason code');
        await client.endAsync(true);
    }
});

// ---- What no client library sends.

const string = (text) => Buffer.concat([Buffer.from([text.length >> 8, text.length & 255]), Buffer.from(text)]);
const size = (n) => (n < 128 ? Buffer.from([n]) : Buffer.from([(n & 127) | 128, n >> 7]));
const packet = (head, ...parts) => {
    const body = Buffer.concat(parts);
    return Buffer.concat([Buffer.from([head]), size(body.length), body]);
};

// A connection that has sent this packet, and what came first.
async function raw(connect) {
    const socket = connectTcp(stack.mqttPort, '127.0.0.1');
    socket.on('error', () => {});
    socket.closed_ = new Promise((resolve) => socket.on('close', resolve));
    socket.write(connect);
    socket.first = await new Promise((resolve) => socket.once('data', resolve));
    return socket;
}

test('a password without a user name is enough on MQTT 5', { timeout: 30_000 }, async () => {
    const socket = await raw(packet(0x10, string('MQTT'), Buffer.from([5, 0x42, 0, 60, 0]), string('nameless'), string(ann.token)));
    assert.deepEqual([socket.first[0], socket.first[3]], [0x20, 0]);
    socket.destroy();
});

test('wildcards in a topic name and broken topics end the connection alone', { timeout: 30_000 }, async () => {
    const other = await bob.mqtt();
    for (const topic of [`chat/v1/rooms/${room}/send/+`, 'chat/v1/#', 'chat/v1/\0']) {
        const socket = await raw(packet(0x10, string('MQTT'), Buffer.from([4, 0xc2, 0, 60]), string('raw'), string('ann'), string(ann.token)));
        assert.equal(socket.first[3], 0);
        socket.write(packet(0x30, string(topic), Buffer.from('{"content":"raw"}')));
        await socket.closed_;
    }
    assert.equal((await other.send(room, { content: 'all is well' })).status, 'stored');
    await other.close();
});

// ---- Limits.

test('20 connections a user, 300 messages at once, and a stated answer past each', { timeout: 60_000 }, async () => {
    const limited = await Stack.start({ parlor: { limits: 'on', connects_per_s: 1000000 } });
    try {
        const [cid, dan] = ['cid', 'dan'].map((id) => limited.user(id));
        const own = await limited.room([cid, dan]);
        const doors = [];
        for (let i = 0; i < 20; i++) doors.push(await cid.mqtt({ clientId: `cid:${i}`, protocolVersion: VERSIONS[i % 2] }));
        for (const [protocolVersion, code] of [[4, 5], [5, 135]])
            await assert.rejects(cid.mqtt({ protocolVersion }), (error) => error.code === code);
        const again = await cid.mqtt({ clientId: 'cid:7' }); // its own place
        doors[7] = again;
        await doors.pop().close();
        doors.push(await cid.mqtt());
        // The burst is the user's, not the connection's. Each is answered; what is refused can be sent again.
        const [a, b] = doors;
        const count = 1200; // many more, for a slow machine, where some of the burst comes back meanwhile
        for (let i = 0; i < count; i++) (i % 2 ? a : b).publish(own, JSON.stringify({ content: 'x', clientMessageId: `m${i}` }));
        const answers = new Map();
        await until('all are answered', () => {
            for (const ack of a.acks.items) answers.set(ack.clientMessageId, ack);
            return answers.size === count;
        }, 30_000);
        const refused = [...answers.values()].filter((ack) => ack.status === 'rejected');
        assert(refused.every((ack) => ack.code === 'rate_limited'));
        assert(refused.length >= 1 && refused.length <= count - 300, `${refused.length} were refused`);
        assert.equal((await limited.stored(own)).length, count - refused.length);
        const free = await dan.mqtt();
        assert.equal((await free.send(own, { content: 'of another' })).status, 'stored');
        await until('sent again', async () => (await a.send(own, { content: 'x', clientMessageId: refused[0].clientMessageId })).status === 'stored');
    } finally {
        await limited.stop();
    }
});
