/* What `parlorctl check` found: a list of sentences, each with its weight and the part it is about.
 *
 * Flow:   checks -> findings_add -> findings_print.
 * Thread: one.
 * Owns:   its texts, until findings_finish. */
#ifndef PARLOR_CTL_FINDINGS_H
#define PARLOR_CTL_FINDINGS_H

#include "core/buf.h"

#include <stdbool.h>
#include <stddef.h>

enum finding_level {
    FINDING_OK,    /* looked at, and right */
    FINDING_NOTE,  /* will change, or is worth knowing */
    FINDING_WARN,  /* works, but not as it should */
    FINDING_WRONG, /* does not work like this */
    FINDING_LEVELS
};

struct finding {
    enum finding_level level;
    const char *area; /* a constant, as "broker" */
    char *text;
};

/* A zeroed one is empty. */
struct findings {
    struct finding *list;
    size_t count, capacity;
};

void findings_add(struct findings *f, enum finding_level level, const char *area, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
size_t findings_count(const struct findings *f, enum finding_level level);
/* True when some finding's text has `part`. */
bool findings_have(const struct findings *f, enum finding_level level, const char *part);
/* As lines, the worst last, or as one JSON object. */
void findings_print(const struct findings *f, struct buf *out, bool json);
void findings_finish(struct findings *f);

#endif
