/* Runs a fuzz target over the files of the folders that it is given, without libFuzzer: each file as it is,
 * each of its beginnings, and with single bytes changed in ways that parsers tend to trip over. All of it is
 * the same at every run. */
#include "tests/fuzz/fuzz.h"

#include "core/buf.h"
#include "core/file.h"

#include <dirent.h>
#include <string.h>

#define FILE_BYTES_MAX 65536
#define CUTS_MAX       512 /* beginnings and places tried in one file */

static const unsigned char odd_bytes[] = {0x00, 0x01, 0x20, '"',  '\\', '{',  ']', '/',
                                          '+',  '#',  '0',  0x7f, 0x80, 0xc3, 0xff};

static unsigned long runs;

/* In memory of exactly its size, so that a sanitizer sees each step past the end. */
static void run(const void *data, size_t size)
{
    uint8_t *copy = mem_alloc(size);
    if (size != 0)
        memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    runs++;
}

static void run_changes(struct buf *bytes)
{
    size_t step = bytes->size / CUTS_MAX + 1;
    run(bytes->data, bytes->size);
    for (size_t place = 0; place < bytes->size; place += step) {
        char was = bytes->data[place];
        run(bytes->data, place);
        for (size_t i = 0; i < sizeof odd_bytes; i++) {
            bytes->data[place] = (char)odd_bytes[i];
            run(bytes->data, bytes->size);
        }
        bytes->data[place] = (char)(was ^ 0x20);
        run(bytes->data, bytes->size);
        bytes->data[place] = was;
    }
}

static int run_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    int files = 0;
    if (dir == NULL) {
        perror(folder);
        return -1;
    }
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (entry->d_name[0] == '.')
            continue;
        struct buf path = {0}, bytes = {0};
        struct error e;
        buf_printf(&path, "%s/%s", folder, entry->d_name);
        if (file_read(path.data, FILE_BYTES_MAX, &bytes, &e) != 0) {
            fprintf(stderr, "%s\n", e.text);
            files = -1;
        } else if (files >= 0) {
            run_changes(&bytes);
            files++;
        }
        buf_finish(&path);
        buf_finish(&bytes);
    }
    closedir(dir);
    return files;
}

int main(int argc, char **argv)
{
    run("", 0);
    for (int i = 1; i < argc; i++) {
        int files = run_folder(argv[i]);
        if (files <= 0) {
            fprintf(stderr, "%s: nothing to replay\n", argv[i]);
            return 1;
        }
        printf("%s: %d files, %lu runs\n", argv[i], files, runs);
    }
    return 0;
}
