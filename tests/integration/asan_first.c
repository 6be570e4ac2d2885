/* Preloaded with libasan into a broker that was built without it: lets AddressSanitizer start before any
 * library's constructor does.
 *
 * Debian's libgpg-error, which the broker loads, calls bindtextdomain in its constructor. AddressSanitizer
 * would start at the first malloc in there, call dlerror, which translates, and so unlock the lock that
 * bindtextdomain holds; the next one to need it, libpq, would wait for ever. With DF_1_INITFIRST this
 * constructor comes first. */
#include <stdlib.h>

static void *volatile start;

__attribute__((constructor)) static void on_load(void)
{
    start = malloc(1);
    free(start);
}
