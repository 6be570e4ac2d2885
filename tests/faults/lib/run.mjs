// One run: a Parlor, people who use it by every door, faults by a seed, and what the history says afterwards.
import assert from 'node:assert/strict';
import { Stack } from '../../integration/lib/stack.mjs';
import { until } from '../../integration/lib/events.mjs';
import { Doorkeeper, Editor, MqttObserver, Reader, Sender, SocketObserver, openDoor } from './actors.mjs';
import { History } from './history.mjs';
import { rage } from './nemesis.mjs';

const ROOMS = 2;

function dice(seed) {
    let state = seed >>> 0;
    return () => {
        state = (state + 0x6d2b79f5) >>> 0;
        let t = Math.imul(state ^ (state >>> 15), state | 1);
        t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
        return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    };
}

class Run {
    constructor(stack, seed, faults) {
        // The faults have dice of their own: what they are depends on the seed alone.
        Object.assign(this, { stack, faults, random: dice(seed), dice: dice(seed + 1) });
        Object.assign(this, { history: new History(), log: [], doors: [], counts: {}, over: false, closed: false });
        this.queue = Promise.resolve();
    }

    pick(list) {
        return list[Math.floor(this.random() * list.length)];
    }

    roll(list) {
        return list[Math.floor(this.dice() * list.length)];
    }

    rollSome(list) {
        return list.filter(() => this.dice() < 0.4);
    }

    // One after the other: two faults can't kill and start the same server at once.
    exclusive(work) {
        const done = this.queue.then(work);
        this.queue = done.catch(() => {});
        return done;
    }

    count(what, ms) {
        const c = (this.counts[what] ??= { times: 0, longest: 0 });
        c.times++;
        c.longest = Math.max(c.longest, ms);
    }

    // Is what was just seen there for others? Asked on a connection of its own; no answer says nothing.
    async checkCommitted(observer, { id, seq }) {
        if (!this.db || this.asking) return;
        this.asking = true;
        const answer = await this.db.query('select from chat_messages where id = $1', [id]).catch(() => null);
        this.asking = false;
        if (!answer) this.#connectDb();
        else if (answer.rowCount === 0) this.history.uncommitted.push({ observer, seq });
        else this.count('seen and committed', 0);
    }

    #connectDb() {
        this.db?.end().catch(() => {});
        this.db = null;
        this.stack.postgres.connect().then((client) => (this.db = client), () => setTimeout(() => this.closed || this.#connectDb(), 200));
    }

    async setUp() {
        const [alice, bob, carol, dave, guest] = ['alice', 'bob', 'carol', 'dave', 'guest'].map((id) => this.stack.user(id));
        this.rooms = [];
        for (let i = 0; i < ROOMS; i++) this.rooms.push(await this.stack.room([alice, bob, carol, dave, guest]));
        const [first, second] = this.rooms;
        assert.equal((await alice.rest('PATCH', `/chat/rooms/${second}`, { historyFrom: 'join' })).status, 200);
        this.db = await this.stack.postgres.connect();
        const at = (user, ...kinds) => Promise.all(kinds.map((kind) => openDoor(user, kind, kind)));
        this.senders = [
            new Sender(this, alice, await at(alice, 'mqtt', 'socket', 'rest'), this.rooms),
            new Sender(this, bob, await at(bob, 'mqtt'), this.rooms),
            new Sender(this, carol, await at(carol, 'socket'), this.rooms),
            new Sender(this, dave, await at(dave, 'rest'), this.rooms),
        ];
        const behind = new Sender(this, alice, await at(alice, 'rest', 'socket'), [second]);
        behind.sent = 1_000_000; // other texts than the first one of this user
        const away = new Sender(this, guest, await at(guest, 'mqtt'), [second]);
        this.observers = await Promise.all([
            MqttObserver.open(this, bob, this.rooms, { name: 'watch' }),
            MqttObserver.open(this, carol, this.rooms, { name: 'phone', clean: false }),
            SocketObserver.open(this, dave, this.rooms, { name: 'web' }),
            SocketObserver.open(this, bob, this.rooms, { name: 'poll', transports: ['polling'] }),
            MqttObserver.open(this, guest, [second], { name: 'phone', clean: false, steady: false }),
            SocketObserver.open(this, guest, [second], { name: 'web', steady: false }),
        ]);
        this.doors = [...this.senders.flatMap((s) => s.doors), ...this.observers.map((o) => o.door)];
        this.keeper = new Doorkeeper(this, alice, behind, away, second);
        const reader = new Reader(this, carol, this.rooms, await openDoor(carol, 'mqtt', 'marks'));
        this.actors = [...this.senders, away, this.keeper, reader, new Editor(this, this.senders[3])];
        this.log.push(`rooms ${first} ${second}`);
    }

    // Everything mended, everything said: each observer comes to the end of each room.
    async settle() {
        if (!this.stack.parlord.alive) this.stack.launchParlord();
        if (!this.stack.broker.alive) await this.stack.startBroker();
        await this.stack.ready();
        for (const sender of this.senders) await sender.end();
        const { rows } = await (await this.#sql()).query('select id, last_seq from chat_rooms');
        const heads = new Map(rows.map((r) => [r.id, r.last_seq]));
        for (const o of this.observers.filter((one) => one.steady))
            await until(`${o.name} has all`, () => o.caughtUp(heads), 20_000).catch((error) => this.log.push(`${error.message}; it ${o.state()}`));
    }

    async #sql() {
        this.sql ??= await this.stack.postgres.connect();
        return this.sql;
    }

    async judge() {
        const sql = await this.#sql();
        const read = async (table) => (await sql.query(`select * from ${table}`)).rows;
        const rows = await read('chat_messages');
        // What a sender has sent counts as read within a second or two.
        const own = `select from chat_participants p where exists (select from chat_messages m where m.room_id = p.room_id
                     and m.sender_id = p.user_id and m.seq > p.read_seq and m.seq > p.history_seq)`;
        await until('senders have read', async () => (await sql.query(own)).rowCount === 0, 6000).catch(() => {});
        const participants = await read('chat_participants');
        const gets = new Map();
        for (const room of this.rooms) gets.set(room, await this.senders[0].user.history(room));
        return this.history.check({ rows, gets, participants });
    }

    async close() {
        this.closed = true;
        await this.db?.end().catch(() => {});
        await this.sql?.end().catch(() => {});
    }
}

// Runs the seed for ms and gives {broken, log, counts}: broken is empty when every rule held.
export async function runSeed(seed, ms, faults) {
    const stack = await Stack.start({ parlor: { database_timeout_ms: 1000 } });
    const run = new Run(stack, seed, faults);
    try {
        await run.setUp();
        const busy = Promise.all(run.actors.map((actor) => actor.live()));
        await rage(run, ms);
        run.over = true;
        await busy;
        await run.settle();
        const broken = await run.judge();
        if (broken.length > 0) run.log.push(...stack.parlord.text().split('\n').filter((line) => /level=(warn|error)/.test(line)).slice(-40));
        return { broken, log: run.log, counts: run.counts, stored: run.history.messages.size, removals: run.keeper.removals };
    } catch (error) {
        error.message += `\nfaults:\n${run.log.join('\n')}`;
        throw error;
    } finally {
        run.over = true;
        await run.close();
        await stack.stop();
    }
}
