/* Which of the right names a wrong one was meant for.
 *
 * Flow:   a wrong name, each right one -> nearest_take -> the complaint.
 * Thread: any; pure.
 * Owns:   nothing; names are the caller's. */
#ifndef PARLOR_CORE_NEAREST_H
#define PARLOR_CORE_NEAREST_H

#include <stdbool.h>
#include <stddef.h>

struct nearest {
    const char *wrong;
    size_t size;
    const char *name; /* the nearest of those taken, NULL before the first */
    size_t distance;
};

/* `wrong` need not end in a zero byte. */
struct nearest nearest_begin(const char *wrong, size_t size);

/* Looks whether `right` is nearer than those before: by letters regardless of case, or by the words between
 * the underscores, in any order. */
void nearest_take(struct nearest *n, const char *right);

/* True when what was found is likely what was meant; else it is only the least far. */
bool nearest_close(const struct nearest *n);

#endif
