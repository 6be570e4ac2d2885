#include "http/intake.h"

bool intake_put(struct intake *in, size_t *all, size_t all_max, const char *data, size_t size)
{
    size_t before = in->body.capacity;

    if (!in->refused && (in->body.size + size > in->bytes_max || *all > all_max)) {
        in->refused = true;
        in->full = in->body.size + size <= in->bytes_max;
        intake_drop(in, all);
    }
    if (in->refused) {
        in->discarded += size;
        return in->discarded <= INTAKE_DISCARD_MAX;
    }
    buf_put(&in->body, data, size);
    *all += in->body.capacity - before;
    return true;
}

void intake_drop(struct intake *in, size_t *all)
{
    *all -= in->body.capacity;
    buf_finish(&in->body);
}
