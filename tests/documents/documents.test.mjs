// The published documents are what they say they are: OpenAPI 3.1 and AsyncAPI 3.0, by the linters of each.
import { Parser } from '@asyncapi/parser';
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import test from 'node:test';
import { promisify } from 'node:util';

const here = (path) => new URL(path, import.meta.url).pathname;

// Errors and warnings, each as one line.
async function lint(document) {
    const args = [here('node_modules/@redocly/cli/bin/cli.js'), 'lint', '--config', here('redocly.yaml'), '--format', 'json', document];
    // It says nothing to anybody outside.
    const env = { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' };
    const { stdout } = await promisify(execFile)(process.execPath, args, { env }).catch((error) => error);
    return JSON.parse(stdout).problems.map((p) => `${p.severity} ${p.ruleId} ${p.location[0]?.pointer ?? ''}: ${p.message}`);
}

async function parse(document) {
    const { diagnostics } = await new Parser().parse(document);
    return diagnostics.filter((d) => d.severity <= 1).map((d) => `${d.code} ${d.path.join('.')}: ${d.message}`);
}

test('openapi.yaml', { timeout: 120_000 }, async () => {
    assert.deepEqual(await lint(here('../../docs/openapi.yaml')), []);
});

test('asyncapi.yaml', { timeout: 120_000 }, async () => {
    assert.deepEqual(await parse(readFileSync(here('../../docs/asyncapi.yaml'), 'utf8')), []);
});

test('a fault is found in each', { timeout: 120_000 }, async () => {
    const folder = mkdtempSync(`${tmpdir()}/parlor-documents-`);
    try {
        const broken = readFileSync(here('../../docs/openapi.yaml'), 'utf8').replace('operationId:', 'operationID:');
        writeFileSync(`${folder}/openapi.yaml`, broken);
        assert.match((await lint(`${folder}/openapi.yaml`)).join('\n'), /operationID/);
    } finally {
        rmSync(folder, { recursive: true });
    }
    const broken = readFileSync(here('../../docs/asyncapi.yaml'), 'utf8').replace(/^channels:/m, 'chanels:');
    assert.match((await parse(broken)).join('\n'), /chanels/);
});
