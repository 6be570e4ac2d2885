// kill -9 of the broker, of parlord, of PostgreSQL in the middle of a burst: every acked message is there once,
// no seq is missing, and each sender's messages keep their order. Senders resend with the same clientMessageId
// until they have an answer, as contract and clients do.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import test from 'node:test';
import { Stack } from '../integration/lib/stack.mjs';
import { pause, until } from '../integration/lib/events.mjs';

const MESSAGES = 150; // of each sender
const KILL_AT = 40; // acked messages in all, and as many again between two kills
const KILLS = 3;

// Sends one message until it is stored, whatever the doors and servers do meanwhile.
async function persist(door, room, draft, stats) {
    return until(`a message of ${door.user.id} is stored`, async () => {
        const answer = await door.send(room, draft, 1500).catch((error) => ({ status: 'lost', code: error.message }));
        if (answer.status === 'stored') return answer;
        stats.retries++;
        stats.last = answer; // for whoever looks into a failure
        assert(!['conflict', 'room_not_found', 'invalid_message'].includes(answer.code), JSON.stringify(answer));
        return null;
    }, 60_000);
}

// Doors that come back by themselves, and a REST door whose refused connections are only another answer.
async function openDoors(stack, users) {
    const [alice, bob, carol] = users;
    return [
        await alice.mqtt({ keep: true, clientId: 'alice:burst', clean: false }),
        await bob.socket(),
        await carol.door('rest'),
    ];
}

const VICTIMS = {
    broker: async (stack) => {
        await stack.killBroker();
        await stack.startBroker();
    },
    parlord: async (stack) => {
        await stack.killParlord();
        await stack.startParlord();
    },
    postgres: async (stack) => {
        await stack.postgres.kill();
        await pause(200); // long enough that senders notice
        await stack.postgres.up();
    },
};

for (const [name, kill] of Object.entries(VICTIMS)) {
    test(`kill -9 of ${name} in the middle of a burst`, { timeout: 150_000 }, async () => {
        const stack = await Stack.start();
        try {
            const users = ['alice', 'bob', 'carol'].map((id) => stack.user(id));
            const room = await stack.room(users);
            const doors = await openDoors(stack, users);
            const watcher = await users[1].mqtt({ room, keep: true, clientId: 'bob:watch', clean: false });
            const socket = await users[2].socket({ room });
            const stats = { retries: 0, acked: 0 };
            const acked = new Map();
            let stop = false;
            const burst = doors.map(async (door, d) => {
                for (let i = 0; i < MESSAGES && !stop; i++) {
                    const draft = { content: `${d}:${i}`, clientMessageId: randomUUID() };
                    const answer = await persist(door, room, draft, stats);
                    acked.set(draft.clientMessageId, { ...answer, content: draft.content });
                    stats.acked++;
                }
            });
            const all = Promise.all(burst).finally(() => (stop = true));
            for (let k = 1; k <= KILLS; k++) {
                await Promise.race([all, until('the burst runs', () => stats.acked >= k * KILL_AT, 60_000)]);
                await kill(stack);
            }
            await all;
            await stack.ready();
            // The connection for questions may have died with the server.
            const sql = await stack.postgres.connect();
            const { rows } = await sql.query('SELECT * FROM chat_messages WHERE room_id = $1 ORDER BY seq', [room]);
            await sql.end();

            assert.equal(acked.size, doors.length * MESSAGES);
            assert.deepEqual(rows.map((r) => r.seq), rows.map((_, i) => i + 1), 'no seq is missing');
            assert.equal(rows.length, acked.size, 'nothing is stored twice');
            for (const row of rows) {
                const answer = acked.get(row.client_message_id);
                assert(answer, `seq ${row.seq} was never acked`);
                assert.deepEqual([answer.id, answer.seq, answer.content], [row.id, row.seq, row.content]);
            }
            for (const d of doors.keys()) {
                const mine = rows.map((r) => r.content).filter((c) => c.startsWith(`${d}:`));
                assert.deepEqual(mine, mine.map((_, i) => `${d}:${i}`), 'one sender keeps its order');
            }
            // What GET gives is the same, and a socket that was there all along saw it without a gap or a double,
            // as far as it can know: it asks for what it missed whenever it had to connect again.
            const history = await users[0].history(room);
            assert.deepEqual(history.map((m) => m.id), rows.map((r) => r.id));
            for (const seen of [watcher.seen.items, socket.seen.items]) {
                const numbers = seen.map((m) => m.seq);
                assert.deepEqual(numbers, [...new Set(numbers)].sort((a, b) => a - b), 'seen in order, and once');
            }
            if (name !== 'parlord') {
                await socket.seen.find((m) => m.seq === rows.length);
                assert.deepEqual(socket.seen.items.map((m) => m.seq), rows.map((r) => r.seq), 'the socket sees no gap');
            }
            for (const door of [...doors, watcher, socket]) await door.close();
        } finally {
            await stack.stop();
        }
    });
}
