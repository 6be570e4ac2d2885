#include "ctl/findings.h"

#include "core/json.h"
#include "ctl/printable.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 1024

static const char *const level_names[FINDING_LEVELS] = {"ok", "note", "warning", "wrong"};

void findings_add(struct findings *f, enum finding_level level, const char *area, const char *format, ...)
{
    char text[TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (f->count == f->capacity) {
        f->capacity = f->capacity != 0 ? f->capacity * 2 : 16;
        f->list = mem_realloc(f->list, f->capacity * sizeof *f->list);
    }
    struct buf clean = {0};
    printable_put(&clean, text);
    f->list[f->count++] = (struct finding){.level = level, .area = area, .text = buf_take(&clean, NULL)};
}

size_t findings_count(const struct findings *f, enum finding_level level)
{
    size_t count = 0;
    for (size_t i = 0; i < f->count; i++)
        count += f->list[i].level == level;
    return count;
}

bool findings_have(const struct findings *f, enum finding_level level, const char *part)
{
    for (size_t i = 0; i < f->count; i++) {
        if (f->list[i].level == level && strstr(f->list[i].text, part) != NULL)
            return true;
    }
    return false;
}

static void print_text(const struct findings *f, struct buf *out)
{
    for (int level = 0; level < FINDING_LEVELS; level++) {
        for (size_t i = 0; i < f->count; i++) {
            if ((int)f->list[i].level == level)
                buf_printf(out, "%-7s  %-8s  %s\n", level_names[level], f->list[i].area, f->list[i].text);
        }
    }
    buf_printf(out, "%zu wrong, %zu warnings, %zu notes\n", findings_count(f, FINDING_WRONG),
               findings_count(f, FINDING_WARN), findings_count(f, FINDING_NOTE));
}

void findings_print(const struct findings *f, struct buf *out, bool json)
{
    if (!json) {
        print_text(f, out);
        return;
    }
    buf_printf(out, "{\"ok\":%s,\"findings\":[", findings_count(f, FINDING_WRONG) == 0 ? "true" : "false");
    for (size_t i = 0; i < f->count; i++) {
        buf_printf(out, "%s{\"level\":\"%s\",\"area\":\"%s\",\"text\":", i != 0 ? "," : "",
                   level_names[f->list[i].level], f->list[i].area);
        json_put_text(out, f->list[i].text);
        buf_put_byte(out, '}');
    }
    buf_put_text(out, "]}\n");
}

void findings_finish(struct findings *f)
{
    for (size_t i = 0; i < f->count; i++)
        free(f->list[i].text);
    free(f->list);
    *f = (struct findings){.count = 0};
}
