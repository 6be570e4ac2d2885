// Servers killed, stopped and cut off at random while people talk, read, edit and are removed; afterwards the whole
// history is checked (lib/history.mjs has the rules). PARLOR_SEEDS names other seeds, as 3 or 1-20, PARLOR_RAGE_MS for
// how long the faults go on.
import assert from 'node:assert/strict';
import test from 'node:test';
import { runSeed } from './lib/run.mjs';

const RAGE_MS = Number(process.env.PARLOR_RAGE_MS ?? 8000);
const [first, last = first] = (process.env.PARLOR_SEEDS ?? '1').split('-').map(Number);

for (let seed = first; seed <= last; seed++) {
    test(`seed ${seed}`, { timeout: RAGE_MS + 240_000 }, async () => {
        const { broken, log, counts, stored, removals } = await runSeed(seed, RAGE_MS);
        if (process.env.PARLOR_TELL) console.log(log.join('\n'), counts);
        console.log(`seed ${seed}: ${stored} messages, ${removals} removals, ${log.length} faults`);
        assert.deepEqual(broken.slice(0, 20), [], `${broken.length} rules broken\n${log.join('\n')}`);
        assert(stored > 20, 'nothing was said');
    });
}
