/* GET /api/docs and /api/openapi.json: the published contract, for people and for programs.
 *
 * The page is Swagger UI, whose few files are read once, when the process starts; nothing comes from
 * elsewhere.
 *
 * Flow:   swagger_ui_path -> docs_create; request -> http.c -> here. Thread: the service's loop.
 * Owns:   the files' bytes, until docs_destroy. */
#ifndef PARLOR_HTTP_DOCS_H
#define PARLOR_HTTP_DOCS_H

#include "http/exchange.h"

struct docs;

/* Reads the files of the folder; those that can't be read are answered 404 with the way out. */
struct docs *docs_create(const char *folder);
void docs_destroy(struct docs **docs);

void docs_page(const struct docs *docs, struct exchange *x);
void docs_file(const struct docs *docs, struct exchange *x); /* the path's first part */
void docs_openapi(const struct docs *docs, struct exchange *x);

#endif
