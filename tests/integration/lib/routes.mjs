// The router's table, read from its source: what is documented and tested is held against it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

// Its rows, less those of the admin listener alone (docs/operations.md has these): {name, method, pattern, flags,
// params}, with {id} for :id in name and pattern, and params null where the query is not looked at.
export function routes() {
    const text = readFileSync(new URL('../../../http/http.c', import.meta.url), 'utf8');
    const lists = Object.fromEntries([...text.matchAll(/const (\w+)\[\] = \{([^}]*)NULL\};/g)].map(([, name, words]) =>
        [name, [...words.matchAll(/"(\w+)"/g)].map(([, word]) => word)]));
    const table = text.match(/struct route routes\[\] = \{([\s\S]*?)\n\};/)[1];
    const rows = [...table.matchAll(/\{"([A-Z]+)",\s*"([^"]+)",\s*\w+,\s*([\w\s|]+),\s*(\w+)\}/g)];
    assert.equal(rows.length, table.match(/\{"/g).length, 'every row of the table is understood');
    return rows.map(([, method, text, flags, params]) => {
        const pattern = text.replace(/:(\w+)/g, '{$1}');
        return {
            name: `${method} ${pattern}`,
            method,
            pattern,
            flags: flags.split('|').map((flag) => flag.trim()),
            params: params === 'NULL' ? null : lists[params],
        };
    }).filter(({ flags }) => !flags.includes('ROUTE_HIDDEN'));
}
