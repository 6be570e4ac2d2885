// Clients in other languages, which speak the same protocols with habits of their own. Python's is run as Debian has
// it; of the others the test says on the wire what they say: Swift 16, Java 2, C++ 3, Dart 2 and 3.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import test, { after, before } from 'node:test';
import { Stack } from './lib/stack.mjs';
import { WireSocket, openPolling, poll } from './lib/wire.mjs';

let stack, alice, bob, room, listener;

before(async () => {
    stack = await Stack.start();
    [alice, bob] = ['alice', 'bob'].map((id) => stack.user(id));
    room = await stack.room([alice, bob]);
    listener = await bob.socket({ room });
});
after(() => stack.stop());

const auth = () => JSON.stringify({ token: alice.token });
const send = (id, content) => `42/chat,${id}["send_message",${JSON.stringify({ chatRoomId: room, content })}]`;
const heard = (content) => listener.seen.find((m) => m.content === content && m.senderId === 'alice');
const isOk = (text, start) => assert(text.startsWith(`${start}[{"status":"ok","message":{"id":`), text);

const PYTHON = `
import json, os, sys, socketio
url, token, room, transports = os.environ['URL'], os.environ['TOKEN'], os.environ['ROOM'], json.loads(os.environ['TRANSPORTS'])
out = {}
bad = socketio.Client(reconnection=False)
@bad.on('connect_error', namespace='/chat')
def refused(data): out['refused'] = data
try: bad.connect(url, namespaces=['/chat'], auth={'token': 'none'}, transports=transports, wait_timeout=1)
except socketio.exceptions.ConnectionError: pass
bad.disconnect()
client = socketio.Client(reconnection=False)
seen = []
client.on('new_message', lambda event: seen.append(event['message']['content']), namespace='/chat')
client.connect(url, namespaces=['/chat', '/calls'], auth={'token': token}, transports=transports)
out['transport'] = client.transport()
out['joined'] = client.call('join_chat', {'chatRoomId': room, 'afterSeq': 0}, namespace='/chat')['status']
out['sent'] = client.call('send_message', {'chatRoomId': room, 'content': 'python ' + json.dumps(transports)}, namespace='/chat')['status']
out['error'] = client.call('send_message', {'chatRoomId': room}, namespace='/chat')['code']
out['bytes'] = client.call('send_message', b'abc', namespace='/chat')['status']
for _ in range(100):
    if seen: break
    client.sleep(0.05)
out['seen'] = seen
client.disconnect()
print(json.dumps(out))
`;

for (const [name, transports, used] of [['upgrading', null, 'websocket'], ['polling', ['polling'], 'polling'], ['websocket', ['websocket'], 'websocket']]) {
    test(`Python, ${name}`, { timeout: 40_000 }, async () => {
        const child = spawn('/usr/bin/python3', ['-c', PYTHON], {
            env: { PATH: process.env.PATH, URL: stack.url, TOKEN: alice.token, ROOM: room, TRANSPORTS: JSON.stringify(transports) },
            stdio: ['ignore', 'pipe', 'inherit'],
        });
        let text = '';
        child.stdout.on('data', (bytes) => (text += bytes));
        assert.equal(await new Promise((resolve) => child.once('exit', resolve)), 0);
        const out = JSON.parse(text);
        assert.deepEqual(out.refused, { message: 'Unauthorized', data: { code: 'invalid_token' } });
        const content = `python ${transports ? JSON.stringify(transports) : 'null'}`;
        assert.deepEqual([out.transport, out.joined, out.sent, out.error, out.bytes], [used, 'ok', 'ok', 'invalid_message', 'error']);
        assert.deepEqual(out.seen, [content]);
        await heard(content);
    });
}

test('Swift: b64 on polling, "/" written out, a noop before the upgrade, packets that waited for it', { timeout: 30_000 }, async () => {
    const query = await openPolling(stack, 'transport=polling&b64=1&EIO=4');
    const headers = { 'content-type': 'text/plain; charset=UTF-8' };
    assert.equal((await poll(stack, query, { body: `40/,\x1e40/chat,${auth()}`, headers })).text, 'ok');
    let connected = '';
    while (!connected.includes('40/chat,')) connected += (await poll(stack, query)).text;
    assert.match(connected, /^40\{"sid"/);
    assert.match(connected, /40\/chat,\{"sid"/);
    const held = poll(stack, query);
    const wire = await WireSocket.open(stack, { query: `${query.replace('polling&b64=1', 'websocket')}` });
    wire.say('2probe');
    await wire.text('3probe');
    assert.equal((await held).text, '6');
    assert.equal((await poll(stack, query, { body: '6', headers })).text, 'ok');
    wire.say('5');
    wire.say(send(0, 'swift'));
    isOk(await wire.text('43/chat,0'), '43/chat,0');
    await heard('swift');
    wire.say('41/chat,');
    wire.say('1');
    await wire.heard.find((f) => f.close === 1000);
});

test('Java: the query in any order, CONNECT without data refused, headers of its own', { timeout: 30_000 }, async () => {
    const headers = { accept: '*/*', 'content-type': 'text/plain; charset=UTF-8' };
    const query = await openPolling(stack, 'transport=polling&t=OqFg1a2&EIO=4', { headers });
    await poll(stack, query, { body: '40/chat,', headers });
    assert.equal((await poll(stack, query)).text, '44/chat,{"message":"Unauthorized","data":{"code":"invalid_token"}}');
    await poll(stack, query, { body: `40/chat,${auth()}\x1e${send(7, 'java')}`, headers });
    let text = '';
    while (!text.includes('43/chat,7')) text += (await poll(stack, query)).text;
    await heard('java');
    assert.equal((await poll(stack, query, { body: '41/chat,\x1e1', headers })).text, 'ok');
    assert.equal((await poll(stack, query)).status, 400);
});

test('C++: WebSocket at once, a path without its slash, seconds as t, no Origin', { timeout: 30_000 }, async () => {
    for (const path of ['/socket.io', '/socket.io/']) {
        const wire = await WireSocket.open(stack, { path, query: `EIO=4&transport=websocket&t=${Math.floor(Date.now() / 1000)}` });
        assert.equal(wire.status, 101);
        wire.say('40');
        await wire.text('40{"sid"');
        wire.say(`40/chat,${auth()}`);
        await wire.text('40/chat,{"sid"');
        wire.say(send(1, `c++ ${path}`));
        isOk(await wire.text('43/chat,1'), '43/chat,1');
        await heard(`c++ ${path}`);
        wire.say('41/chat,');
        wire.close();
    }
});

test('Dart: events that only libraries emit, binary as base64, Content-type in its own case', { timeout: 30_000 }, async () => {
    const wire = await WireSocket.open(stack, { query: 'EIO=4&transport=websocket&b64=1&t=lx2k' });
    wire.say(`40/chat,${auth()}`);
    await wire.text('40/chat,');
    for (const name of ['connect', 'connecting', 'disconnect', 'newListener']) wire.say(`42/chat,["${name}",{}]`);
    wire.say('451-/chat,3["send_message",{"_placeholder":true,"num":0}]');
    wire.say('bAQID');
    assert.match(await wire.text('43/chat,3'), /"status":"error"/);
    wire.say(send(4, 'dart'));
    isOk(await wire.text('43/chat,4'), '43/chat,4');
    await heard('dart');
    wire.close();
    const query = await openPolling(stack, 'EIO=4&transport=polling&b64=1&t=lx2l');
    assert.equal((await poll(stack, query, { body: `40/chat,${auth()}`, headers: { 'Content-type': 'text/plain;charset=UTF-8' } })).text, 'ok');
    assert.match((await poll(stack, query)).text, /^40\/chat,/);
});
