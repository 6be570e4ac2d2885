// A page in Debian's Chromium, and what it did: its requests, and whatever it complained of.
import { execFileSync } from 'node:child_process';
import { chromium } from 'playwright-core';

const program = () => execFileSync('sh', ['-c', 'command -v chromium'], { encoding: 'utf8' }).trim();

// {page, requests: [url], complaints: [text], close}. What is not on the loopback interface is refused, and listed.
export async function openPage(folder) {
    const browser = await chromium.launch({
        executablePath: program(),
        // Tests run as root here and there, and the sandbox does not.
        args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'],
        env: { ...process.env, HOME: folder, XDG_CONFIG_HOME: folder, XDG_CACHE_HOME: folder },
        timeout: 60_000,
    });
    const context = await browser.newContext();
    const page = await context.newPage();
    const requests = [], complaints = [];
    await context.route((url) => url.hostname !== '127.0.0.1' && /^(https?|wss?):$/.test(url.protocol), (route) => route.abort());
    page.on('request', (request) => requests.push(request.url()));
    page.on('websocket', (socket) => requests.push(socket.url()));
    page.on('console', (message) => ['error', 'warning'].includes(message.type()) && complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(error.message));
    return { page, requests, complaints, close: () => browser.close() };
}
