#include "bridge/argument.h"

/* It is nearly always the only one and then needs no copy. */
struct json *event_argument(struct slice args, struct slice *data_out, struct buf *copy_out, struct error *e)
{
    struct json *tree = json_parse(args.text, args.size, e), *list;

    *data_out = args;
    if (tree != NULL)
        return tree;
    buf_put_byte(copy_out, '[');
    buf_put(copy_out, args.text, args.size);
    buf_put_byte(copy_out, ']');
    list = json_parse(copy_out->data, copy_out->size, NULL);
    buf_clear(copy_out);
    if (json_count(list) > 0) {
        json_put_tree(copy_out, json_first(list));
        tree = json_parse(copy_out->data, copy_out->size, e);
        *data_out = (struct slice){copy_out->data, copy_out->size};
    }
    json_destroy(&list);
    return tree;
}
