// A backup that is put back while everything is stopped: rooms begin a new epoch, clients start over, numbers go on
// from the last one that is there. A restart alone changes nothing, however it came about.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import test from 'node:test';
import { say } from './lib/clients.mjs';
import { Stack } from './lib/stack.mjs';
import { until } from './lib/events.mjs';

function past(stack) {
    const file = `${stack.folder}/past`;
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
}

async function begin() {
    const stack = await Stack.start({ parlor: { past_file: 'past' } });
    try {
        const [alice, bob] = [stack.user('alice'), stack.user('bob')];
        const [room, quiet] = [await stack.room([alice, bob]), await stack.room([alice, bob])];
        return { stack, alice, bob, room, quiet };
    } catch (error) {
        await stack.stop();
        throw error;
    }
}

// Stops all three; `signal` is what the broker gets. The file knows of every message then: a second is left to it.
async function stopAll(stack, room, seq, signal) {
    await until('the file knows the newest message', () => past(stack).includes(`${room} ${seq}\n`), 10_000);
    if (signal === 'SIGKILL') {
        await stack.killBroker();
        await stack.killParlord();
    } else {
        assert.equal((await stack.broker.end()).code, 0);
        await stack.parlord.end();
    }
    await stopDatabase(stack);
}

async function stopDatabase(stack) {
    await stack.sql.end().catch(() => {});
    await stack.postgres.end();
}

async function startDatabase(stack) {
    await stack.postgres.up();
    stack.sql = await stack.postgres.connect();
}

async function startAll(stack) {
    await startDatabase(stack);
    await stack.startBroker();
    await stack.startParlord();
}

for (const signal of ['SIGTERM', 'SIGKILL']) {
    test(`a backup put back after ${signal}: a new epoch`, { timeout: 120_000 }, async () => {
        const { stack, alice, bob, room, quiet } = await begin();
        try {
            const kept = await say(alice, room, 'one', 'two', 'three');
            await say(bob, quiet, 'nothing is lost here');
            const backup = `${stack.postgres.folder}/backup`;
            await stopDatabase(stack);
            stack.postgres.copy(stack.postgres.data, backup);
            await startDatabase(stack);
            await stack.ready();
            const lost = await until('it stores again', async () => {
                const { status, body } = await alice.rest('POST', `/chat/rooms/${room}/messages`, { content: 'four' });
                return status === 201 && body;
            }, 20_000);
            await say(alice, room, 'five');
            assert.equal(lost.seq, 4);
            assert.equal((await alice.rest('GET', `/chat/rooms/${room}`)).body.epoch, 1, 'nothing was lost so far');

            await stopAll(stack, room, 5, signal);
            stack.postgres.copy(backup, stack.postgres.data);
            await startAll(stack);

            for (const id of [room, quiet]) assert.equal((await alice.rest('GET', `/chat/rooms/${id}`)).body.epoch, 2);
            const had = { [room]: { seq: 5, rev: 0, epoch: 1 } };
            const { body: over } = await bob.rest('POST', '/chat/sync', { rooms: had });
            assert.deepEqual(over.data.map((m) => m.id), kept.map((m) => m.id));
            assert.deepEqual([over.rooms[room].seq, over.rooms[room].epoch], [3, 2]);
            assert.equal(over.rooms[quiet].epoch, 2);
            const [next] = await say(bob, room, 'goes on');
            assert.equal(next.seq, 4);
            const { participants, ...head } = over.rooms[room];
            const { body: more } = await alice.rest('POST', '/chat/sync', { rooms: { [room]: head } });
            assert.deepEqual(more.data.map((m) => m.content), ['goes on']);
            assert.deepEqual((await stack.stored(room)).map((m) => m.seq), [1, 2, 3, 4]);
            assert.match(stack.broker.text(), /the database has gone back/);

            // Once: the next restart finds nothing missing.
            await stopAll(stack, room, 4, signal);
            await startAll(stack);
            for (const id of [room, quiet]) assert.equal((await alice.rest('GET', `/chat/rooms/${id}`)).body.epoch, 2);
        } finally {
            await stack.stop();
        }
    });

    test(`a restart after ${signal} raises no epoch`, { timeout: 60_000 }, async () => {
        const { stack, alice, bob, room } = await begin();
        try {
            const said = await say(alice, room, 'one', 'two');
            await stopAll(stack, room, 2, signal);
            await startAll(stack);
            assert.equal((await bob.rest('GET', `/chat/rooms/${room}`)).body.epoch, 1);
            const { body } = await bob.rest('POST', '/chat/sync', { rooms: { [room]: { seq: 1, rev: 0, epoch: 1 } } });
            assert.deepEqual(body.data, said.slice(1));
            // Killed at once, with the newest messages not in the file: it knows less, and suspects nothing.
            await say(bob, room, 'three', 'four');
            await stack.killBroker();
            await stack.startBroker();
            await stack.ready();
            assert.equal((await bob.rest('GET', `/chat/rooms/${room}`)).body.epoch, 1);
            assert.doesNotMatch(stack.broker.text(), /gone back/);
        } finally {
            await stack.stop();
        }
    });
}
