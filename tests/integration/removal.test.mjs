// Removal is at once: when it has been answered, nothing said afterwards reaches the one removed on any door, and
// nothing of theirs is stored. Raced PARLOR_REMOVALS times, each with 50 messages sent right behind the answer.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { Stack } from './lib/stack.mjs';
import { until } from './lib/events.mjs';

const REMOVALS = Number(process.env.PARLOR_REMOVALS ?? 300);
const BEHIND = 50;
const LEFT_BEHIND_EVERY = 5; // rounds with a persistent session that is away while it happens: it costs a connect
let stack, owner, victim, witness;

before(async () => {
    stack = await Stack.start();
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

async function openDoors(room) {
    const all = `chat/v1/rooms/${room}/#`;
    return {
        mqtt: await victim.mqtt({ subscribe: [all, `chat/v1/users/${victim.id}/#`] }),
        five: await victim.mqtt({ room, protocolVersion: 5 }),
        socket: await victim.socket({ room }),
        polling: await victim.socket({ room, transports: ['polling'] }),
    };
}

async function add(room, doors) {
    const { status, body } = await owner.rest('POST', `/chat/rooms/${room}/participants`, { userId: victim.id });
    assert.equal(status, 201, JSON.stringify(body));
    assert.equal(body.role, 'member');
    // A door that was refused the room when it was opened again asks anew; what was granted before holds.
    for (const socket of [doors.socket, doors.polling]) {
        const joined = await socket.emit('join_chat', { chatRoomId: room });
        assert.equal(joined.status, 'ok', JSON.stringify(joined));
    }
}

let fences = 0;

// Whatever this door is still to be given comes before the refusal of what it sends now.
async function fence(door, room) {
    const draft = { content: 'fence', clientMessageId: `fence#${++fences}` };
    const answer = await door.send(room, draft);
    assert.equal(answer.status, 'rejected', JSON.stringify(answer));
}

test(`${REMOVALS} removals, each raced by messages of both`, { timeout: 120_000 + REMOVALS * 200 }, async () => {
    const room = await stack.room([owner, victim, witness]);
    assert.equal((await owner.rest('PATCH', `/chat/rooms/${room}`, { historyFrom: 'join' })).status, 200);
    const doors = await openDoors(room);
    const speaker = await owner.mqtt();
    const hearer = await witness.mqtt({ room });
    const random = steps(4711);
    let inFlight = 0;
    for (let round = 0; round < REMOVALS; round++) {
        if (round > 0) await add(room, doors);
        const live = Object.values(doors);
        forget(speaker, hearer, ...live);
        const away = round % LEFT_BEHIND_EVERY === 0 ? await leaveSession(room) : null;

        // While it is a member every door hears: else silence would prove nothing.
        say(speaker, room, `before ${round}`, 0);
        for (const door of live) await door.seen.find((m) => m.content === `before ${round}`);

        // Both talk while the removal is on its way, for a varying moment.
        const talk = 1 + Math.floor(random.next().value * 30);
        for (let i = 0; i < talk; i++) {
            say(doors.mqtt, room, `own ${round}`, i);
            say(speaker, room, `during ${round}`, i);
        }
        if (random.next().value < 0.5) await new Promise((resolve) => setTimeout(resolve, random.next().value * 4));
        const removed = await owner.rest('PATCH', `/chat/rooms/${room}/participants/${victim.id}/remove`);
        assert.equal(removed.status, 200, JSON.stringify(removed.body));

        for (let i = 0; i < BEHIND; i++) {
            say(speaker, room, `behind ${round}`, i);
            if (i % 10 === 0) say(doors.five, room, `late ${round}`, i);
        }
        await hearer.seen.find((m) => m.clientMessageId === `behind ${round}#${BEHIND - 1}`);
        for (const door of live) await fence(door, room);
        if (away) live.push(await resumeSession(room));
        for (const door of live) assert(!heard(door).includes(`behind ${round}`), `round ${round}: ${door.seen.name} leaked`);

        // What they had on its way was answered, and nothing was stored behind the removal.
        await doors.mqtt.acks.find(() => answersTo(doors.mqtt, `own ${round}`).size === talk);
        const own = [...answersTo(doors.mqtt, `own ${round}`).values()];
        inFlight += own.filter((a) => a.status === 'rejected').length;
        const late = [...answersTo(doors.five, `late ${round}`).values()];
        assert.deepEqual(late.map((a) => a.status), Array(BEHIND / 10).fill('rejected'));
        const { rows } = await stack.sql.query(
            `select max(seq) filter (where content = $2) as own, min(seq) filter (where content = $3) as behind,
                    count(*) filter (where content = $3) as stored, count(*) filter (where content in ($4, 'fence')) as late
             from chat_messages where room_id = $1`,
            [room, `own ${round}`, `behind ${round}`, `late ${round}`],
        );
        assert.equal(rows[0].stored, BEHIND, `round ${round}`);
        assert.equal(rows[0].late, 0, `round ${round}: stored of one who was removed`);
        assert((rows[0].own ?? 0) < rows[0].behind, `round ${round}: ${JSON.stringify(rows[0])}`);
        if (away) await closedRest(room);
    }
    for (const door of [...Object.values(doors), speaker, hearer]) await door.close();
    console.log(`${inFlight} messages of the removed were refused while they were on their way`);
    assert(inFlight > 0 || REMOVALS < 50, 'the race was none');
});

const session = { clean: false, clientId: 'victim:phone' };

// A persistent session of a member that subscribed and went away.
async function leaveSession(room) {
    const door = await victim.mqtt({ room, ...session });
    await door.close();
    return door;
}

async function resumeSession(room) {
    const door = await victim.mqtt({ ...session });
    await fence(door, room);
    await door.close();
    return door;
}

async function closedRest(room) {
    for (const [method, path, body] of [
        ['GET', `/chat/rooms/${room}`],
        ['GET', `/chat/rooms/${room}/messages`],
        ['GET', `/chat/rooms/${room}/messages?after=0`],
        ['GET', `/chat/rooms/${room}/messages?search=behind`],
        ['POST', `/chat/rooms/${room}/messages`, { content: 'x' }],
    ]) {
        const { status, body: error } = await victim.rest(method, path, body);
        assert.deepEqual([status, error.code], [404, 'room_not_found'], `${method} ${path}`);
    }
    const { body } = await victim.rest('GET', '/chat/rooms');
    assert(!body.data.some((r) => r.id === room));
    const sync = await victim.rest('POST', '/chat/sync', { rooms: { [room]: { seq: 0, rev: 0, epoch: 1 } } });
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
        const doors = await openDoors(room);
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
    assert(!(await isIn(room)), 'it was done');
    await stack.startBroker();
    await stack.ready();
    const { status, body } = await owner.rest('PATCH', path);
    assert.deepEqual([status, body.code], [404, 'participant_not_found']);
    const door = await victim.mqtt();
    await fence(door, room);
    await door.close();
});
