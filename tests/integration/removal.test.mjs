// Removal is at once: when it has been answered, nothing said afterwards reaches the one removed on any door, and
// nothing of theirs is stored. Raced PARLOR_REMOVALS times in LANES rooms at once, each with users of its own and
// with 50 messages sent right behind the answer; PARLOR_BUILD may name a build without sanitizers for large numbers.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { Stack } from './lib/stack.mjs';
import { until } from './lib/events.mjs';

const REMOVALS = Number(process.env.PARLOR_REMOVALS ?? 600);
const LANES = 12;
const BEHIND = 50;
const TALK_MAX = 12; // messages of each side that are on their way when it happens
const LEFT_BEHIND_EVERY = 5; // rounds with a persistent session that is away while it happens: it costs a connect
const ASKED_EVERY = 3; // rounds with questions by REST: lists, history, search, sync
let stack, owner, victim, witness;

before(async () => {
    // A disk that stalls is not what this is about: what is said must be stored, not refused as `unavailable`.
    stack = await Stack.start({ parlor: { database_timeout_ms: 20000 } });
    [owner, victim, witness] = ['owner', 'victim', 'witness'].map((id) => stack.user(id));
});
after(() => stack.stop());

// Delays of the race, the same in every run.
function* steps(seed) {
    for (;;) {
        seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
        yield seed / 2 ** 32;
    }
}

const forget = (...doors) => {
    for (const door of doors) for (const log of [door.seen, door.acks, door.other]) if (log) log.items.length = 0;
};

// All that a door was given, as text; `said` finds what may not be there.
const heard = (door) => JSON.stringify([door.seen.items, door.other.items]);

const say = (door, room, text, i) =>
    door.publish(room, JSON.stringify({ content: text, clientMessageId: `${text}#${i}` }), 0);

// The acks of what was said under this text, by clientMessageId: an ack comes once for each matching subscription.
const answersTo = (door, text) =>
    new Map(door.acks.items.filter((a) => a.clientMessageId?.startsWith(`${text}#`)).map((a) => [a.clientMessageId, a]));

async function openDoors(room, user) {
    const all = `chat/v1/rooms/${room}/#`;
    return {
        mqtt: await user.mqtt({ subscribe: [all, `chat/v1/users/${user.id}/#`] }),
        five: await user.mqtt({ room, protocolVersion: 5 }),
        socket: await user.socket({ room }),
        polling: await user.socket({ room, transports: ['polling'] }),
    };
}

let fences = 0;

// Whatever this door is still to be given comes before the refusal of what it sends now.
async function fence(door, room) {
    const draft = { content: 'fence', clientMessageId: `fence#${++fences}` };
    const answer = await door.send(room, draft);
    assert.equal(answer.status, 'rejected', JSON.stringify(answer));
}

// One room, whose member is removed and comes back, round after round.
class Lane {
    static async open(number) {
        const lane = new Lane();
        lane.number = number;
        [lane.owner, lane.victim, lane.witness] = ['owner', 'victim', 'witness'].map((id) => stack.user(`${id}${number}`));
        lane.room = await stack.room([lane.owner, lane.victim, lane.witness]);
        const { status } = await lane.owner.rest('PATCH', `/chat/rooms/${lane.room}`, { historyFrom: 'join' });
        assert.equal(status, 200);
        lane.doors = await openDoors(lane.room, lane.victim);
        lane.speaker = await lane.owner.mqtt();
        lane.hearer = await lane.witness.mqtt({ room: lane.room });
        // What only costs this program time: acks that nobody reads, acknowledgements of what is watched anyway.
        await lane.speaker.client.unsubscribeAsync(`chat/v1/users/${lane.owner.id}/acks`);
        await lane.hearer.client.subscribeAsync(`chat/v1/rooms/${lane.room}/messages`, { qos: 0 });
        lane.random = steps(4711 + number);
        lane.inFlight = 0;
        lane.sql = await stack.postgres.connect();
        return lane;
    }

    async close() {
        for (const door of [...Object.values(this.doors), this.speaker, this.hearer]) await door.close();
        await this.sql.end();
    }

    chance() {
        return this.random.next().value;
    }

    async add() {
        const { room, doors, victim: user } = this;
        const { status, body } = await this.owner.rest('POST', `/chat/rooms/${room}/participants`, { userId: user.id });
        assert.equal(status, 201, JSON.stringify(body));
        assert.equal(body.role, 'member');
        // A door that was refused the room when it was opened again asks anew; what was granted before holds.
        for (const socket of [doors.socket, doors.polling]) {
            const joined = await socket.emit('join_chat', { chatRoomId: room });
            assert.equal(joined.status, 'ok', JSON.stringify(joined));
        }
    }

    // Both talk while the removal is on its way, for a varying moment; then 50 messages behind its answer.
    async remove(round) {
        const { room, doors, speaker } = this;
        const talk = 1 + Math.floor(this.chance() * TALK_MAX);
        for (let i = 0; i < talk; i++) {
            say(doors.mqtt, room, `own ${round}`, i);
            say(speaker, room, `during ${round}`, i);
        }
        if (this.chance() < 0.5) await new Promise((resolve) => setTimeout(resolve, this.chance() * 4));
        const path = `/chat/rooms/${room}/participants/${this.victim.id}/remove`;
        const removed = await this.owner.rest('PATCH', path);
        assert.equal(removed.status, 200, JSON.stringify(removed.body));
        for (let i = 0; i < BEHIND; i++) {
            say(speaker, room, `behind ${round}`, i);
            if (i % 10 === 0) say(doors.five, room, `late ${round}`, i);
        }
        return talk;
    }

    async round(round) {
        const { room, doors, speaker, hearer } = this;
        if (round > 0) await this.add();
        const live = Object.values(doors);
        forget(speaker, hearer, ...live);
        const away = round % LEFT_BEHIND_EVERY === 0 ? await leaveSession(room, this.victim) : null;

        // While it is a member every door hears: else silence would prove nothing.
        say(speaker, room, `before ${round}`, 0);
        for (const door of live) await door.seen.find((m) => m.content === `before ${round}`);
        await doors.mqtt.other.find((o) => o.topic.endsWith('/inbox') && o.text.includes(`"before ${round}"`));

        const talk = await this.remove(round);
        await hearer.seen.find((m) => m.clientMessageId === `behind ${round}#${BEHIND - 1}`, 30_000);
        await Promise.all(live.map((door) => fence(door, room)));
        if (away) live.push(await resumeSession(room, this.victim));
        const leaks = live.filter((door) => heard(door).includes(`behind ${round}`));
        assert.deepEqual(leaks.map((door) => door.seen.name), [], `room ${this.number}, round ${round}: leaked`);
        await this.checkOwn(round, talk);
        if (round % ASKED_EVERY === 0) await closedRest(room, this.victim);
    }

    // What they had on its way was answered, and nothing was stored behind the removal.
    async checkOwn(round, talk) {
        const { room, doors } = this;
        await doors.mqtt.acks.find(() => answersTo(doors.mqtt, `own ${round}`).size === talk);
        const own = [...answersTo(doors.mqtt, `own ${round}`).values()];
        this.inFlight += own.filter((a) => a.status === 'rejected').length;
        const late = [...answersTo(doors.five, `late ${round}`).values()];
        assert.deepEqual(late.map((a) => a.status), Array(BEHIND / 10).fill('rejected'));
        // The newest messages of the room are this round's.
        const { rows } = await this.sql.query(
            `select max(seq) filter (where content = $2) as own, min(seq) filter (where content = $3) as behind,
                    count(*) filter (where content = $3) as stored, count(*) filter (where content in ($4, 'fence')) as late
             from (select seq, content from chat_messages where room_id = $1 order by seq desc limit $5) newest`,
            [room, `own ${round}`, `behind ${round}`, `late ${round}`, 2 * BEHIND + 2 * TALK_MAX],
        );
        assert.equal(rows[0].stored, BEHIND, `round ${round}`);
        assert.equal(rows[0].late, 0, `round ${round}: stored of one who was removed`);
        assert((rows[0].own ?? 0) < rows[0].behind, `round ${round}: ${JSON.stringify(rows[0])}`);
    }
}

test(`${REMOVALS} removals, each raced by messages of both`, { timeout: 120_000 + REMOVALS * 200 }, async () => {
    const lanes = [];
    for (let i = 0; i < Math.min(LANES, REMOVALS); i++) lanes.push(await Lane.open(i));
    const from = Date.now();
    let done = 0;
    const run = async (lane) => {
        for (let round = 0; done < REMOVALS; round++) {
            done++;
            await lane.round(round);
        }
    };
    try {
        await Promise.all(lanes.map(run));
    } finally {
        done = REMOVALS; // the others stop after their round
    }
    for (const lane of lanes) await lane.close();
    const inFlight = lanes.reduce((sum, lane) => sum + lane.inFlight, 0);
    console.log(`${done} removals in ${Math.round((Date.now() - from) / 1000)} s without a leak; `
        + `${inFlight} messages of the removed were refused while they were on their way`);
    assert(inFlight > 0 || REMOVALS < 50, 'the race was none');
});

const phone = (user) => ({ clean: false, clientId: `${user.id}:phone` });

// A persistent session of a member that subscribed and went away.
async function leaveSession(room, user) {
    const door = await user.mqtt({ room, ...phone(user) });
    await door.close();
    return door;
}

async function resumeSession(room, user) {
    const door = await user.mqtt(phone(user));
    await fence(door, room);
    await door.close();
    return door;
}

async function closedRest(room, user) {
    for (const [method, path, body] of [
        ['GET', `/chat/rooms/${room}`],
        ['GET', `/chat/rooms/${room}/messages`],
        ['GET', `/chat/rooms/${room}/messages?after=0`],
        ['GET', `/chat/rooms/${room}/messages?search=behind`],
        ['POST', `/chat/rooms/${room}/messages`, { content: 'x' }],
    ]) {
        const { status, body: error } = await user.rest(method, path, body);
        assert.deepEqual([status, error.code], [404, 'room_not_found'], `${method} ${path}`);
    }
    const { body } = await user.rest('GET', '/chat/rooms');
    assert(!body.data.some((r) => r.id === room));
    const sync = await user.rest('POST', '/chat/sync', { rooms: { [room]: { seq: 0, rev: 0, epoch: 1 } } });
    assert.equal(sync.status, 200, JSON.stringify(sync.body));
    assert(!JSON.stringify(sync.body.data).includes(room), 'sync gives nothing of it');
}

// The PostgreSQL process that tells one of the two of changes of membership, stopped until the returned function is
// called: as if its news took long.
async function holdNews(application) {
    const { rows } = await stack.sql.query('select pid from pg_stat_activity where application_name = $1', [application]);
    assert.equal(rows.length, 1, application);
    process.kill(rows[0].pid, 'SIGSTOP');
    return () => process.kill(rows[0].pid, 'SIGCONT');
}

const isIn = async (room) =>
    (await stack.sql.query('select 1 from chat_participants where room_id = $1 and user_id = $2', [room, victim.id])).rowCount === 1;

for (const follower of ['parlor membership', 'parlord members']) {
    test(`the answer waits while ${follower} lag behind`, { timeout: 60_000 }, async () => {
        const room = await stack.room([owner, victim, witness]);
        const doors = await openDoors(room, victim);
        const speaker = await owner.mqtt();
        const hearer = await witness.mqtt({ room });
        const resume = await holdNews(follower);
        let answer;
        try {
            const asked = owner.rest('PATCH', `/chat/rooms/${room}/participants/${victim.id}/remove`);
            asked.then((a) => (answer = a));
            await until('the removal is committed', async () => !(await isIn(room)));
            assert.equal((await speaker.send(room, { content: 'unanswered' })).status, 'stored');
            await hearer.seen.find((m) => m.content === 'unanswered');
            assert.equal(answer, undefined, 'answered before every door knew');
            resume();
            await asked;
        } finally {
            resume();
        }
        assert.equal(answer.status, 200, JSON.stringify(answer.body));
        assert.equal((await speaker.send(room, { content: 'behind' })).status, 'stored');
        for (const door of Object.values(doors)) {
            await fence(door, room);
            assert(!heard(door).includes('"behind"'), door.seen.name);
        }
        for (const door of [...Object.values(doors), speaker, hearer]) await door.close();
    });
}

test('what the broker does not confirm in time is uncertain, and done once', { timeout: 60_000 }, async () => {
    const room = await stack.room([owner, victim]);
    const path = `/chat/rooms/${room}/participants/${victim.id}/remove`;
    await stack.killBroker();
    const first = await owner.rest('PATCH', path);
    assert.deepEqual([first.status, first.body.code], [503, 'uncertain']);
    assert.match(first.body.hint, /404 `participant_not_found`/);
    assert(!(await isIn(room)), 'it was done');
    await stack.startBroker();
    await stack.ready();
    const { status, body } = await owner.rest('PATCH', path);
    assert.deepEqual([status, body.code], [404, 'participant_not_found']);
    const door = await victim.mqtt();
    await fence(door, room);
    await door.close();
});
