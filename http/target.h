/* The line of a request: its target split and decoded, its method checked.
 *
 * Flow:   listener -> here. Thread: any; pure.
 * Owns:   nothing; a struct target points into its caller's bytes. */
#ifndef PARLOR_HTTP_TARGET_H
#define PARLOR_HTTP_TARGET_H

#include <stdbool.h>
#include <stddef.h>

/* What is said of a target, or a method, that is refused. */
#define TARGET_PATH_WORD    "bad_path"
#define TARGET_PATH_TEXT    "The path must begin with a slash, and its escapes must be whole and not %00."
#define TARGET_METHOD_WORD  "unknown_method"
#define TARGET_METHOD_TEXT  "This method is not served."
#define TARGET_METHOD_TITLE "Not Implemented" /* 501 */

struct target {
    char *path;  /* decoded; begins with a slash */
    char *query; /* raw, "" when there is none */
};

/* Splits `raw`, of `size` bytes and a zero, which may be of the absolute form; the path is decoded into the
 * size + 1 bytes behind that zero. False for an escape that is cut, or %00, or no path at all. */
bool target_split(char *raw, size_t size, struct target *out);

/* GET, POST, PATCH, PUT, DELETE, HEAD or OPTIONS. */
bool target_method_known(const char *method);

#endif
