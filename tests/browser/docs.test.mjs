// GET /api/docs as a reader has it: the page comes up, lists what the service can do, and does it.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { openPage } from '../integration/lib/browser.mjs';
import { operations } from '../integration/lib/contract.mjs';
import { Stack } from '../integration/lib/stack.mjs';

let stack, room;

before(async () => {
    stack = await Stack.start();
    room = await stack.room([stack.user('alice'), stack.user('bob')], { name: 'Team' });
});
after(() => stack?.stop());

for (const path of ['/api/docs', '/api/docs/']) {
    test(`${path} lists every operation and tries one out`, { timeout: 120_000 }, async () => {
        const { page, requests, complaints, close } = await openPage(stack.folder);
        try {
            const answer = await page.goto(stack.url + path);
            assert.equal(answer.status(), 200);
            await page.waitForSelector('.opblock');
            assert.equal(await page.locator('.opblock').count(), operations.length);
            assert.match(await page.locator('.info .title').innerText(), /Parlor/);

            await page.click('.btn.authorize');
            await page.fill('.auth-container input', stack.user('alice').token);
            await page.click('.auth-container .btn.authorize');
            await page.click('.btn-done');
            await page.click('#operations-rooms-listRooms .opblock-summary-control');
            const [answered] = await Promise.all([
                page.waitForResponse((response) => response.url().includes('/chat/rooms')),
                page.click('#operations-rooms-listRooms .execute'),
            ]);
            assert.equal(answered.status(), 200);
            assert.equal(new URL(answered.url()).pathname, '/api/v1/chat/rooms');
            assert.deepEqual((await answered.json()).data.map((r) => r.id), [room]);
            await page.waitForSelector('#operations-rooms-listRooms .live-responses-table .response-col_status');
            const shown = await page.locator('#operations-rooms-listRooms .live-responses-table').innerText();
            assert(shown.includes('200') && shown.includes(room), shown);

            // A route beside the base has a server of its own.
            await page.click('#operations-health-live .opblock-summary-control');
            const [health] = await Promise.all([
                page.waitForResponse((response) => response.url().includes('/healthz')),
                page.click('#operations-health-live .execute'),
            ]);
            assert.deepEqual([health.status(), health.url()], [200, `${stack.url}/healthz`]);

            const away = requests.filter((url) => !url.startsWith(`${stack.url}/`) && !url.startsWith('data:'));
            assert.deepEqual(away, [], 'nothing is asked of anybody else');
            assert.deepEqual(complaints, []);
        } finally {
            await close();
        }
    });
}
