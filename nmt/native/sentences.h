/* Division of text into sentences, in the simple form of nmt/web/engine/sentences.js.

   A sentence ends at . ! ? … or at another mark of that kind, with the closing quotation marks and brackets after it,
   where white space follows. After a Chinese or Japanese mark, white space is not needed. What follows must not begin
   with a lower-case letter. A full stop ends no sentence after a number, after a single letter, after a word with a
   full stop in it, and after abbreviations. */

#ifndef NMT_SENTENCES_H
#define NMT_SENTENCES_H

#include "truecasing.h"

enum { LOOK_AHEAD = 20 }; /* the number of letters in which the next word is searched */

static int is_one_of(uint32_t letter, const uint32_t *letters) {
    while (*letters && *letters != letter) letters++;
    return *letters != 0;
}

static const uint32_t END_MARKS[] = {'.', '!', '?', 0x2026, 0x2025, 0x37E, 0x61F, 0x6D4, 0x964, 0x965, 0};
static const uint32_t WIDE_MARKS[] = {0x3002, 0xFF01, 0xFF1F, 0}; /* 。！？ */
static const uint32_t QUOTES[] = {'"',    '\'',   ')',  ']',    '}',  0x201C, 0x201D,
                                  0x2018, 0x2019, 0xBB, 0x203A, 0xAB, 0x2039, 0};
static const uint32_t WIDE_QUOTES[] = {'"',  '\'',   ')',    ']',    '}',    0x201D, 0x2019,
                                       0xBB, 0x203A, 0x300D, 0x300F, 0x3011, 0xFF09, 0};
static const uint32_t OPENING[] = {'(', '[', '"', '\'', 0x201E, 0x201C, 0xAB, 0};

/* Return the end of a sentence whose mark is at a place, with the white space after it, or 0. */
static size_t find_end(const nmt_model *model, const uint32_t *letters, size_t count, size_t place) {
    int wide = is_one_of(letters[place], WIDE_MARKS);
    if (!wide && !is_one_of(letters[place], END_MARKS)) return 0;
    size_t end = place + 1;
    while (end < count && is_one_of(letters[end], wide ? WIDE_QUOTES : QUOTES)) end++;
    size_t white = end;
    while (white < count && has(model, letters[white], IS_WHITE)) white++;
    return white < count && (wide || white > end) ? white : 0;
}

/* Whether a text goes on with a lower-case letter. */
static int continues(const nmt_model *model, const uint32_t *letters, size_t count) {
    for (size_t i = 0; i < count && i < LOOK_AHEAD; i++) {
        uint64_t flags = find_flags(model, letters[i]);
        if (flags & IS_LOWER) return 1;
        if (flags & IS_ALPHANUMERIC) return 0;
    }
    return 0;
}

/* Whether the full stop at the end of a sentence is that of a number, an initial or an abbreviation. */
static int is_abbreviated(const nmt_model *model, const uint32_t *letters, size_t count, Text *lower, Bytes *key,
                          int *status) {
    while (count && has(model, letters[count - 1], IS_WHITE)) count--;
    if (!count || letters[count - 1] != '.') return 0;
    size_t last = --count, digits = 0, inner = 0;
    while (count && !has(model, letters[count - 1], IS_WHITE) && !is_one_of(letters[count - 1], OPENING)) count--;
    const uint32_t *word = letters + count;
    size_t size = last - count;
    if (!size) return 0;
    for (size_t i = 0; i < size; i++) {
        digits += word[i] >= '0' && word[i] <= '9';
        inner += i && i + 1 < size && word[i] == '.' && has(model, word[i - 1], IS_ALPHA) &&
                 has(model, word[i + 1], IS_ALPHA);
    }
    if (digits == size || inner || (size == 1 && has(model, word[0], IS_ALPHA))) return 1;
    lower->count = 0;
    add_lower(model, word, size, 1, lower, status);
    if (!*status) encode_utf8(lower->letters, lower->count, key, status);
    return !*status && find_string(&model->abbreviations, 1, (Span){key->data, key->count}) >= 0;
}

/* Return the end of the sentence at the beginning of a text, with the white space after it. */
static size_t find_sentence(const nmt_model *model, const uint32_t *letters, size_t count, Text *lower, Bytes *key,
                            int *status) {
    for (size_t place = 0; place < count && !*status; place++) {
        size_t end = find_end(model, letters, count, place);
        if (!end) continue;
        if (!continues(model, letters + end, count - end) && !is_abbreviated(model, letters, end, lower, key, status))
            return end;
        place = end - 1;
    }
    return count;
}

#endif
