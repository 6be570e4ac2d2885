// Rooms and who is in them, by REST: what each may do (the contract's matrix, row by row), what comes of it, and that
// a refused request changes nothing.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { gzipSync } from 'node:zlib';
import { Stack } from './lib/stack.mjs';

let stack;
const users = {};

before(async () => {
    stack = await Stack.start({ parlor: { participants_max: 12, rooms_max: 4000 } });
    for (const id of ['olga', 'oskar', 'adam', 'anna', 'mia', 'max', 'new', 'sam']) users[id] = stack.user(id);
    for (const id of ['gus', 'gina', 'gert']) users[id] = stack.user(id, { role: 'agent' });
    users.opa = stack.user('opa', { role: 'operator' }); // of an issuer who is not trusted with that role
});
after(() => stack.stop());

const add = (room, by, userId, role) => by.rest('POST', `/chat/rooms/${room}/participants`, { userId, role });
const remove = (room, by, userId) => by.rest('PATCH', `/chat/rooms/${room}/participants/${userId}/remove`);
const setRole = (room, by, userId, role) => by.rest('PATCH', `/chat/rooms/${room}/participants/${userId}`, { role });
const change = (room, by, body) => by.rest('PATCH', `/chat/rooms/${room}`, body);

const edit = (by, message) => by.rest('PATCH', `/chat/messages/${message}`, { content: 'edited' });
const erase = (by, message) => by.rest('DELETE', `/chat/messages/${message}`);

async function must(status, answer) {
    const got = await answer;
    assert.equal(got.status, status, JSON.stringify(got.body));
    return got.body;
}

async function rolesOf(room) {
    const { rows } = await stack.sql.query('select user_id, role from chat_participants where room_id = $1', [room]);
    return Object.fromEntries(rows.map((r) => [r.user_id, r.role]));
}

// All of a room that a refused request could have changed.
async function stateOf(room) {
    const { rows } = await stack.sql.query(
        `select r.rev, r.last_seq, r.name, r.status, r.history_from, r.updated_at,
                (select json_agg(json_build_array(user_id, role, joined_at) order by user_id) from chat_participants
                 where room_id = r.id) as participants,
                (select json_agg(json_build_array(seq, rev, content, edited_at, deleted_at) order by seq) from chat_messages
                 where room_id = r.id) as messages
         from chat_rooms r where id = $1`,
        [room],
    );
    return rows[0];
}

// ---- The matrix

// A room of each type with somebody in every role.
const rooms = {
    direct: async () => {
        const made = await users.mia.rest('POST', '/chat/rooms', { type: 'direct', participantIds: ['max'] });
        assert(made.status < 300, JSON.stringify(made.body)); // the two have one
        return made.body.id;
    },
    group: async () => {
        const ids = ['oskar', 'adam', 'anna', 'mia', 'max', 'gina'];
        const room = (await must(201, users.olga.rest('POST', '/chat/rooms', { type: 'group', name: 'old', participantIds: ids }))).id;
        await must(200, setRole(room, users.olga, 'oskar', 'owner'));
        await must(200, setRole(room, users.olga, 'adam', 'admin'));
        await must(200, setRole(room, users.olga, 'anna', 'admin'));
        return room;
    },
    support: async () => {
        const room = (await must(201, users.mia.rest('POST', '/chat/rooms', { type: 'support' }))).id;
        await must(201, add(room, users.gus, 'gus'));
        await must(201, add(room, users.gus, 'gina'));
        return room;
    },
};

// Who asks, by what it is in the room.
const askers = {
    direct: { member: 'mia', stranger: 'sam', 'unjoined agent': 'gert', operator: 'opa' },
    group: { owner: 'olga', admin: 'adam', member: 'mia', 'agent as member': 'gina', stranger: 'sam', 'unjoined agent': 'gert', operator: 'opa' },
    support: { member: 'mia', agent: 'gus', 'unjoined agent': 'gert', stranger: 'sam', operator: 'opa' },
};

// A target that is in the room in that role, beside the asker; in a direct or support room whoever is there.
const other = {
    direct: { owner: 'max', admin: 'max', member: 'max' },
    group: { owner: 'oskar', admin: 'anna', member: 'max' },
    support: { owner: 'gina', admin: 'gina', member: 'mia', agent: 'gina' },
};

// The ids of a message of the asker, if it is in the room, and of one of somebody else there.
async function sayIn(room, type, asker) {
    const messages = {};
    const somebody = other[type].member === asker ? other[type].owner : other[type].member;
    for (const [key, id] of [[asker, asker], ['any', somebody]]) {
        const { status, body } = await users[id].rest('POST', `/chat/rooms/${room}/messages`, { content: `of ${id}` });
        if (status === 201) messages[key] = body.id;
    }
    assert(messages.any);
    return messages;
}

const operations = {
    see: (who, room) => who.rest('GET', `/chat/rooms/${room}`),
    read: (who, room) => who.rest('GET', `/chat/rooms/${room}/messages`),
    send: (who, room) => who.rest('POST', `/chat/rooms/${room}/messages`, { content: 'hello' }),
    'join as agent': (who, room) => add(room, who, who.id, 'agent'),
    'add member': (who, room) => add(room, who, 'new', 'member'),
    'add admin': (who, room) => add(room, who, 'new', 'admin'),
    'add owner': (who, room) => add(room, who, 'new', 'owner'),
    'add agent': (who, room) => add(room, who, 'new', 'agent'),
    'remove member': (who, room, type) => remove(room, who, other[type].member),
    'remove admin': (who, room, type) => remove(room, who, other[type].admin),
    'remove owner': (who, room, type) => remove(room, who, other[type].owner),
    leave: (who, room) => remove(room, who, who.id),
    'set role of member': (who, room, type) => setRole(room, who, other[type].member, 'admin'),
    'set role of owner': (who, room, type) => setRole(room, who, other[type].owner, 'member'),
    rename: (who, room) => change(room, who, { name: 'new' }),
    'set history': (who, room) => change(room, who, { historyFrom: 'join' }),
    'set status': (who, room) => change(room, who, { status: 'closed' }),
    'edit own': async (who, room, type, messages) => edit(who, messages[who.id] ?? messages.any),
    'delete own': async (who, room, type, messages) => erase(who, messages[who.id] ?? messages.any),
    "edit another's": (who, room, type, messages) => edit(who, messages.any),
    "delete another's": (who, room, type, messages) => erase(who, messages.any),
    'rename and set history': (who, room) => change(room, who, { name: 'new', historyFrom: 'join' }),
};

// The table: what each may. Who is named gets 403 for the rest, who is not gets 404 for all.
const talk = ['see', 'read', 'send', 'edit own', 'delete own'];
const matrix = {
    direct: { member: talk },
    group: {
        owner: [...talk, 'add member', 'add admin', 'add owner', 'remove member', 'remove admin', 'remove owner', 'leave',
            'set role of member', 'set role of owner', 'rename', 'set history', 'rename and set history', "delete another's"],
        admin: [...talk, 'add member', 'remove member', 'leave', 'rename', "delete another's"],
        member: [...talk, 'leave'],
        'agent as member': [...talk, 'leave'],
    },
    support: {
        member: talk,
        agent: [...talk, 'join as agent', 'add agent', 'leave', 'set status'],
        'unjoined agent': ['see', 'join as agent'],
    },
};
// Who may add, but asks for what is none of the room's roles.
const nonsense = { group: { owner: ['join as agent', 'add agent'], admin: ['join as agent', 'add agent'] } };

for (const [type, rows] of Object.entries(askers)) {
    for (const [standing, id] of Object.entries(rows)) {
        test(`${type}: ${standing}`, { timeout: 60_000 }, async () => {
            let room = await rooms[type]();
            let messages = await sayIn(room, type, id);
            for (const [name, operation] of Object.entries(operations)) {
                const may = matrix[type][standing];
                const was = await stateOf(room);
                const { status, body } = await operation(users[id], room, type, messages);
                const ofMessage = name.startsWith('edit') || name.startsWith('delete');
                const said = `${type}, ${standing}, ${name}: ${status} ${JSON.stringify(body).slice(0, 300)}`;
                if (may?.includes(name)) {
                    assert(status === 200 || status === 201, said);
                    if (['see', 'read'].includes(name)) continue;
                    room = await rooms[type]();
                    messages = await sayIn(room, type, id);
                    continue;
                }
                const expected = nonsense[type]?.[standing]?.includes(name) ? 400 : may ? 403 : 404;
                assert.equal(status, expected, said);
                assert.equal(body.statusCode, expected);
                assert.equal(body.code, { 400: 'invalid_request', 403: 'forbidden', 404: ofMessage ? 'message_not_found' : 'room_not_found' }[expected], said);
                assert.deepEqual(await stateOf(room), was, `${said}: changed something`);
            }
        });
    }
}

test('an agent who has not joined sees the room without its messages, and brings nobody else', async () => {
    const room = (await must(201, users.mia.rest('POST', '/chat/rooms', { type: 'support' }))).id;
    await must(201, users.mia.rest('POST', `/chat/rooms/${room}/messages`, { content: 'help' }));
    const seen = await must(200, users.gert.rest('GET', `/chat/rooms/${room}`));
    assert.deepEqual([seen.lastMessage, seen.unreadCount, seen.status], [null, 0, 'open']);
    await must(403, add(room, users.gert, 'gus'));
    const joined = await must(201, add(room, users.gert, 'gert'));
    assert.deepEqual([joined.userId, joined.role], ['gert', 'agent']);
    assert.equal((await users.gert.history(room)).length, 1);
    assert.equal((await must(200, users.mia.rest('GET', `/chat/rooms/${room}`))).status, 'assigned');
    assert.equal((await must(200, change(room, users.gert, { status: 'closed' }))).status, 'closed');
    await must(200, change(room, users.gert, { status: 'assigned' }));
    await must(200, remove(room, users.gert, 'gert'));
    assert.equal((await stateOf(room)).status, 'open', 'nobody is left to care for it');
});

test('an agent who has not joined is told so on every door, and a stranger that there is no such room', async () => {
    const room = (await must(201, users.mia.rest('POST', '/chat/rooms', { type: 'support' }))).id;
    for (const [user, code, status] of [[users.gert, 'forbidden', 403], [users.sam, 'room_not_found', 404]]) {
        const socket = await user.socket();
        for (const event of ['join_chat', 'send_message', 'typing_start', 'mark_as_read', 'leave_chat']) {
            const answer = await socket.emit(event, { chatRoomId: room, content: 'x', seq: 1 });
            assert.deepEqual([answer.status, answer.code], ['error', code], `${user.id} ${event}`);
        }
        const mqtt = await user.mqtt();
        const said = await mqtt.send(room, { content: 'x' });
        assert.deepEqual([said.status, said.code], ['rejected', code], user.id);
        const { body } = await user.rest('POST', `/chat/rooms/${room}/messages`, { content: 'x' });
        assert.deepEqual([body.statusCode, body.code], [status, code], user.id);
        for (const door of [socket, mqtt]) await door.close();
    }
});

// ---- Coming

test('who comes begins with nothing unread, and sees what historyFrom says', { timeout: 30_000 }, async () => {
    for (const [historyFrom, seen] of [['start', 3], ['join', 1]]) {
        const room = await stack.room([users.olga, users.max]);
        await must(200, change(room, users.olga, { historyFrom }));
        for (const content of ['one', 'two']) await must(201, users.olga.rest('POST', `/chat/rooms/${room}/messages`, { content }));
        const late = stack.user(`late-${historyFrom}`);
        const participant = await must(201, add(room, users.olga, late.id));
        assert.deepEqual(
            { ...participant, joinedAt: typeof participant.joinedAt },
            { userId: late.id, role: 'member', joinedAt: 'string', readSeq: 2, deliveredSeq: 2, online: false },
        );
        assert.equal((await must(200, late.rest('GET', `/chat/rooms/${room}`))).unreadCount, 0);
        // Answered is known at every door: what the new one says at once is taken.
        const door = await late.mqtt({ room });
        assert.equal((await door.send(room, { content: 'three' })).status, 'stored');
        await door.close();
        assert.equal((await late.history(room)).length, seen);
    }
});

test('adding again answers with the participant, also when raced', { timeout: 30_000 }, async () => {
    const room = await stack.room([users.olga]);
    const answers = await Promise.all(Array.from({ length: 10 }, () => add(room, users.olga, 'new')));
    assert.deepEqual(answers.map((a) => a.status).sort(), [...Array(9).fill(200), 201]);
    for (const { body } of answers) assert.deepEqual(body, answers[0].body);
    assert.equal((await must(200, add(room, users.olga, 'new', 'admin'))).role, 'member', 'not another role');
    assert.equal((await stateOf(room)).rev, 1);
});

test('a room holds participants_max, also when raced', { timeout: 30_000 }, async () => {
    const room = await stack.room([users.olga]);
    const answers = await Promise.all(Array.from({ length: 15 }, (_, i) => add(room, users.olga, `extra-${i}`)));
    assert.equal(answers.filter((a) => a.status === 201).length, 11);
    for (const { status, body } of answers.filter((a) => a.status !== 201))
        assert.deepEqual([status, body.code], [409, 'participants_max']);
    assert.equal(Object.keys(await rolesOf(room)).length, 12);
});

test('a user is in rooms_max rooms at most, also when raced', { timeout: 60_000 }, async () => {
    const user = stack.user('packed');
    await stack.sql.query(`with made as (insert into chat_rooms (id, type, created_by, active_at, created_at, updated_at)
        select gen_random_uuid(), 'group', 'packed', now(), now(), now() from generate_series(1, 3995) returning id)
        insert into chat_participants (room_id, user_id, role, joined_at) select id, 'packed', 'owner', now() from made`);
    const made = await Promise.all(Array.from({ length: 4 }, () => stack.room([users.olga])));
    const answers = await Promise.all([
        ...Array.from({ length: 12 }, () => user.rest('POST', '/chat/rooms', { type: 'group', name: 'more' })),
        ...made.map((room) => add(room, users.olga, user.id)),
    ]);
    assert.equal(answers.filter((a) => a.status === 201).length, 5);
    for (const { status, body } of answers.filter((a) => a.status !== 201)) assert.deepEqual([status, body.code], [409, 'rooms_max']);
});

test('two make the same direct room at once: one room', { timeout: 30_000 }, async () => {
    for (let i = 0; i < 10; i++) {
        const [a, b] = [stack.user(`a-${i}`), stack.user(`b-${i}`)];
        const make = (by, to) => by.rest('POST', '/chat/rooms', { type: 'direct', participantIds: [to.id] });
        const answers = await Promise.all([make(a, b), make(b, a), make(a, b), make(b, a)]);
        assert.deepEqual(answers.map((x) => x.status).sort(), [200, 200, 200, 201]);
        assert.equal(new Set(answers.map((x) => x.body.id)).size, 1);
    }
});

// ---- Going

test('the last owner passes the group to the oldest admin, then to the oldest member', { timeout: 30_000 }, async () => {
    const room = await stack.room([users.olga, users.mia]);
    await must(201, add(room, users.olga, 'anna'));
    await must(201, add(room, users.olga, 'adam'));
    await must(200, setRole(room, users.olga, 'adam', 'admin'));
    await must(409, setRole(room, users.olga, 'olga', 'admin')).then((e) => assert.equal(e.code, 'last_owner'));
    const { rev } = await stateOf(room);
    assert.deepEqual(await must(200, remove(room, users.olga, 'olga')), { chatRoomId: room, rev: rev + 1, userId: 'olga' });
    assert.deepEqual(await rolesOf(room), { mia: 'member', anna: 'member', adam: 'owner' });
    assert.equal((await stateOf(room)).rev, rev + 2, 'each event has a rev');
    await must(200, remove(room, users.adam, 'adam'));
    assert.deepEqual(await rolesOf(room), { mia: 'owner', anna: 'member' });
    await must(200, change(room, users.mia, { name: 'mine now' }));
    await must(200, remove(room, users.anna, 'anna'));
    await must(200, remove(room, users.mia, 'mia'));
    assert.deepEqual(await rolesOf(room), {});
    await must(404, users.mia.rest('GET', `/chat/rooms/${room}`));
});

test('everybody leaves at once: no deadlock, and never a group without an owner', { timeout: 60_000 }, async () => {
    for (let round = 0; round < 10; round++) {
        const all = Array.from({ length: 8 }, (_, i) => stack.user(`r${round}-${i}`));
        const room = await stack.room(all);
        const answers = await Promise.all(all.slice(round % 2).map((u) => remove(room, u, u.id)));
        assert.deepEqual(answers.map((a) => a.status), answers.map(() => 200), JSON.stringify(answers.map((a) => a.body)));
        assert.deepEqual(await rolesOf(room), round % 2 ? { [all[0].id]: 'owner' } : {});
    }
});

test('a right that is taken away holds for what was asked at the same time', { timeout: 60_000 }, async () => {
    for (let round = 0; round < 20; round++) {
        const room = await stack.room([users.olga, users.adam, users.mia]);
        await must(200, setRole(room, users.olga, 'adam', 'admin'));
        const [demoted, removed] = await Promise.all([
            setRole(room, users.olga, 'adam', 'member'),
            remove(room, users.adam, 'mia'),
        ]);
        assert.equal(demoted.status, 200);
        assert([200, 403].includes(removed.status), JSON.stringify(removed.body));
        assert.equal('mia' in (await rolesOf(room)), removed.status === 403);
        if (removed.status === 200) assert(removed.body.rev < (await stateOf(room)).rev, 'it came before');
    }
});

test('a removed one who comes again is as new', { timeout: 30_000 }, async () => {
    const room = await stack.room([users.olga, users.mia]);
    await must(200, change(room, users.olga, { historyFrom: 'join' }));
    await must(201, users.olga.rest('POST', `/chat/rooms/${room}/messages`, { content: 'one' }));
    await must(200, remove(room, users.olga, 'mia'));
    await must(404, users.mia.rest('GET', `/chat/rooms/${room}/messages`));
    await must(404, remove(room, users.olga, 'mia')).then((e) => assert.equal(e.code, 'participant_not_found'));
    await must(201, users.olga.rest('POST', `/chat/rooms/${room}/messages`, { content: 'two' }));
    await must(201, add(room, users.olga, 'mia'));
    await must(201, users.olga.rest('POST', `/chat/rooms/${room}/messages`, { content: 'three' }));
    assert.deepEqual((await users.mia.history(room)).map((m) => m.content), ['three']);
    assert.equal((await must(200, users.mia.rest('GET', `/chat/rooms/${room}`))).unreadCount, 1);
});

test('settings: only what is named changes, and nothing raises no rev', { timeout: 30_000 }, async () => {
    const room = await stack.room([users.olga, users.mia], { name: 'old' });
    const named = await must(200, change(room, users.olga, { name: 'Grüße 🎉 "x"' }));
    assert.deepEqual([named.name, named.historyFrom, named.rev, named.status], ['Grüße 🎉 "x"', 'start', 1, null]);
    const same = await must(200, change(room, users.olga, { name: 'Grüße 🎉 "x"', historyFrom: 'start' }));
    assert.deepEqual([same.rev, same.updatedAt], [1, named.updatedAt]);
    const both = await must(200, change(room, users.olga, { name: null, historyFrom: 'join' }));
    assert.deepEqual([both.name, both.historyFrom, both.rev], [null, 'join', 2]);
    for (const body of [{}, { name: '' }, { name: 'x'.repeat(201) }, { historyFrom: 'never' }, { status: 'gone' }, { name: 1, status: 2 }]) {
        const error = await must(400, change(room, users.olga, body));
        assert(Array.isArray(error.message), JSON.stringify(error));
    }
});

// ---- What is made known

test('events come in the order of their revs, and each is told what is its own', { timeout: 30_000 }, async () => {
    const hear = (user) => user.mqtt({ subscribe: [`chat/v1/users/${user.id}/events`] });
    const [olga, mia] = [await hear(users.olga), await hear(users.mia)];
    const of = (door, event, room) =>
        door.other.find((m) => m.text.includes(room) && JSON.parse(m.text).event === event).then((m) => [m.topic, JSON.parse(m.text)]);
    const room = await stack.room([users.olga, users.max]);
    const [topic, added] = await of(olga, 'room_added', room);
    assert.equal(topic, 'chat/v1/users/olga/events');
    assert.deepEqual([added.chatRoomId, added.room.id, added.room.createdBy, added.room.rev], [room, room, 'olga', 0]);
    await olga.client.subscribeAsync(`chat/v1/rooms/${room}/events`, { qos: 1 });
    const participant = await must(201, add(room, users.olga, 'mia'));
    await of(mia, 'room_added', room);
    await must(200, setRole(room, users.olga, 'mia', 'admin'));
    await must(200, change(room, users.mia, { name: 'renamed' }));
    await of(olga, 'room_updated', room); // a change of settings is answered before it is heard
    await must(200, remove(room, users.olga, 'olga')); // not heard by olga; mia becomes owner
    await of(olga, 'room_removed', room);
    await must(200, remove(room, users.mia, 'mia'));
    await of(mia, 'room_removed', room);
    const heard = olga.other.items.filter((m) => m.topic === `chat/v1/rooms/${room}/events`).map((m) => JSON.parse(m.text));
    assert.deepEqual(heard.map((e) => [e.event, e.rev]), [['participant_added', 1], ['participant_updated', 2], ['room_updated', 3]]);
    assert.deepEqual({ ...heard[0].participant, online: 0 }, { ...participant, online: 0 });
    assert.equal(heard[1].participant.role, 'admin');
    assert.deepEqual([heard[2].room.name, heard[2].room.rev], ['renamed', 3]);
    for (const door of [olga, mia]) await door.close();
});

test('a participant is added once under an Idempotency-Key', { timeout: 30_000 }, async () => {
    const { olga, mia } = users;
    const [room, other] = [await stack.room([olga, mia]), await stack.room([olga, mia])];
    const once = (key, body, where = room) =>
        olga.rest('POST', `/chat/rooms/${where}/participants`, body, { 'idempotency-key': key });
    const raced = await Promise.all(Array.from({ length: 4 }, () => once('k1', { userId: 'kim' })));
    for (const answer of raced) assert.deepEqual([answer.status, answer.body], [201, raced[0].body], JSON.stringify(answer.body));
    for (const [body, where] of [[{ userId: 'lou' }], [{ userId: 'kim', role: 'admin' }], [{ userId: 'kim' }, other]])
        assert.equal((await must(409, once('k1', body, where))).code, 'conflict');
    assert.equal((await must(200, once('k2', { userId: 'kim' }))).userId, 'kim');
    await must(200, olga.rest('PATCH', `/chat/rooms/${room}/participants/kim/remove`));
    const before = await stateOf(room);
    assert.deepEqual(await must(201, once('k1', { userId: 'kim' })), raced[0].body, 'answered as it was the first time');
    assert.deepEqual(await stateOf(room), before, 'and not done again');
    await must(201, once('k3', { userId: 'kim' }));
    const long = await must(400, once('x'.repeat(129), { userId: 'a b' }));
    assert.equal(long.message.length, 2, 'every field is named');
    // What is refused is not remembered.
    await must(403, mia.rest('POST', `/chat/rooms/${room}/participants`, { userId: 'lou' }, { 'idempotency-key': 'k1' }));
    await must(201, olga.rest('POST', '/chat/rooms', { type: 'group' }, { 'idempotency-key': 'k4' }));
    assert.equal((await must(409, once('k4', { userId: 'lou' }))).code, 'conflict', 'one key, one thing');
});

test('a form is told that files are not taken yet', { timeout: 30_000 }, async () => {
    const { olga, mia } = users;
    const room = await stack.room([olga, mia]);
    const form = new FormData();
    form.set('content', 'by form');
    const answer = await fetch(`${stack.url}/api/v1/chat/rooms/${room}/messages`,
        { method: 'POST', headers: { authorization: `Bearer ${olga.token}` }, body: form });
    const { code, hint } = await answer.json();
    assert.deepEqual([answer.status, code], [415, 'unsupported_media_type']);
    assert.match(hint, /Files are not taken yet/);
    assert.equal((await stack.stored(room)).length, 0);
});

test('a body that is encoded is refused as such, before it is read', { timeout: 30_000 }, async () => {
    const { olga, mia } = users;
    const room = await stack.room([olga, mia]);
    const say = async (encoding, body) => {
        const answer = await fetch(`${stack.url}/api/v1/chat/rooms/${room}/messages`, {
            method: 'POST',
            headers: { authorization: `Bearer ${olga.token}`, 'content-type': 'application/json', 'content-encoding': encoding },
            body,
        });
        return { status: answer.status, accepted: answer.headers.get('accept-encoding'), body: await answer.json() };
    };
    const plain = JSON.stringify({ content: 'by gzip' });
    for (const [encoding, body] of [['gzip', gzipSync(plain)], ['gzip', plain], ['br', 'x'], ['gzip, identity', plain]]) {
        const refused = await say(encoding, body);
        assert.deepEqual([refused.status, refused.body.code, refused.accepted], [415, 'unsupported_encoding', 'identity'], encoding);
        assert.match(refused.body.hint, /without Content-Encoding/);
    }
    assert.equal((await stack.stored(room)).length, 0);
    assert.equal((await say('identity', plain)).status, 201);
});
