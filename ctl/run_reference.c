#include "ctl/ctl.h"

#include "core/json.h"

int run_reference(struct ctl *ctl, struct error *e)
{
    (void)e;
    struct buf text = {0};
    config_print_reference(&text);
    if (ctl_json(ctl)) {
        buf_put_text(&ctl->out, "{\"ok\":true,\"markdown\":");
        json_put_string(&ctl->out, text.data, text.size);
        buf_put_text(&ctl->out, "}\n");
    } else {
        buf_put(&ctl->out, text.data, text.size);
    }
    buf_finish(&text);
    return 0;
}
