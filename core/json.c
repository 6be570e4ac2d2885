/* The tree is cJSON's; what cJSON would misread, json_check.c has refused before. */
#include "core/json.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INTEGER_MAX 9007199254740992.0

/* ---- The tree ---- */

static const cJSON *node(const struct json *value)
{
    return (const cJSON *)value;
}

static const struct json *wrap(const cJSON *value)
{
    return (const struct json *)value;
}

struct json *json_parse(const char *bytes, size_t size, struct error *e)
{
    if (json_check(bytes, size, e) != 0)
        return NULL;
    cJSON *tree = cJSON_ParseWithLength(bytes, size);
    if (tree == NULL)
        error_set(e, ERROR_INTERNAL, "internal", "no memory for a JSON text of %zu bytes", size);
    return (struct json *)tree;
}

void json_destroy(struct json **tree)
{
    if (tree == NULL)
        return;
    cJSON_Delete((cJSON *)*tree);
    *tree = NULL;
}

enum json_kind json_kind(const struct json *value)
{
    if (value == NULL)
        return JSON_ABSENT;
    switch (node(value)->type & 0xff) {
    case cJSON_NULL:
        return JSON_NULL;
    case cJSON_False:
    case cJSON_True:
        return JSON_BOOL;
    case cJSON_Number:
        return JSON_NUMBER;
    case cJSON_String:
        return JSON_STRING;
    case cJSON_Array:
        return JSON_ARRAY;
    case cJSON_Object:
        return JSON_OBJECT;
    default:
        return JSON_ABSENT;
    }
}

static bool is_container(const struct json *value)
{
    enum json_kind kind = json_kind(value);
    return kind == JSON_ARRAY || kind == JSON_OBJECT;
}

const struct json *json_get(const struct json *object, const char *name)
{
    if (json_kind(object) != JSON_OBJECT)
        return NULL;
    return wrap(cJSON_GetObjectItemCaseSensitive(node(object), name));
}

const struct json *json_first(const struct json *container)
{
    return is_container(container) ? wrap(node(container)->child) : NULL;
}

const struct json *json_next(const struct json *value)
{
    return value != NULL ? wrap(node(value)->next) : NULL;
}

size_t json_count(const struct json *container)
{
    size_t count = 0;
    for (const struct json *at = json_first(container); at != NULL; at = json_next(at))
        count++;
    return count;
}

const char *json_name(const struct json *member)
{
    return member != NULL ? node(member)->string : NULL;
}

const char *json_string(const struct json *value)
{
    return json_kind(value) == JSON_STRING ? node(value)->valuestring : NULL;
}

bool json_integer(const struct json *value, int64_t *out)
{
    if (json_kind(value) != JSON_NUMBER)
        return false;
    double number = node(value)->valuedouble;
    if (!(number >= -INTEGER_MAX && number <= INTEGER_MAX))
        return false;
    int64_t whole = (int64_t)number;
    if (number > (double)whole || number < (double)whole)
        return false;
    *out = whole;
    return true;
}

bool json_seq(const struct json *value, int64_t *out)
{
    if (json_kind(value) == JSON_NUMBER && node(value)->valuedouble > INTEGER_MAX) {
        *out = (int64_t)INTEGER_MAX;
        return true;
    }
    return json_integer(value, out) && *out >= 0;
}

bool json_floor(const struct json *value, int64_t *out)
{
    if (json_kind(value) != JSON_NUMBER)
        return false;
    double number = node(value)->valuedouble;
    if (!(number >= -INTEGER_MAX && number <= INTEGER_MAX))
        return false;
    int64_t whole = (int64_t)number;
    *out = number < (double)whole ? whole - 1 : whole;
    return true;
}

bool json_bool(const struct json *value, bool *out)
{
    if (json_kind(value) != JSON_BOOL)
        return false;
    *out = (node(value)->type & 0xff) == cJSON_True;
    return true;
}

/* ---- Printing ---- */

static void put_escape(struct buf *b, unsigned char c)
{
    static const char letters[0x20] = {['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    static const char digits[] = "0123456789abcdef";
    if (c >= 0x20 || letters[c] != 0) {
        char escape[2] = {'\\', (char)(c >= 0x20 ? c : (unsigned char)letters[c])};
        buf_put(b, escape, sizeof escape);
    } else {
        char escape[6] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};
        buf_put(b, escape, sizeof escape);
    }
}

static const bool must_escape[256] = {[0x00 ... 0x1f] = true, ['"'] = true, ['\\'] = true};

void json_put_string(struct buf *b, const char *bytes, size_t size)
{
    buf_reserve(b, size + 2);
    buf_put_byte(b, '"');
    size_t run = 0;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (!must_escape[c])
            continue;
        buf_put(b, bytes + run, i - run);
        put_escape(b, c);
        run = i + 1;
    }
    if (size != 0)
        buf_put(b, bytes + run, size - run);
    buf_put_byte(b, '"');
}

void json_put_text(struct buf *b, const char *text)
{
    if (text == NULL)
        buf_put(b, "null", 4);
    else
        json_put_string(b, text, strlen(text));
}

void json_put_int(struct buf *b, int64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest != 0);
    if (value < 0)
        digits[--at] = '-';
    buf_put(b, digits + at, sizeof digits - at);
}

static void put_number(struct buf *b, const struct json *value)
{
    int64_t whole;
    if (json_integer(value, &whole)) {
        json_put_int(b, whole);
        return;
    }
    /* 15 digits when they come back as the same number, else the 17 that always do. */
    char text[32];
    double number = node(value)->valuedouble;
    snprintf(text, sizeof text, "%.15g", number);
    double back = strtod(text, NULL);
    if (back < number || back > number)
        snprintf(text, sizeof text, "%.17g", number);
    buf_put_text(b, text);
}

void json_put_tree(struct buf *b, const struct json *value)
{
    enum json_kind kind = json_kind(value);
    bool is_true;
    switch (kind) {
    case JSON_ABSENT:
    case JSON_NULL:
        buf_put(b, "null", 4);
        return;
    case JSON_BOOL:
        buf_put_text(b, json_bool(value, &is_true) && is_true ? "true" : "false");
        return;
    case JSON_NUMBER:
        put_number(b, value);
        return;
    case JSON_STRING:
        json_put_text(b, json_string(value));
        return;
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    buf_put_byte(b, kind == JSON_OBJECT ? '{' : '[');
    for (const struct json *child = json_first(value); child != NULL; child = json_next(child)) {
        if (child != json_first(value))
            buf_put_byte(b, ',');
        if (kind == JSON_OBJECT) {
            json_put_text(b, json_name(child));
            buf_put_byte(b, ':');
        }
        json_put_tree(b, child);
    }
    buf_put_byte(b, kind == JSON_OBJECT ? '}' : ']');
}
