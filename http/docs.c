/* Files are known by name, in a table: no path of a request ever becomes one of the disk. Each answer has an
 * ETag and is asked for anew (`no-cache`), since the names stay when the package moves on.
 *
 * The page may load from its own origin alone, without scripts or styles in its text; Swagger UI draws its
 * icons from data URLs. */
#include "http/docs.h"

#include "core/file.h"
#include "core/log.h"
#include "http/openapi.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX (8 * 1024 * 1024)
#define PATH_SIZE      4096
#define ETAG_SIZE      20
#define PAGE_SIZE      1024
#define HTML           "text/html; charset=utf-8"
#define JAVASCRIPT     "text/javascript; charset=utf-8"
#define POLICY                                                                                               \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "                        \
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

struct piece {
    const char *type;
    struct buf body; /* empty: it could not be read */
    char etag[ETAG_SIZE];
};

enum { PIECE_STYLE, PIECE_BUNDLE, PIECE_ICON, PIECE_SCRIPT, PIECES };

static const struct {
    const char *name, *type;
} names[PIECES] = {
    [PIECE_STYLE] = {"swagger-ui.css", "text/css; charset=utf-8"},
    [PIECE_BUNDLE] = {"swagger-ui-bundle.js", JAVASCRIPT},
    [PIECE_ICON] = {"favicon-32x32.png", "image/png"},
    [PIECE_SCRIPT] = {"page.js", JAVASCRIPT}, /* ours: what is in no folder */
};

struct docs {
    struct piece pieces[PIECES];
    char openapi_etag[ETAG_SIZE];
};

/* The page is served with and without a slash at its path's end: links are relative to what was asked for. */
static const char page_format[] = "<!doctype html>\n"
                                  "<html lang=\"en\">\n"
                                  "<head>\n"
                                  "<meta charset=\"utf-8\">\n"
                                  "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                                  "<title>Parlor REST API</title>\n"
                                  "<link rel=\"icon\" type=\"image/png\" href=\"%1$sfavicon-32x32.png\">\n"
                                  "<link rel=\"stylesheet\" href=\"%1$sswagger-ui.css\">\n"
                                  "</head>\n"
                                  "<body>\n"
                                  "<div id=\"swagger-ui\"></div>\n"
                                  "<script src=\"%1$sswagger-ui-bundle.js\"></script>\n"
                                  "<script src=\"%1$spage.js\"></script>\n"
                                  "</body>\n"
                                  "</html>\n";

static const char page_script[] = "SwaggerUIBundle({\n"
                                  "    url: new URL('../openapi.json', document.currentScript.src).href,\n"
                                  "    dom_id: '#swagger-ui',\n"
                                  "    deepLinking: true,\n"
                                  "    tryItOutEnabled: true,\n"
                                  "    queryConfigEnabled: false,\n"
                                  "    validatorUrl: null,\n"
                                  "});\n";

/* FNV-1a: it tells versions apart and protects nothing. */
static void make_etag(const char *bytes, size_t size, char out[ETAG_SIZE])
{
    uint64_t hash = 0xcbf29ce484222325U;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001b3U;
    snprintf(out, ETAG_SIZE, "\"%016" PRIx64 "\"", hash);
}

static void read_piece(const char *folder, const char *name, struct buf *out)
{
    char path[PATH_SIZE];
    struct error e = {0};
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
        error_set(&e, ERROR_INVALID, "no_file", "swagger_ui_path is too long");
    else if (file_read(path, FILE_BYTES_MAX, out, &e) == 0)
        return;
    buf_clear(out);
    log_warn("http",
             "/api/docs is not complete: swagger_ui_path must be the folder of swagger-ui-dist msg=\"%s\"",
             e.text);
}

struct docs *docs_create(const char *folder)
{
    struct docs *docs = mem_zalloc(1, sizeof *docs);
    for (int i = 0; i < PIECES; i++) {
        struct piece *piece = &docs->pieces[i];
        piece->type = names[i].type;
        if (i == PIECE_SCRIPT)
            buf_put_text(&piece->body, page_script);
        else
            read_piece(folder, names[i].name, &piece->body);
        make_etag(piece->body.data, piece->body.size, piece->etag);
    }
    make_etag(openapi_json, openapi_json_size, docs->openapi_etag);
    return docs;
}

void docs_destroy(struct docs **docs)
{
    if (docs == NULL || *docs == NULL)
        return;
    for (int i = 0; i < PIECES; i++)
        buf_finish(&(*docs)->pieces[i].body);
    free(*docs);
    *docs = NULL;
}

static bool client_has(const struct exchange *x, const char *etag)
{
    const char *list = x->request->header(x->request, "If-None-Match");
    return list != NULL && (strcmp(list, "*") == 0 || strstr(list, etag) != NULL);
}

static void answer(struct exchange *x, const char *type, const char *body, size_t size, const char *etag)
{
    x->cache = "no-cache";
    exchange_header(x, "ETag", etag);
    if (client_has(x, etag))
        exchange_answer(x, 304, NULL, NULL, 0);
    else
        exchange_answer(x, 200, type, body, size);
}

static void refuse_missing(struct exchange *x)
{
    x->hint =
        "Install the npm package swagger-ui-dist, name its folder by swagger_ui_path and restart parlord; "
        "/api/openapi.json is there in any case.";
    exchange_refuse_status(x, 404, "docs_not_installed", "Swagger UI is not installed here");
}

void docs_page(const struct docs *docs, struct exchange *x)
{
    if (docs->pieces[PIECE_BUNDLE].body.size == 0 || docs->pieces[PIECE_STYLE].body.size == 0) {
        refuse_missing(x);
        return;
    }
    const char *path = x->request->path;
    char page[PAGE_SIZE], etag[ETAG_SIZE];
    int size = snprintf(page, sizeof page, page_format, path[strlen(path) - 1] == '/' ? "" : "docs/");
    make_etag(page, (size_t)size, etag);
    exchange_header(x, "Content-Security-Policy", POLICY);
    exchange_header(x, "Referrer-Policy", "no-referrer");
    answer(x, HTML, page, (size_t)size, etag);
}

void docs_file(const struct docs *docs, struct exchange *x)
{
    const struct route_part *name = &x->match.parts[0];
    for (int i = 0; i < PIECES; i++) {
        if (strlen(names[i].name) != name->size || memcmp(names[i].name, name->text, name->size) != 0)
            continue;
        const struct piece *piece = &docs->pieces[i];
        if (piece->body.size == 0)
            refuse_missing(x);
        else
            answer(x, piece->type, piece->body.data, piece->body.size, piece->etag);
        return;
    }
    exchange_refuse_status(x, 404, "not_found", "there is nothing under this path");
}

void docs_openapi(const struct docs *docs, struct exchange *x)
{
    answer(x, "application/json; charset=utf-8", openapi_json, openapi_json_size, docs->openapi_etag);
}
