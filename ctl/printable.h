/* Texts of others on their way to a terminal or into JSON: what a token, a file or a server says may have
 * bytes that move the cursor, begin a line, or are no UTF-8.
 *
 * Flow:   an error's, finding's or report's text -> here -> stdout, stderr.
 * Thread: one; pure.
 * Owns:   nothing. */
#ifndef PARLOR_CTL_PRINTABLE_H
#define PARLOR_CTL_PRINTABLE_H

#include "core/buf.h"

/* Appends the text; control characters and bytes that are no UTF-8 become \xNN. */
void printable_put(struct buf *out, const char *text);

/* The same as a JSON string, with its quotes. */
void printable_put_json(struct buf *out, const char *text);

#endif
