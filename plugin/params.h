/* Arrays, of plain values or of records, as binary parameters of a PostgreSQL statement.
 *
 * Flow:   store -> params_begin, params_add_* for each value -> params_end -> PQsendQueryPrepared.
 * Thread: one owner.
 * Owns:   one buffer for all arrays, until params_finish. */
#ifndef PARLOR_PLUGIN_PARAMS_H
#define PARLOR_PLUGIN_PARAMS_H

#include "core/buf.h"
#include "core/ids.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PARAMS_MAX 16

enum params_type { PARAMS_UUID, PARAMS_TEXT, PARAMS_INT8, PARAMS_TIME, PARAMS_JSONB };

/* Zeroed is ready for use. */
struct params {
    struct buf bytes;
    size_t offsets[PARAMS_MAX];
    int count;
    bool records;  /* the open array is one of records */
    size_t record; /* where the open record begins */
    /* for PQsendQueryPrepared, set by params_end */
    const char *values[PARAMS_MAX];
    int sizes[PARAMS_MAX];
    int formats[PARAMS_MAX];
};

void params_clear(struct params *p);
void params_finish(struct params *p);

/* Opens the next array, of `count` elements, each added by exactly one params_add_*. */
void params_begin(struct params *p, enum params_type type, size_t count);
/* Opens an array of `count` records of a composite type, whose number in pg_type is type_oid; each record
 * stands between params_begin_record, with the number of its fields, and params_end_record, fields in the
 * type's order. */
void params_begin_records(struct params *p, uint32_t type_oid, size_t count);
void params_begin_record(struct params *p, unsigned fields);
void params_end_record(struct params *p);
void params_add_null(struct params *p, enum params_type type);
void params_add_uuid(struct params *p, const struct uuid *id);
void params_add_text(struct params *p, const char *text, size_t size);
void params_add_int(struct params *p, int64_t value);
void params_add_time(struct params *p, int64_t wall_ms); /* 1970 */
void params_add_jsonb(struct params *p, const char *json, size_t size);

/* Closes the last array and sets values, sizes and formats. */
void params_end(struct params *p);

/* Values of a binary result. */
int64_t params_read_int(const char *bytes);
int64_t params_read_time(const char *bytes); /* milliseconds since 1970 */

#endif
