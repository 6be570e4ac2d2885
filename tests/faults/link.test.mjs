// The link between parlord and the broker fails while sockets send and listen: it is cut, it stalls, publishes on it are
// dropped, a queue of the broker overflows, or the broker is killed. Every sender's ack comes, says ok and names the one stored
// message; every listener sees each message once, in order and without a gap, and each change of one in another room.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { connect, createServer } from 'node:net';
import test from 'node:test';
import { pause, until } from '../integration/lib/events.mjs';
import { Stack } from '../integration/lib/stack.mjs';

const FAULTS = 3;
const BETWEEN = 60; // messages stored between two of them, at least
const FLOOD_AT_ONCE = 20;
const FLOOD_TURNS_MAX = 500;

// What stands between parlord and the broker.
class Relay {
    static async open() {
        const relay = new Relay();
        Object.assign(relay, { pairs: new Set(), dropping: false, dropped: 0 });
        relay.server = createServer((near) => {
            const far = connect(relay.target, '127.0.0.1');
            const pair = { near, far, rest: Buffer.alloc(0) };
            relay.pairs.add(pair);
            near.pipe(far);
            far.on('data', (bytes) => relay.#toParlord(pair, bytes));
            for (const [one, other] of [[near, far], [far, near]]) {
                one.setNoDelay(true);
                one.on('error', () => {});
                one.on('close', () => (other.destroy(), relay.pairs.delete(pair)));
            }
        });
        await new Promise((resolve) => relay.server.listen(0, '127.0.0.1', resolve));
        relay.port = relay.server.address().port;
        return relay;
    }

    // Packet by packet: a publish is left out while `dropping` is set, all else goes on.
    #toParlord(pair, bytes) {
        pair.rest = Buffer.concat([pair.rest, bytes]);
        for (;;) {
            let [size, at] = [0, 1];
            do {
                if (at >= pair.rest.length) return;
                size += (pair.rest[at] & 127) << (7 * (at - 1));
            } while (pair.rest[at++] & 128);
            if (pair.rest.length < at + size) return;
            const publish = pair.rest[0] >> 4 === 3;
            if (publish && this.dropping) this.dropped++;
            else pair.near.write(pair.rest.subarray(0, at + size));
            pair.rest = pair.rest.subarray(at + size);
        }
    }

    cut() {
        for (const { near, far } of this.pairs) near.resetAndDestroy(), far.resetAndDestroy();
    }

    // What the broker says to parlord stays in the broker.
    stall() {
        for (const { far } of this.pairs) far.pause();
    }

    flow() {
        for (const { far } of this.pairs) far.resume();
    }

    close() {
        this.cut();
        this.server.close();
    }
}

// Sends one after the other by the socket, each with one emit whose ack must come; what was acked, by its text.
async function keepSending(door, room, state) {
    for (let i = 0; !state.stop; i++) {
        const content = `${door.user.id} ${i}`;
        const answer = await door.emit('send_message', { chatRoomId: room, content, clientMessageId: randomUUID() }, 30_000);
        assert.equal(answer.status, 'ok', `${content}: ${JSON.stringify(answer)}`);
        assert(!state.acked.has(answer.message.seq), 'a seq for each');
        state.acked.set(answer.message.seq, content);
    }
}

// Changes one message again and again, by REST, which needs no broker.
async function keepEditing(user, room, state) {
    const { id } = (await user.rest('POST', `/chat/rooms/${room}/messages`, { content: 'edited' })).body;
    while (!state.stop) {
        const { status, body } = await user.rest('PATCH', `/chat/messages/${id}`, { content: `edited ${state.edits}` });
        assert.deepEqual([status, body.rev], [200, ++state.edits]);
        await pause(50);
    }
}

// Large messages by MQTT, so many at once, while it is asked for more; they are acked past the link.
async function flood(door, room, state, more) {
    for (let i = 0; await more(); i++) {
        assert(i < FLOOD_TURNS_MAX, 'it overflows');
        await Promise.all(Array.from({ length: FLOOD_AT_ONCE }, async (_, n) => {
            const content = `${'x'.repeat(16_000)} ${i} ${n}`;
            const { status, seq } = await door.send(room, { content, clientMessageId: randomUUID() });
            assert.equal(status, 'stored');
            state.acked.set(seq, content);
        }));
    }
}

// Runs `fault` a few times under load and looks at what everybody has seen.
async function underLoad(fault, { faults = FAULTS, parlor = {}, broker = [] } = {}) {
    const relay = await Relay.open();
    const settings = { broker_port: relay.port, answer_timeout_ms: 20000, database_timeout_ms: 20000, ...parlor };
    const stack = await Stack.start({ parlor: settings, broker, parts: [] });
    relay.target = stack.mqttPort;
    const state = { stop: false, acked: new Map(), edits: 0 };
    try {
        await stack.startBroker();
        await stack.startParlord();
        const [alice, bob, carol] = ['alice', 'bob', 'carol'].map((id) => stack.user(id));
        const room = await stack.room([alice, bob, carol]);
        const edited = await stack.room([alice, bob, carol]);
        const listeners = [await carol.socket({ room }), await carol.socket({ room, transports: ['polling'] })];
        const doors = [await alice.socket(), await alice.socket(), await bob.socket(), await bob.socket({ transports: ['polling'] })];
        const senders = doors.map((door) => keepSending(door, room, state));
        const all = Promise.all([...senders, keepEditing(alice, edited, state)]);
        for (let i = 0; i < faults; i++) {
            const from = state.acked.size;
            await Promise.race([all, until('messages are stored', () => state.acked.size >= from + BETWEEN, 60_000)]);
            await fault(stack, relay, room, state);
        }
        const from = state.acked.size;
        await Promise.race([all, until('messages are stored', () => state.acked.size >= from + BETWEEN, 60_000)]);
        state.stop = true;
        await all;
        const rows = await stack.stored(room);
        assert.deepEqual(rows.map((r) => [r.seq, r.content]), [...state.acked].sort((a, b) => a[0] - b[0]), 'stored once, as acked');
        assert.deepEqual(rows.map((r) => r.seq), rows.map((_, i) => i + 1));
        for (const door of [...listeners, ...doors]) {
            const here = (m) => m.chatRoomId === room;
            await door.seen.find((m) => here(m) && m.seq === rows.length, 30_000);
            assert.deepEqual(door.seen.items.filter(here).map((m) => m.seq), rows.map((r) => r.seq), `${door.user.id} sees no gap and no double`);
            const revs = () => door.other.items.filter((e) => e.event === 'message_updated').map((e) => e.args[0].message.rev);
            await until('the last change', () => revs().includes(state.edits), 30_000);
            assert.deepEqual(revs(), Array.from({ length: state.edits }, (_, i) => i + 1), `${door.user.id} hears of each change once`);
            assert.equal(door.other.items.filter((e) => e.event === 'disconnect').length, 0, 'and nothing of the fault');
            await door.close();
        }
    } finally {
        state.stop = true;
        await stack.stop();
        relay.close();
    }
}

test('the link is cut under load', { timeout: 120_000 }, () => underLoad(async (stack, relay) => {
    relay.cut();
    await stack.ready();
}));

test('the broker is killed under load', { timeout: 120_000 }, () => underLoad(async (stack) => {
    await stack.killBroker();
    await pause(300);
    await stack.startBroker();
    await stack.ready();
}));

test('the link stalls under load, and goes on', { timeout: 120_000 }, () => underLoad(async (stack, relay) => {
    relay.stall();
    await pause(1500); // parlord starts anew when the plugin is silent
    relay.flow();
    await stack.ready();
}));

test('publishes are dropped under load', { timeout: 120_000 }, () => underLoad(async (stack, relay) => {
    const [before, dropped] = [stack.parlord.text().split('were lost').length, relay.dropped];
    relay.dropping = true;
    await until('publishes are dropped', () => relay.dropped >= dropped + 5);
    relay.dropping = false;
    await until('parlord has noticed', () => stack.parlord.text().split('were lost').length > before);
    await stack.ready();
}));

// The broker's own queue for parlord: as soon as the buffers between the two are full, it holds so many packets, no more.
test('a queue of the broker overflows under load', { timeout: 180_000 }, () => underLoad(async (stack, relay, room, state) => {
    const dropping = () => stack.broker.text().includes('Outgoing messages are being dropped for client $parlord:');
    const door = await stack.user('alice').mqtt();
    relay.stall();
    await flood(door, room, state, () => !dropping());
    relay.flow();
    await stack.ready();
    await door.close();
}, { faults: 1, broker: ['max_queued_messages 5'], parlor: { unsent_bytes_max: 268435456 } }));
