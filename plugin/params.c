/* The wire form of an array (array_send in PostgreSQL's arrayfuncs.c): dimensions, whether nulls are in it,
 * the elements' type, the first dimension's size and lower bound, then each element with its length before
 * it, -1 for null. All integers are big-endian. */
#include "plugin/params.h"

#include <endian.h>
#include <string.h>

#define EPOCH_2000_MS INT64_C(946684800000) /* PostgreSQL's times count from 2000, in microseconds */

static const uint32_t type_oids[] = {[PARAMS_UUID] = 2950,
                                     [PARAMS_TEXT] = 25,
                                     [PARAMS_INT8] = 20,
                                     [PARAMS_TIME] = 1184,
                                     [PARAMS_JSONB] = 3802};

static void put_int32(struct params *p, uint32_t value)
{
    uint32_t big = htobe32(value);
    buf_put(&p->bytes, &big, sizeof(big));
}

void params_clear(struct params *p)
{
    buf_clear(&p->bytes);
    p->count = 0;
}

void params_finish(struct params *p)
{
    buf_finish(&p->bytes);
}

static void begin_array(struct params *p, uint32_t type_oid, size_t count)
{
    p->offsets[p->count++] = p->bytes.size;
    put_int32(p, 1);
    put_int32(p, 1); /* the server looks at the elements themselves */
    put_int32(p, type_oid);
    put_int32(p, (uint32_t)count);
    put_int32(p, 1);
}

void params_begin(struct params *p, enum params_type type, size_t count)
{
    p->records = false;
    begin_array(p, type_oids[type], count);
}

void params_begin_records(struct params *p, uint32_t type_oid, size_t count)
{
    p->records = true;
    begin_array(p, type_oid, count);
}

/* A record is an element with a length that is known at its end only: params_end_record sets it. */
void params_begin_record(struct params *p, unsigned fields)
{
    p->record = p->bytes.size;
    put_int32(p, 0);
    put_int32(p, fields);
}

void params_end_record(struct params *p)
{
    uint32_t size = htobe32((uint32_t)(p->bytes.size - p->record - sizeof(uint32_t)));
    memcpy(p->bytes.data + p->record, &size, sizeof(size));
}

/* A record's field has its type before its length. */
static void put_head(struct params *p, enum params_type type, uint32_t size)
{
    if (p->records) {
        put_int32(p, type_oids[type]);
    }
    put_int32(p, size);
}

void params_add_null(struct params *p, enum params_type type)
{
    put_head(p, type, UINT32_MAX);
}

void params_add_uuid(struct params *p, const struct uuid *id)
{
    put_head(p, PARAMS_UUID, sizeof(id->bytes));
    buf_put(&p->bytes, id->bytes, sizeof(id->bytes));
}

void params_add_text(struct params *p, const char *text, size_t size)
{
    put_head(p, PARAMS_TEXT, (uint32_t)size);
    buf_put(&p->bytes, text, size);
}

static void put_int64(struct params *p, int64_t value)
{
    uint64_t big = htobe64((uint64_t)value);
    buf_put(&p->bytes, &big, sizeof(big));
}

void params_add_int(struct params *p, int64_t value)
{
    put_head(p, PARAMS_INT8, sizeof(value));
    put_int64(p, value);
}

void params_add_time(struct params *p, int64_t wall_ms)
{
    put_head(p, PARAMS_TIME, sizeof(wall_ms));
    put_int64(p, (wall_ms - EPOCH_2000_MS) * 1000);
}

void params_add_jsonb(struct params *p, const char *json, size_t size)
{
    put_head(p, PARAMS_JSONB, (uint32_t)size + 1);
    buf_put_byte(&p->bytes, 1); /* the version of jsonb's wire form; the text follows */
    buf_put(&p->bytes, json, size);
}

void params_end(struct params *p)
{
    for (int i = 0; i < p->count; i++) {
        size_t end = i + 1 < p->count ? p->offsets[i + 1] : p->bytes.size;
        p->values[i] = p->bytes.data + p->offsets[i];
        p->sizes[i] = (int)(end - p->offsets[i]);
        p->formats[i] = 1;
    }
}

int64_t params_read_int(const char *bytes)
{
    uint64_t big;
    memcpy(&big, bytes, sizeof(big));
    return (int64_t)be64toh(big);
}

int64_t params_read_time(const char *bytes)
{
    int64_t us = params_read_int(bytes);
    int64_t ms = us >= 0 ? us / 1000 : -((-us + 999) / 1000);
    return ms + EPOCH_2000_MS;
}
