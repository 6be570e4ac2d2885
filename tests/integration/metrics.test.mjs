// GET /metrics on the admin listener: what clients did by each door is in the numbers, and the page is one that
// Prometheus takes.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import test, { after, before } from 'node:test';
import { until } from './lib/events.mjs';
import { Stack } from './lib/stack.mjs';

let stack, alice, bob, mallory;

before(async () => {
    stack = await Stack.start();
    [alice, bob, mallory] = ['alice', 'bob', 'mallory'].map((id) => stack.user(id));
});
after(() => stack.stop());

const admin = (path, options) => fetch(`http://127.0.0.1:${stack.adminPort}${path}`, options);

// The page's samples, {'name{labels}': number}; no sample and no family may be there twice.
function parse(page) {
    const samples = {};
    const families = new Set();
    for (const line of page.trimEnd().split('\n')) {
        const type = line.match(/^# TYPE (\S+) (counter|gauge|histogram)$/);
        if (type) {
            assert(!families.has(type[1]), `${type[1]} twice`);
            families.add(type[1]);
        }
        if (line.startsWith('#')) continue;
        const [, key, value] = line.match(/^([a-z_]+(?:\{.*\})?) ([0-9.]+)$/) ?? assert.fail(`no sample: ${line}`);
        assert(!(key in samples), `${key} twice`);
        assert(families.has(key.replace(/\{.*/, '').replace(/_(bucket|sum|count)$/, '')) || families.has(key.replace(/\{.*/, '')), `${key} has no type`);
        samples[key] = Number(value);
    }
    return samples;
}

async function scrape() {
    const response = await admin('/metrics');
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
    const page = await response.text();
    return { page, samples: parse(page) };
}

// The plugin tells its numbers every five seconds: waits until these samples are as told.
async function expect(wanted) {
    let got;
    await until('the metrics follow', async () => {
        const { samples } = await scrape();
        got = Object.fromEntries(Object.keys(wanted).map((key) => [key, samples[key]]));
        return Object.entries(wanted).every(([key, value]) => samples[key] === value);
    }, 20_000).catch((error) => assert.deepEqual(got, wanted, error.message));
}

test('a parlord that was linked has the numbers at once, and other admin paths are none', { timeout: 30_000 }, async () => {
    const { samples } = await scrape();
    assert.equal(samples.parlor_link_up, 1);
    assert.equal(samples.parlor_writer_database_up, 1);
    assert.equal(samples.parlor_nodes, 1);
    assert.equal(samples['parlor_messages_stored_total{door="mqtt"}'], 0);
    assert.ok(samples.parlor_database_connections > 0);
    assert.equal(samples.parlor_database_queries_waiting, 0);
    assert.equal((await admin('/metrics', { method: 'POST' })).status, 405);
    assert.equal((await admin('/metric')).status, 404);
    assert.equal((await admin('/api/v1/chat/rooms')).status, 404);
    assert.equal((await fetch(`${stack.url}/metrics`)).status, 404, 'not on the public port');
});

test('messages, refusals, receipts and connections of each door are counted', { timeout: 60_000 }, async () => {
    const room = await stack.room([alice, bob]);
    const plain = await alice.mqtt({ room });
    const web = await bob.mqtt({ ws: true });
    const socket = await alice.socket({ room });
    const polling = await bob.socket({ transports: ['polling'] });
    const rest = await bob.door('rest');
    const stranger = await mallory.mqtt();

    for (const content of ['1', '2', '3']) assert.equal((await plain.send(room, { content })).status, 'stored');
    assert.equal((await socket.send(room, { content: '4' })).status, 'stored');
    assert.equal((await rest.send(room, { content: '5' })).status, 'stored');
    const clientMessageId = 'again-and-again';
    for (let i = 0; i < 2; i++) assert.equal((await plain.send(room, { content: '6', clientMessageId })).status, 'stored');
    assert.equal((await stranger.send(room, { content: 'no' })).code, 'room_not_found');
    assert.equal((await plain.send(room, { content: '' })).status, 'rejected');
    assert.equal((await polling.emit('mark_as_read', { chatRoomId: room, seq: 6 })).status, 'ok'); // past bob's own
    assert.equal((await rest.send('01900000-0000-7000-8000-000000000000', { content: 'no' })).httpStatus, 404);

    await expect({
        'parlor_messages_stored_total{door="mqtt"}': 4,
        'parlor_messages_stored_total{door="service"}': 2,
        parlor_messages_replayed_total: 1,
        'parlor_messages_rejected_total{reason="room_not_found"}': 1,
        'parlor_messages_rejected_total{reason="invalid_message"}': 1,
        parlor_receipts_total: 1,
        parlor_queue_messages: 0,
        parlor_fanout_lag_seconds_count: 6,
        parlor_batch_messages_sum: 7, // the one that came again was in a batch too
        'parlor_mqtt_connections{transport="tcp"}': 3, // parlord's is one
        'parlor_mqtt_connections{transport="websocket"}': 1,
        parlor_users_online: 3,
        'parlor_sockets{namespace="/chat"}': 2,
        'parlor_socket_sessions{transport="websocket"}': 1,
        'parlor_socket_sessions{transport="polling"}': 1,
        'parlor_http_requests_total{method="POST",route="/api/v1/chat/rooms",status="201"}': 1,
        'parlor_http_requests_total{method="POST",route="/api/v1/chat/rooms/:id/messages",status="201"}': 1,
        'parlor_http_requests_total{method="POST",route="/api/v1/chat/rooms/:id/messages",status="404"}': 1,
        'parlor_http_request_duration_seconds_count{method="POST",route="/api/v1/chat/rooms/:id/messages"}': 2,
    });
    const { samples } = await scrape();
    assert.equal(samples.parlor_batch_messages_count, samples.parlor_commit_duration_seconds_count);
    assert.ok(samples.parlor_commit_duration_seconds_sum > 0);
    assert.equal(samples['parlor_fanout_lag_seconds_bucket{le="+Inf"}'], 6);
    for (const door of [plain, web, socket, polling, stranger]) await door.close();
    await expect({
        'parlor_mqtt_connections{transport="tcp"}': 1,
        'parlor_mqtt_connections{transport="websocket"}': 0,
        'parlor_sockets{namespace="/chat"}': 0,
    });
});

test('every metric is in the table of docs/operations.md, and all in the table are there', { timeout: 30_000 }, async () => {
    const { page } = await scrape();
    const told = [...page.matchAll(/^# TYPE (\S+)/gm)].map((m) => m[1]).sort();
    const table = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8');
    const documented = [...table.matchAll(/^\| `(parlor_[a-z_]+)`/gm)].map((m) => m[1]).sort();
    assert.deepEqual(told, documented);
});

const promtool = !spawnSync('promtool', ['--version']).error;
test('promtool finds no fault', { timeout: 30_000, skip: promtool ? false : 'promtool is not installed' }, async () => {
    const { page } = await scrape();
    execFileSync('promtool', ['check', 'metrics'], { input: page, stdio: ['pipe', 'pipe', 'pipe'] });
});

test('without the broker the plugin is not spoken for', { timeout: 60_000 }, async () => {
    await stack.killBroker();
    await until('the link is down', async () => (await scrape()).samples.parlor_link_up === 0, 20_000);
    assert.equal((await scrape()).samples.parlor_nodes, undefined);
    await stack.startBroker();
    await stack.ready();
    const { samples } = await scrape();
    assert.equal(samples.parlor_link_up, 1);
    assert.equal(samples.parlor_nodes, 1);
});
