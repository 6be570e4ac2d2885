/* What each check says of a token, for an operator who wonders why it is refused.
 *
 * The verdict is token_verify's, as on every door; the single lines are read beside it and explain it.
 *
 * Flow:   text -> token_report_make -> token_report_print.
 * Thread: one.
 * Owns:   nothing; a report is a value. */
#ifndef PARLOR_CTL_TOKEN_REPORT_H
#define PARLOR_CTL_TOKEN_REPORT_H

#include "core/buf.h"
#include "core/config.h"
#include "core/token.h"

#include <stdbool.h>
#include <stdint.h>

#define TOKEN_REPORT_LINES_MAX 10

enum check_result { CHECK_PASSED, CHECK_FAILED, CHECK_SKIPPED };

struct token_report {
    bool valid;
    struct token token; /* when valid */
    struct error why;   /* when not */
    struct token_report_line {
        const char *name;
        enum check_result result;
        char text[200]; /* of the token, as it is: printed with control characters as \xNN */
    } lines[TOKEN_REPORT_LINES_MAX];
    size_t count;
};

void token_report_make(const struct config *config, struct token_keys *keys, const char *text, size_t size,
                       int64_t wall_s, struct token_report *out);

/* As lines, or as one JSON object. */
void token_report_print(struct buf *out, const struct token_report *report, bool json);

#endif
