/* docs/openapi.yaml as JSON, in the program.
 *
 * Flow:   docs/openapi.yaml -> embed-yaml, when it is built -> docs.c. Thread: any. Owns: nothing. */
#ifndef PARLOR_HTTP_OPENAPI_H
#define PARLOR_HTTP_OPENAPI_H

#include <stddef.h>

extern const char openapi_json[];
extern const size_t openapi_json_size;

#endif
