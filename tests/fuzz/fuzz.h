/* What a fuzz target is: one function that takes any bytes and must neither crash nor fail an assertion.
 *
 * Flow:   libFuzzer, or replay.c over the corpus -> LLVMFuzzerTestOneInput -> a parser.
 * Thread: one.
 * Owns:   nothing. */
#ifndef PARLOR_TESTS_FUZZ_FUZZ_H
#define PARLOR_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An assertion that no build type takes away. */
#define MUST(condition)                                                                                      \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                          \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

#endif
