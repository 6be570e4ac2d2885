// The list of a user's rooms and the search of a large room: time and CPU of one request.
//
//   node bench/lists.mjs --rooms 1000 --messages 1000000 --data FOLDER
//
// `bench/run lists` starts a stack and calls it. Settings of the stack by environment, as `./dev env` prints them;
// --data is its PARLOR_DATA, for the process ids and the database. Rooms are made by REST; the messages go straight
// into the tables, for they are only read here: a thousand different words, some of them in few messages.
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
    options: {
        rooms: { type: 'string', default: '1000' },
        messages: { type: 'string', default: '1000000' },
        data: { type: 'string', default: process.env.PARLOR_DATA },
    },
});
const [ROOMS, MESSAGES] = [Number(values.rooms), Number(values.messages)];
if (!(ROOMS >= 1 && ROOMS <= 5000 && MESSAGES >= 1000 && MESSAGES <= 10_000_000)) throw new Error('1 to 5000 rooms, 1000 to 10000000 messages');
const TICKS_PER_S = 100;
const RUNS = 40;
const { PARLOR_URL, PARLOR_TOKEN_ALICE } = process.env;
const pid = (name) => Number(readFileSync(`${values.data}/run/${name}.pid`, 'utf8'));
const database = readFileSync(`${values.data}/secrets/database_url`, 'utf8').trim();
const sql = (text) => execFileSync('psql', [database, '-XAtqc', text], { encoding: 'utf8' }).trim();

async function rest(method, path, body) {
    const answer = await fetch(`${PARLOR_URL}/api/v1${path}`, {
        method,
        headers: { authorization: `Bearer ${PARLOR_TOKEN_ALICE}`, ...(body && { 'content-type': 'application/json' }) },
        body: body && JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
}

async function makeRoom(name) {
    return (await rest('POST', '/chat/rooms', { type: 'group', name, participantIds: ['bob'] })).id;
}

function fill(room, count) {
    sql(`insert into chat_messages (seq, body_hash, created_at, id, room_id, type, sender_id, client_message_id, content)
        select n, 0, now() - (${count} - n) * interval '1 second', gen_random_uuid(), '${room}', 'text', 'bob', 'fill-' || n,
            'word' || n % 1000 || ' and ' || md5(n::text) || case when n % 50000 = 7 then ' seldom' else '' end
            || case when n % 10 = 0 then ' common' else '' end
        from generate_series(1, ${count}) n;
        update chat_rooms set last_seq = ${count}, active_at = now() where id = '${room}'`);
}

// Seconds of CPU that a process and its children have taken.
function cpu(process) {
    const ticks = (stat) => stat.slice(stat.lastIndexOf(')') + 2).split(' ').slice(11, 13).reduce((sum, n) => sum + Number(n), 0);
    let sum = 0;
    for (const name of readdirSync('/proc').filter((n) => /^\d+$/.test(n))) {
        try {
            const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
            const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
            if (Number(name) === process || parent === process) sum += ticks(stat);
        } catch { /* it ended meanwhile */ }
    }
    return sum / TICKS_PER_S;
}

async function measure(what, once) {
    const times = [];
    const [parlord, postgres] = [pid('parlord'), pid('postgres')];
    for (let i = 0; i < 5; i++) await once();
    const before = [cpu(parlord), cpu(postgres)];
    for (let i = 0; i < RUNS; i++) {
        const from = performance.now();
        await once();
        times.push(performance.now() - from);
    }
    times.sort((a, b) => a - b);
    const ms = (from, to) => (((to - from) * 1000) / RUNS).toFixed(1);
    console.log(`${what.padEnd(52)} p50 ${times[RUNS / 2].toFixed(1)} ms  max ${times.at(-1).toFixed(1)} ms  CPU ${ms(before[0], cpu(parlord))} + ${ms(before[1], cpu(postgres))} ms (parlord + PostgreSQL)`);
}

async function walkRooms() {
    let path = '/chat/rooms?limit=50';
    let count = 0;
    for (;;) {
        const page = await rest('GET', path);
        count += page.data.length;
        if (!page.meta.hasMore) return count;
        path = `/chat/rooms?limit=50&cursor=${encodeURIComponent(page.meta.nextCursor)}`;
    }
}

const hall = await makeRoom('hall');
for (let i = 0; i < ROOMS; i++) fill(await makeRoom(`room ${i}`), 10);
fill(hall, MESSAGES);
sql('analyze chat_rooms, chat_participants, chat_messages');
console.log(`${await walkRooms()} rooms of one user; a room of ${MESSAGES} messages`);
await measure('GET /chat/rooms, first page of 50', () => rest('GET', '/chat/rooms?limit=50'));
await measure('GET /chat/rooms, first page of 20', () => rest('GET', '/chat/rooms?limit=20'));
await measure('GET /chat/rooms, all pages of 50', walkRooms);

const search = (text) => rest('GET', `/chat/rooms/${hall}/messages?limit=50&search=${encodeURIComponent(text)}`);
const from = performance.now();
await search('seldom');
console.log(`first search of the room, not indexed yet                  ${(performance.now() - from).toFixed(1)} ms`);
const indexed = () => Number(sql(`select coalesce(max(blocks), 0) * 32 from chat_search_rooms where room_id = '${hall}'`));
for (let seen = -1; seen !== indexed() && indexed() < MESSAGES - 2048; await new Promise((r) => setTimeout(r, 2000))) seen = indexed();
console.log(`indexed behind it: ${indexed()} messages after ${((performance.now() - from) / 1000).toFixed(0)} s`);
for (const text of ['seldom', 'common', 'word77', 'word77 and', 'word7', 'common word10', 'nowhere'])
    await measure(`search '${text}', a page of 50`, () => search(text));
