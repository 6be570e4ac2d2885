// The published contract as checks: docs/openapi.yaml and docs/asyncapi.yaml, held against what really goes over the
// wire. A check throws when something is not documented or does not fit.
//
// What the server says must fit strictly: an object has all keys of its schema that are required and none that are not
// there. What clients say may have more: unknown fields are ignored.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import Ajv from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { parse } from 'yaml';

const read = (path) => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');
export const openapi = parse(read('docs/openapi.yaml'));
export const asyncapi = parse(read('docs/asyncapi.yaml'), { merge: true });
export const BASE = openapi.servers[0].url;
const METHODS = ['get', 'post', 'put', 'patch', 'delete'];

export const follow = (document, value) =>
    value?.$ref ? follow(document, value.$ref.slice(2).split('/').reduce((at, key) => at[key], document)) : value;

// Each operation of openapi.yaml: {name: 'GET /healthz', method, path, operation, parameters}; paths are whole.
export const operations = Object.entries(openapi.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => {
        const whole = `${(item.servers?.[0].url ?? BASE).replace(/\/$/, '')}${path}`;
        return {
            name: `${method.toUpperCase()} ${whole}`,
            method: method.toUpperCase(),
            path: whole,
            shape: new RegExp(`^${whole.replace(/[.]/g, '\\.').replace(/\{\w+\}/g, '[^/]+')}/?$`),
            operation: item[method],
            parameters: [...(item.parameters ?? []), ...(item[method].parameters ?? [])].map((p) => follow(openapi, p)),
        };
    }));

// A validator of a document's schemas. Closed: an object has no keys but those of its schema. Such a schema stands by
// itself: allOf would refuse the keys of its other parts.
export function validator(document, { closed = true } = {}) {
    const ajv = new Ajv({ strict: false, allErrors: true });
    addFormats(ajv);
    ajv.addFormat('int64', true);
    const close = (schema) => {
        if (Array.isArray(schema)) return schema.map(close);
        if (schema === null || typeof schema !== 'object') return schema;
        const copy = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, key === 'not' ? value : close(value)]));
        if (closed && copy.type === 'object' && typeof copy.properties === 'object' && !('additionalProperties' in copy))
            copy.unevaluatedProperties = false;
        return copy;
    };
    ajv.addSchema({ $id: 'contract', components: { schemas: close(document.components.schemas) } });
    const compiled = new Map();
    return (schema, value, what) => {
        if (!compiled.has(schema))
            compiled.set(schema, ajv.compile(JSON.parse(JSON.stringify(close(schema)).replaceAll('"#/', '"contract#/'))));
        const validate = compiled.get(schema);
        assert(validate(value), `${what}: ${ajv.errorsText(validate.errors)}\n${JSON.stringify(value)?.slice(0, 2000)}`);
    };
}

export const fits = validator(openapi);
const fitsAsked = validator(openapi, { closed: false });
const fitsMessage = validator(asyncapi);

// ---- REST

// Answers that any route may give without naming them: another method, what the listener refuses before the router.
const ANYWHERE = new Map([[405, 'method_not_allowed'], [501, null]]);

const typeOf = (headers) => (headers.get('content-type') ?? '').split(';')[0];

function checkError(status, body, requestId, what) {
    fits(openapi.components.schemas.Error, body, what);
    assert.equal(body.statusCode, status, what);
    if (requestId !== undefined) assert.equal(body.requestId, requestId, `${what}: X-Request-Id`);
}

function checkHeaders(response, headers, what) {
    for (const [name, header] of Object.entries(response.headers ?? {})) {
        const { schema, required } = follow(openapi, header);
        const value = headers.get(name);
        if (required !== false) assert(value !== null, `${what}: no ${name}`);
        if (schema.type === 'integer' && value !== null) assert(/^\d+$/.test(value), `${what}: ${name} ${value}`);
    }
}

// One answer of REST. path: with the base, without the query. headers: null where there are none (the `api` topic).
// asked: the request's body as an object, when it was JSON. Gives the operation's name, or null where no route is.
export function checkAnswer({ method, path, asked, status, headers, body }) {
    const known = operations.filter((o) => o.shape.test(path));
    const found = known.find((o) => o.method === (method === 'HEAD' ? 'GET' : method));
    const what = `${method} ${path} ${status}`;
    if (method === 'HEAD' || method === 'OPTIONS') return found?.name ?? null;
    if (status >= 400 && body?.statusCode !== undefined) checkError(status, body, headers?.get('x-request-id') ?? undefined, what);
    if (ANYWHERE.has(status)) {
        if (ANYWHERE.get(status)) assert.equal(body.code, ANYWHERE.get(status), what);
        return found?.name ?? null;
    }
    if (!found) {
        assert.equal(known.length, 0, `${what}: the method is not documented, and not refused as such`);
        assert([400, 404, 413, 503].includes(status), `${what}: there is no such route`);
        return null;
    }
    const response = follow(openapi, found.operation.responses[status]);
    assert(response, `${what}: this status of ${found.name} is not documented`);
    if (headers) checkHeaders(response, headers, what);
    if (!response.content) assert.equal(body, null, `${what}: there is a body`);
    else {
        const type = headers ? typeOf(headers) : 'application/json';
        assert(response.content[type], `${what}: its type is ${type}`);
        if (response.content[type].schema) fits(response.content[type].schema, body, `${found.name} ${status}`);
    }
    const wanted = found.operation.requestBody?.content['application/json'].schema;
    if (status < 300 && wanted && asked !== undefined) fitsAsked(wanted, asked, `${found.name}, what was asked`);
    return found.name;
}

// ---- MQTT

const PREFIX = 'chat/v1/';
const topics = Object.values(asyncapi.channels).filter(({ address }) => address.startsWith(PREFIX)).map((channel) => ({
    shape: new RegExp(`^${channel.address.replace(/\{\w+\}/g, '[^/]+')}$`),
    // As parts of the document: what they refer to is followed by the validator.
    schema: { anyOf: Object.values(channel.messages).map((message) => follow(asyncapi, message).payload) },
    text: Object.values(channel.messages).some((message) => follow(asyncapi, message).contentType === 'text/plain'),
}));

// A payload that a client received. Topics outside the prefix are not the contract's, nor are those of calls yet.
export function checkTopic(topic, payload) {
    if (!topic.startsWith(PREFIX) || topic.startsWith(`${PREFIX}calls/`) || payload.length === 0) return;
    const found = topics.find(({ shape }) => shape.test(topic));
    assert(found, `the topic ${topic} is not documented`);
    if (!found.text) fitsMessage(found.schema, JSON.parse(payload.toString()), topic);
}

// ---- Socket.IO

const chat = Object.entries(asyncapi.channels.chat.messages).map(([key, message]) => [key, follow(asyncapi, message)]);
const event = (name) => chat.find(([, message]) => message.name === name);
const acks = new Map(Object.values(asyncapi.operations).flatMap((operation) =>
    operation.channel.$ref !== '#/channels/chat' || !operation.reply ? [] : operation.messages.map((message) =>
        [follow(asyncapi, message).name ?? follow(asyncapi, follow(asyncapi, message)).name,
            { anyOf: operation.reply.messages.map((m) => follow(asyncapi, follow(asyncapi, m)).payload) }])));

// An event of the namespace /chat that a client received.
export function checkEvent(name, args) {
    const found = event(name);
    assert(found, `the event ${name} is not documented`);
    assert.equal(args.length, 1, `${name} has one argument`);
    fitsMessage(found[1].payload, args[0], name);
}

// The ack of an event that a client emitted.
export function checkAck(name, answer) {
    if (!acks.has(name)) return;
    fitsMessage(acks.get(name), answer, `the ack of ${name}`);
    if (answer.room) fits(openapi.components.schemas.Room, answer.room, `the room in the ack of ${name}`);
}
