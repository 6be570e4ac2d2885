// Who gets in by MQTT: tokens of the configured keys and algorithms, and nothing else.
import assert from 'node:assert/strict';
import { createSign, generateKeyPairSync, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import test from 'node:test';
import { Stack } from './lib/stack.mjs';
import { connectMqtt, nowSeconds, signToken } from './lib/clients.mjs';

const soon = () => nowSeconds() + 600;
const REFUSED = new Set([4, 5, 134, 135]);

async function refused(stack, what, options) {
    for (const protocolVersion of [4, 5]) {
        await assert.rejects(connectMqtt(stack, { username: 'jwt', protocolVersion, ...options }), (error) => {
            assert(REFUSED.has(error.code), `${what}: ${error.message}`);
            return true;
        }, what);
    }
}

async function accepted(stack, password, options = {}) {
    const client = await connectMqtt(stack, { username: 'jwt', password, ...options });
    await client.endAsync(true);
}

test('HS256', { timeout: 60_000 }, async (t) => {
    const stack = await Stack.start({
        parts: ['broker'],
        parlor: { jwt_issuer: 'https://issuer.example', jwt_audience: 'parlor' },
    });
    const good = { sub: 'alice', exp: soon(), iss: 'https://issuer.example', aud: 'parlor' };
    const token = (change, key = stack.secret, header) => {
        const claims = { ...good, ...change };
        for (const name of Object.keys(claims)) if (claims[name] === undefined) delete claims[name];
        return signToken(claims, key, header);
    };
    try {
        await accepted(stack, token({}));
        await accepted(stack, token({}), { username: 'alice' });
        await accepted(stack, token({ aud: ['other', 'parlor'] }));
        await accepted(stack, token({ nbf: nowSeconds() - 5 }));
        const bad = {
            'no exp': token({ exp: undefined }),
            'a passed exp': token({ exp: nowSeconds() - 5 }),
            'an exp that is a string': token({ exp: String(soon()) }),
            'nbf to come': token({ nbf: soon() }),
            'a wrong iss': token({ iss: 'https://other.example' }),
            'no iss': token({ iss: undefined }),
            'a wrong aud': token({ aud: 'other' }),
            'no aud': token({ aud: undefined }),
            'no sub': token({ sub: undefined }),
            'sub .': token({ sub: '.' }),
            'sub ..': token({ sub: '..' }),
            'a sub with a wildcard': token({ sub: 'a+b' }),
            'a sub with a slash': token({ sub: 'a/b' }),
            'a sub of 129': token({ sub: 'a'.repeat(129) }),
            'the service as sub': token({ sub: '$parlord', role: 'service' }),
            'another key': token({}, 'another-secret-another-secret-another'),
            'alg none': `${token({}, stack.secret, { alg: 'none' }).split('.').slice(0, 2).join('.')}.`,
            'alg none with a signature': token({}, stack.secret, { alg: 'none' }),
            'alg HS512 in the header': token({}, stack.secret, { alg: 'HS512' }),
            'a cut signature': token({}).slice(0, -4),
        };
        for (const [what, password] of Object.entries(bad)) {
            await t.test(what, () => refused(stack, what, { password }));
        }
        await t.test('a user name that is not the sub', () => refused(stack, 'username', { username: 'bob', password: token({}) }));
        await t.test('no password', () => refused(stack, 'none', { username: 'alice', password: undefined }));
        await t.test("another user's client id", () => refused(stack, 'id', { password: token({}), clientId: 'bob:phone' }));
        await t.test('a persistent session without an id of its own', () =>
            refused(stack, 'session', { password: token({}), clientId: 'phone', clean: false }));
        await t.test('a persistent session with its own id', () =>
            accepted(stack, token({}), { clientId: 'alice:phone', clean: false }));
        await t.test("the issuer's role service counts as none", async () => {
            const client = await connectMqtt(stack, { username: 'jwt', password: token({ role: 'service' }) });
            await assert.rejects(client.subscribeAsync('chat/v1/service/out/x', { qos: 0 }));
            await client.endAsync(true);
        });
        await t.test('the connection ends with the token', async () => {
            const client = await connectMqtt(stack, { username: 'jwt', password: token({ exp: nowSeconds() + 3 }), protocolVersion: 5 });
            const closed = new Promise((resolve) => client.once('close', () => resolve(Date.now())));
            const at = await closed;
            assert(at - nowSeconds() * 1000 < 10_000);
        });
    } finally {
        await stack.stop();
    }
});

for (const [alg, type, options] of [
    ['RS256', 'rsa', { modulusLength: 2048 }],
    ['ES256', 'ec', { namedCurve: 'P-256' }],
    ['EdDSA', 'ed25519', {}],
]) {
    test(`${alg}: a token forged as HS256 with the public PEM is refused`, { timeout: 60_000 }, async () => {
        const folder = mkdtempSync(`${tmpdir()}/parlor-key-`);
        const { publicKey, privateKey } = generateKeyPairSync(type, options);
        const pem = publicKey.export({ type: 'spki', format: 'pem' });
        writeFileSync(`${folder}/public.pem`, pem);
        const stack = await Stack.start({
            parts: ['broker'],
            parlor: { jwt_algorithms: alg, jwt_secret: undefined, jwt_public_key_file: `${folder}/public.pem` },
        });
        try {
            const claims = { sub: 'alice', exp: soon() };
            const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
            const text = `${part({ alg, typ: 'JWT' })}.${part(claims)}`;
            const signature =
                alg === 'EdDSA'
                    ? sign(null, Buffer.from(text), privateKey)
                    : createSign('SHA256').update(text).sign({ key: privateKey, dsaEncoding: 'ieee-p1363' });
            await accepted(stack, `${text}.${signature.toString('base64url')}`);
            await refused(stack, 'HS256 with the PEM', { password: signToken(claims, pem) });
            await refused(stack, 'HS256 with the trimmed PEM', { password: signToken(claims, pem.trim()) });
            await refused(stack, 'none', { password: `${part({ alg: 'none' })}.${part(claims)}.` });
        } finally {
            await stack.stop();
            rmSync(folder, { recursive: true });
        }
    });
}
