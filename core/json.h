/* JSON at the edges: a strict check, a reader over cJSON, and a writer that prints from validated values.
 *
 * cJSON alone cuts strings at \u0000, matches names regardless of case, takes the first of duplicate names
 * and accepts bad UTF-8; json_parse refuses all of these first, so that a tree always means what its text
 * says.
 *
 * Flow:   bytes -> json_parse -> look-ups -> json_destroy; values -> json_put_* -> struct buf.
 * Thread: any; a tree belongs to its caller.
 * Owns:   the tree, until json_destroy. Strings returned live as long as the tree. */
#ifndef PARLOR_CORE_JSON_H
#define PARLOR_CORE_JSON_H

#include "core/buf.h"
#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_DEPTH_MAX 16

enum json_kind { JSON_ABSENT, JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json; /* one value of a tree */

/* RFC 8259 to the letter and more: UTF-8 without overlongs or surrogates, escaped surrogates only in pairs,
 * no \u0000, no duplicate names, at most JSON_DEPTH_MAX levels, nothing after the value. Returns 0, or -1
 * with INVALID `invalid_json` and the byte offset in the text. Numbers are at most 62 characters long and
 * within a double's range. */
int json_check(const char *bytes, size_t size, struct error *e);

/* json_check, then the tree; NULL with e filled on failure. */
struct json *json_parse(const char *bytes, size_t size, struct error *e);
void json_destroy(struct json **tree);

enum json_kind json_kind(const struct json *value); /* NULL: JSON_ABSENT */

/* The member `name` (exact case) of an object; NULL when absent or when `object` is none. */
const struct json *json_get(const struct json *object, const char *name);

/* First child of an array or object, and the next one; NULL at the end. */
const struct json *json_first(const struct json *container);
const struct json *json_next(const struct json *value);
size_t json_count(const struct json *container);
const char *json_name(const struct json *member); /* the name of an object's member */

/* NULL unless it is a string. */
const char *json_string(const struct json *value);
/* True and *out for a number that is a whole one within +-2^53; false otherwise. */
bool json_integer(const struct json *value, int64_t *out);
/* True and *out for a whole number from 0; one past 2^53, where numbers are whole anyway, counts as 2^53. */
bool json_seq(const struct json *value, int64_t *out);
/* The same for any number in that range, rounded down. */
bool json_floor(const struct json *value, int64_t *out);
/* True and *out for true or false. */
bool json_bool(const struct json *value, bool *out);

/* A string with quotes; bytes must be UTF-8. Control characters are escaped, all else goes as it is. */
void json_put_string(struct buf *b, const char *bytes, size_t size);
void json_put_text(struct buf *b, const char *text); /* json_put_string of a C string; NULL prints null */
void json_put_int(struct buf *b, int64_t value);
/* Prints a tree again, compactly; numbers that are whole print without a fraction. */
void json_put_tree(struct buf *b, const struct json *value);

/* True when the bytes are well-formed UTF-8 without U+0000. */
bool utf8_check(const char *bytes, size_t size);

#endif
