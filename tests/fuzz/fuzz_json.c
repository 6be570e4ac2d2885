/* JSON: what the check takes, the reader takes; and what is printed from a tree means the same again. */
#include "tests/fuzz/fuzz.h"

#include "core/json.h"

#include <string.h>

static void check_strings(const struct json *value, int depth)
{
    MUST(depth <= JSON_DEPTH_MAX + 1);
    const char *text = json_string(value), *name = json_name(value);
    MUST(text == NULL || utf8_check(text, strlen(text)));
    MUST(name == NULL || utf8_check(name, strlen(name)));
    for (const struct json *child = json_first(value); child != NULL; child = json_next(child)) {
        check_strings(child, depth + 1);
        if (json_kind(value) == JSON_OBJECT)
            MUST(json_get(value, json_name(child)) == child); /* no name is there twice */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data;
    struct error e = {0};
    struct json *tree = json_parse(bytes, size, &e);
    if (tree == NULL) {
        MUST(e.code == ERROR_INVALID);
        MUST(json_check(bytes, size, NULL) == -1);
        return 0;
    }
    MUST(utf8_check(bytes, size));
    check_strings(tree, 1);
    struct buf once = {0}, twice = {0};
    json_put_tree(&once, tree);
    struct json *again = json_parse(once.data, once.size, &e);
    MUST(again != NULL);
    json_put_tree(&twice, again);
    MUST(once.size == twice.size && memcmp(once.data, twice.data, once.size) == 0);
    buf_finish(&once);
    buf_finish(&twice);
    json_destroy(&tree);
    json_destroy(&again);
    return 0;
}
