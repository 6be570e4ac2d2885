#include "core/nearest.h"

#include <ctype.h>
#include <string.h>

#define COMPARED_MAX 40 /* of a name's characters */

struct part {
    const char *text;
    size_t size;
};

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static bool same(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Levenshtein's distance: how many characters to insert, delete or exchange. */
static size_t edits(struct part a, struct part b)
{
    size_t row[COMPARED_MAX + 1];
    for (size_t j = 0; j <= b.size; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.size; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.size; j++) {
            size_t above = row[j];
            size_t exchanged = diagonal + !same(a.text[i - 1], b.text[j - 1]);
            row[j] = smaller(smaller(row[j] + 1, row[j - 1] + 1), exchanged);
            diagonal = above;
        }
    }
    return row[b.size];
}

/* ---- Words ---- */

static bool divides(char c)
{
    return c == '_' || c == '-';
}

/* The next word of `rest`, which loses it; false at the end. */
static bool next_word(struct part *rest, struct part *word)
{
    while (rest->size != 0 && divides(*rest->text)) {
        rest->text++;
        rest->size--;
    }
    *word = (struct part){rest->text, 0};
    while (word->size < rest->size && !divides(word->text[word->size]))
        word->size++;
    rest->text += word->size;
    rest->size -= word->size;
    return word->size != 0;
}

static size_t count_words(struct part name)
{
    struct part word;
    size_t count = 0;
    while (next_word(&name, &word))
        count++;
    return count;
}

/* Each word to the nearest of the other name's, and one for each that is missing or too many. */
static size_t by_words(struct part wrong, struct part right)
{
    struct part word, other;
    size_t ours = count_words(wrong), theirs = count_words(right);
    size_t sum = ours > theirs ? ours - theirs : theirs - ours;
    while (next_word(&wrong, &word)) {
        size_t best = COMPARED_MAX;
        for (struct part rest = right; next_word(&rest, &other);)
            best = smaller(best, edits(word, other));
        sum += best;
    }
    return sum;
}

struct nearest nearest_begin(const char *wrong, size_t size)
{
    return (struct nearest){.wrong = wrong, .size = smaller(size, COMPARED_MAX)};
}

void nearest_take(struct nearest *n, const char *right)
{
    struct part a = {n->wrong, n->size}, b = {right, smaller(strlen(right), COMPARED_MAX)};
    size_t letters = edits(a, b), words = by_words(a, b) + 1;
    size_t distance = count_words(a) != 0 ? smaller(letters, words) : letters;
    if (n->name == NULL || distance < n->distance) {
        n->name = right;
        n->distance = distance;
    }
}

bool nearest_close(const struct nearest *n)
{
    /* A third of a name wrong is another name; so is a short one with half its letters wrong. */
    return n->name != NULL && n->distance <= smaller(2 + n->size / 4, n->size / 2 + 1);
}
