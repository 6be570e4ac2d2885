// /chat and /calls row by row, with the official client, on WebSocket and on long polling: who may connect, what each
// event answers, who hears of it, and what a bad one is told.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { Stack } from './lib/stack.mjs';
import { WireSocket } from './lib/wire.mjs';
import { nowSeconds } from './lib/clients.mjs';

const NOBODY = '01920000-0000-7000-8000-000000000000';
let stack, alice, bob, carol;

before(async () => {
    stack = await Stack.start();
    [alice, bob, carol] = ['alice', 'bob', 'carol'].map((id) => stack.user(id));
});
after(() => stack.stop());

const named = (door, event) => door.other.find((e) => e.event === event);

for (const transports of [['websocket'], ['polling']]) {
    const by = transports[0];

    test(`${by}: who may connect`, { timeout: 30_000 }, async () => {
        for (const namespace of ['/chat', '/calls']) {
            for (const auth of [{}, { token: '' }, { token: 5 }, { token: 'x.y.z' }, { token: stack.user('x', { exp: nowSeconds() - 5 }).token }]) {
                await assert.rejects(alice.socket({ namespace, transports, auth }), (error) => {
                    assert.deepEqual([error.message, error.data], ['Unauthorized', { code: 'invalid_token' }]);
                    return true;
                });
            }
            for (const given of [{ auth: { token: `Bearer ${alice.token}` } }, { auth: {}, extraHeaders: { authorization: `Bearer ${alice.token}` } }])
                await (await alice.socket({ namespace, transports, ...given })).close();
        }
        await assert.rejects(alice.socket({ namespace: '/nowhere', transports }), { message: 'Invalid namespace' });
    });

    test(`${by}: every row, several devices of one user`, { timeout: 30_000 }, async () => {
        const room = await stack.room([alice, bob]);
        const chatRoomId = room;
        const [a1, a2] = [await alice.socket({ transports }), await alice.socket()];
        const b = await bob.socket({ transports });
        const joined = await b.emit('join_chat', { chatRoomId, afterSeq: 0 });
        assert.deepEqual([joined.status, joined.room.id, joined.missed], ['ok', room, []]);
        const sent = await a1.emit('send_message', { chatRoomId, content: 'one', mentions: ['bob'] });
        assert.deepEqual([sent.status, sent.message.seq, sent.message.senderId, sent.message.mentions], ['ok', 1, 'alice', ['bob']]);
        for (const door of [a1, a2, b]) assert.deepEqual(await door.seen.find((m) => m.seq === 1), sent.message);
        assert.deepEqual((await b.emit('join_chat', { chatRoomId, afterSeq: 0 })).missed, [sent.message]);
        assert.deepEqual(await a1.emit('typing_start', { chatRoomId }), { status: 'ok' });
        assert.deepEqual((await named(b, 'user_typing')).args, [{ chatRoomId, userId: 'alice', isTyping: true }]);
        assert.deepEqual(await a1.emit('typing_stop', { chatRoomId }), { status: 'ok' });
        assert.deepEqual(await b.emit('mark_as_read', { chatRoomId, messageId: sent.message.id }), { status: 'ok', readSeq: 1 });
        const read = (await named(a1, 'message_read')).args[0];
        assert.deepEqual({ ...read, readAt: null }, { chatRoomId, userId: 'bob', messageId: sent.message.id, seq: 1, readAt: null });
        assert.match(read.readAt, /^\d{4}-.*Z$/);
        assert.deepEqual(await b.emit('mark_as_read', { chatRoomId, seq: 99 }), { status: 'ok', readSeq: 1 }, 'past the end is the end');
        const left = await b.emit('leave_chat', { chatRoomId });
        assert.deepEqual([left.status, left.room.id, left.missed], ['ok', room, []]);
        await alice.rest('PATCH', `/chat/messages/${sent.message.id}`, { content: 'two' });
        const updated = (await named(b, 'message_updated')).args[0];
        assert.deepEqual([updated.message.content, updated.message.rev > 0], ['two', true]);
        await alice.rest('DELETE', `/chat/messages/${sent.message.id}`);
        const deleted = (await named(b, 'message_deleted')).args[0];
        assert.deepEqual([deleted.messageId, deleted.message.content, deleted.message.rev > updated.message.rev], [sent.message.id, null, true]);
        for (const door of [a1, a2, b]) assert.equal(door.seen.items.length, 1, 'once each');
        assert.equal(b.other.items.filter((e) => e.event === 'message_updated').length, 1);
        for (const door of [a1, a2, b]) await door.close();
    });

    test(`${by}: bad events, asked and unasked`, { timeout: 30_000 }, async () => {
        const chatRoomId = await stack.room([alice, bob]);
        const hidden = await stack.room([bob, carol]);
        const s = await alice.socket({ transports });
        const cases = [
            ['send_message', {}, 'invalid_message'], ['send_message', null, 'invalid_message'], ['send_message', 'x', 'invalid_message'],
            ['send_message', { chatRoomId: 5, content: 'x' }, 'invalid_message'], ['send_message', { chatRoomId }, 'invalid_message'],
            ['send_message', { chatRoomId, content: 5 }, 'invalid_message'], ['send_message', { chatRoomId, content: 'x', mentions: 'bob' }, 'invalid_message'],
            ['send_message', { chatRoomId, content: 'x', replyToId: 'no' }, 'invalid_message'],
            ['send_message', { chatRoomId, content: 'x'.repeat(17_000) }, 'content_too_large'],
            ['send_message', { chatRoomId: NOBODY, content: 'x' }, 'room_not_found'], ['send_message', { chatRoomId: hidden, content: 'x' }, 'room_not_found'],
            ['typing_start', { chatRoomId: hidden }, 'room_not_found'], ['typing_stop', {}, 'invalid_message'],
            ['mark_as_read', { chatRoomId }, 'invalid_message'], ['mark_as_read', { chatRoomId, seq: -1 }, 'invalid_message'],
            ['mark_as_read', { chatRoomId, seq: 1, messageId: NOBODY }, 'invalid_message'], ['mark_as_read', { chatRoomId, messageId: NOBODY }, 'message_not_found'],
            ['join_chat', { chatRoomId: hidden }, 'room_not_found'], ['join_chat', { chatRoomId, afterSeq: -1 }, 'invalid_message'],
            ['join_chat', { chatRoomId, afterSeq: 1.5 }, 'invalid_message'], ['join_chat', { chatRoomId, afterSeq: '1' }, 'invalid_message'],
            ['leave_chat', { chatRoomId: NOBODY }, 'room_not_found'], ['dance', { chatRoomId }, 'unknown_event'],
        ];
        for (const [event, data, code] of cases) {
            const answer = await s.emit(event, data);
            assert.deepEqual([answer.status, answer.code, typeof answer.message], ['error', code, 'string'], `${event} ${JSON.stringify(data).slice(0, 80)}: ${JSON.stringify(answer)}`);
            s.other.items.length = 0;
            s.socket.emit(event, data);
            const { args: [told] } = await named(s, 'exception');
            assert.deepEqual([told.status, told.code, told.cause], ['error', code, { pattern: event, data }]);
        }
        const far = await s.emit('join_chat', { chatRoomId, afterSeq: Number.MAX_SAFE_INTEGER });
        assert.deepEqual([far.status, far.missed], ['ok', []]);
        assert.equal((await stack.stored(chatRoomId)).length, 0, 'nothing was stored');
        const calls = await alice.socket({ namespace: '/calls', transports });
        assert.equal((await calls.emit('dance', { a: 1 })).code, 'unknown_event');
        calls.socket.emit('dance', { a: 1 });
        assert.deepEqual((await named(calls, 'exception')).args[0].cause, { pattern: 'dance', data: { a: 1 } });
        calls.other.items.length = 0;
        calls.socket.emit('é'.repeat(60), { a: 1 }, 2);
        assert.deepEqual((await named(calls, 'exception')).args[0].cause, { pattern: 'é'.repeat(60), data: { a: 1 } });
        for (const door of [s, calls])
            for (const name of ['ping', 'error', 'reconnect']) assert.equal((await door.emit(name, {})).code, 'unknown_event', name);
        await calls.close();
        await s.close();
    });

    test(`${by}: a token that expires ends its sockets`, { timeout: 30_000 }, async () => {
        const dave = stack.user(`dave-${by}`, { exp: nowSeconds() + 3 });
        for (const namespace of ['/chat', '/calls']) {
            const s = await dave.socket({ namespace, transports, reconnection: false });
            assert.equal((await named(s, 'disconnect')).reason, 'io server disconnect');
            assert(nowSeconds() >= 3 + Math.floor(Date.now() / 1000) - 3);
            await s.close();
            dave.token = stack.user(dave.id, { exp: nowSeconds() + 3 }).token;
        }
    });
}

test('an event before CONNECT ends the session', { timeout: 20_000 }, async () => {
    const wire = await WireSocket.open(stack);
    wire.say(`42/chat,0["join_chat",{"chatRoomId":"${NOBODY}"}]`);
    await wire.heard.find((f) => f.close === 1000);
});

test('a slow reader is closed and counted, and costs the others nothing', { timeout: 60_000 }, async () => {
    const chatRoomId = await stack.room([alice, bob]);
    const quick = await bob.socket({ room: chatRoomId });
    const slow = await WireSocket.open(stack);
    slow.say(`40/chat,${JSON.stringify({ token: bob.token })}`);
    await slow.text('40/chat,');
    slow.socket.pause();
    const sender = await alice.socket();
    const ended = async () => /parlor_socket_sessions_ended_total\{reason="slow_reader"\} (\d+)/.exec(await (await fetch(`http://127.0.0.1:${stack.adminPort}/metrics`)).text())[1];
    let sent = 0;
    while ((await ended()) === '0') {
        assert(sent < 2000, 'it is closed before long');
        await Promise.all(Array.from({ length: 10 }, () => sender.emit('send_message', { chatRoomId, content: 'x'.repeat(16_000) })));
        sent += 10;
    }
    await quick.seen.find((m) => m.seq === sent);
    assert.deepEqual(quick.seen.items.map((m) => m.seq), Array.from({ length: sent }, (_, i) => i + 1));
    slow.close();
    await quick.close();
    await sender.close();
});
