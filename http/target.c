#include "http/target.h"

#include "core/ids.h"

#include <string.h>
#include <strings.h>

bool target_split(char *raw, size_t size, struct target *out)
{
    char *all_end = raw + size;
    char *to = out->path = all_end + 1;
    /* RFC 9112, 3.2.2: servers take the absolute form too. */
    if (strncasecmp(raw, "http://", 7) == 0 || strncasecmp(raw, "https://", 8) == 0) {
        raw = strchr(strstr(raw, "//") + 2, '/');
        if (!raw)
            return false;
    }
    if (*raw != '/')
        return false;
    char *mark = strchr(raw, '?');
    const char *end = mark ? mark : all_end;
    out->query = mark ? mark + 1 : all_end;
    for (const char *p = raw; p < end; p++) {
        if (*p != '%') {
            *to++ = *p;
            continue;
        }
        int high = end - p > 2 ? hex_digit(p[1]) : -1;
        int low = high >= 0 ? hex_digit(p[2]) : -1;
        if (low < 0 || (high == 0 && low == 0))
            return false;
        *to++ = (char)(high * 16 + low);
        p += 2;
    }
    *to = '\0';
    return true;
}

bool target_method_known(const char *method)
{
    static const char *const methods[] = {"GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (strcmp(method, methods[i]) == 0)
            return true;
    return false;
}
