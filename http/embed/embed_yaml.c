/* embed-yaml FILE.yaml FILE.c NAME: a YAML document as JSON within C source, so that the document stays
 * the only source of what is served. A program of the build.
 *
 * Plain scalars become null, booleans and numbers by YAML 1.2's core schema; quoted and block ones are texts.
 * An alias stands for its anchor's value; merge keys and keys that are no scalars are refused. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define DEPTH_MAX 100 /* also what a value that holds itself comes to */
#define LINE_MAX  100 /* characters of a line of the C source, about */

struct writer {
    FILE *out;
    size_t size; /* of the JSON so far */
    int column;
};

static void put_byte(struct writer *w, unsigned char byte)
{
    if (w->column == 0)
        w->column = fprintf(w->out, "    \"");
    if (byte == '"' || byte == '\\')
        w->column += fprintf(w->out, "\\%c", byte);
    else if (byte < 0x20 || byte >= 0x7F || byte == '?') /* ?: no trigraphs */
        w->column += fprintf(w->out, "\\%03o", byte);
    else
        w->column += fprintf(w->out, "%c", byte);
    w->size++;
    if (w->column > LINE_MAX) {
        fputs("\"\n", w->out);
        w->column = 0;
    }
}

static void put_bytes(struct writer *w, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        put_byte(w, (unsigned char)text[i]);
}

static void put_string(struct writer *w, const char *text, size_t size)
{
    put_byte(w, '"');
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)text[i];
        char escape[8];
        if (byte == '"' || byte == '\\')
            snprintf(escape, sizeof escape, "\\%c", byte);
        else if (byte < 0x20)
            snprintf(escape, sizeof escape, "\\u%04x", byte);
        else
            snprintf(escape, sizeof escape, "%c", byte);
        put_bytes(w, escape, strlen(escape));
    }
    put_byte(w, '"');
}

static bool is_one_of(const char *text, const char *const *words)
{
    while (*words != NULL && strcmp(text, *words) != 0)
        words++;
    return *words != NULL;
}

/* A number that is written in JSON as it is in YAML. */
static bool is_number(const char *text)
{
    static const char digits[] = "0123456789";
    const char *at = text + (*text == '-');
    size_t whole = strspn(at, digits);
    if (whole == 0 || (whole > 1 && *at == '0'))
        return false;
    at += whole;
    if (*at == '.') {
        size_t fraction = strspn(at + 1, digits);
        if (fraction == 0)
            return false;
        at += 1 + fraction;
    }
    return *at == '\0';
}

static void put_scalar(struct writer *w, const yaml_node_t *node)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const booleans[] = {"true", "false", NULL};
    const char *text = (const char *)node->data.scalar.value;
    size_t size = node->data.scalar.length;
    bool plain = node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (plain && is_one_of(text, nulls))
        put_bytes(w, "null", 4);
    else if (plain && (is_one_of(text, booleans) || is_number(text)))
        put_bytes(w, text, size);
    else
        put_string(w, text, size);
}

static int put_node(struct writer *w, yaml_document_t *document, int index, int depth);

static int put_mapping(struct writer *w, yaml_document_t *document, const yaml_node_t *node, int depth)
{
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    put_byte(w, '{');
    for (; pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(document, pair->key);
        if (key->type != YAML_SCALAR_NODE || strcmp((const char *)key->data.scalar.value, "<<") == 0) {
            fprintf(stderr, "line %zu: this key has no place in JSON\n", key->start_mark.line + 1);
            return -1;
        }
        if (pair > node->data.mapping.pairs.start)
            put_byte(w, ',');
        put_string(w, (const char *)key->data.scalar.value, key->data.scalar.length);
        put_byte(w, ':');
        if (put_node(w, document, pair->value, depth) != 0)
            return -1;
    }
    put_byte(w, '}');
    return 0;
}

static int put_sequence(struct writer *w, yaml_document_t *document, const yaml_node_t *node, int depth)
{
    const yaml_node_item_t *item = node->data.sequence.items.start;
    put_byte(w, '[');
    for (; item < node->data.sequence.items.top; item++) {
        if (item > node->data.sequence.items.start)
            put_byte(w, ',');
        if (put_node(w, document, *item, depth) != 0)
            return -1;
    }
    put_byte(w, ']');
    return 0;
}

static int put_node(struct writer *w, yaml_document_t *document, int index, int depth)
{
    const yaml_node_t *node = yaml_document_get_node(document, index);
    if (node == NULL || depth >= DEPTH_MAX) {
        fprintf(stderr, "the document is empty or too deep\n");
        return -1;
    }
    switch (node->type) {
    case YAML_MAPPING_NODE:
        return put_mapping(w, document, node, depth + 1);
    case YAML_SEQUENCE_NODE:
        return put_sequence(w, document, node, depth + 1);
    default:
        put_scalar(w, node);
        return 0;
    }
}

static int embed(FILE *in, const char *path, const char *name)
{
    struct writer w = {.out = stdout};
    yaml_parser_t parser;
    yaml_document_t document;
    if (!yaml_parser_initialize(&parser))
        return -1;
    yaml_parser_set_input_file(&parser, in);
    int result = -1;
    if (yaml_parser_load(&parser, &document)) {
        const yaml_node_t *root = yaml_document_get_root_node(&document);
        printf("#include \"http/openapi.h\"\n\nconst char %s[] =\n", name);
        result = root != NULL ? put_node(&w, &document, 1, 0) : -1;
        printf("%s;\nconst size_t %s_size = %zu;\n", w.column > 0 ? "\"" : "", name, w.size);
        yaml_document_delete(&document);
    } else {
        fprintf(stderr, "%s:%zu: %s\n", path, parser.problem_mark.line + 1, parser.problem);
    }
    yaml_parser_delete(&parser);
    return result;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: embed-yaml FILE.yaml FILE.c NAME\n");
        return EXIT_FAILURE;
    }
    FILE *in = fopen(argv[1], "rb");
    if (in == NULL || freopen(argv[2], "wb", stdout) == NULL) {
        perror(in == NULL ? argv[1] : argv[2]);
        return EXIT_FAILURE;
    }
    int result = embed(in, argv[1], argv[3]);
    fclose(in);
    return result == 0 && fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
