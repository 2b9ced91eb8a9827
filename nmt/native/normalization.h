/* Normalization of text: Unicode's forms NFC and NFKC, and the rules of tokenizers/normalization_rules.py. */

#ifndef NMT_NORMALIZATION_H
#define NMT_NORMALIZATION_H

#include "tables.h"

/* Hangul syllables are composed of a leading consonant, a vowel and perhaps a trailing consonant. */
enum { SYLLABLES = 0xAC00, LEADS = 0x1100, VOWELS = 0x1161, TRAILS = 0x11A7 };
enum { LEAD_COUNT = 19, VOWEL_COUNT = 21, TRAIL_COUNT = 28, SYLLABLE_COUNT = LEAD_COUNT * VOWEL_COUNT * TRAIL_COUNT };

/* Put the marks in letters[first..last) in the order of their combining classes. Equal classes keep their order. */
static void sort_marks(const nmt_model *model, Text *text, size_t first, size_t last, Text *sorted, int *status) {
    size_t places[257] = {0};
    for (size_t i = first; i < last; i++) places[find_run(&model->combining, text->letters[i]) + 1]++;
    for (int c = 0; c < 256; c++) places[c + 1] += places[c];
    sorted->letters = enlarge(sorted->letters, &sorted->capacity, last - first, sizeof *sorted->letters, status);
    if (*status) return;
    for (size_t i = first; i < last; i++)
        sorted->letters[places[find_run(&model->combining, text->letters[i])]++] = text->letters[i];
    memcpy(text->letters + first, sorted->letters, (last - first) * sizeof *sorted->letters);
}

/* Append the decomposition of letters, with marks in canonical order. */
static void decompose(const nmt_model *model, const LetterMap *map, const Text *text, Text *out, int *status) {
    Text sorted = {0};
    out->count = 0;
    for (size_t i = 0; i < text->count; i++) {
        uint32_t letter = text->letters[i], index = letter - SYLLABLES;
        if (letter < SYLLABLES || index >= SYLLABLE_COUNT) {
            add_mapped(map, letter, out, status);
            continue;
        }
        add_letter(out, LEADS + index / (VOWEL_COUNT * TRAIL_COUNT), status);
        add_letter(out, VOWELS + index / TRAIL_COUNT % VOWEL_COUNT, status);
        if (index % TRAIL_COUNT) add_letter(out, TRAILS + index % TRAIL_COUNT, status);
    }
    for (size_t first = 0; first < out->count && !*status;) {
        size_t last = first;
        while (last < out->count && find_run(&model->combining, out->letters[last])) last++;
        if (last > first + 1) sort_marks(model, out, first, last, &sorted, status);
        first = last + 1;
    }
    free(sorted.letters);
}

/* Return the composition of two characters, or 0. */
static uint32_t compose_pair(const nmt_model *model, uint32_t first, uint32_t second) {
    if (first - LEADS < LEAD_COUNT && second - VOWELS < VOWEL_COUNT)
        return SYLLABLES + ((first - LEADS) * VOWEL_COUNT + second - VOWELS) * TRAIL_COUNT;
    if (first - SYLLABLES < SYLLABLE_COUNT && (first - SYLLABLES) % TRAIL_COUNT == 0 && second > TRAILS &&
        second < TRAILS + TRAIL_COUNT)
        return first + second - TRAILS;
    size_t low = 0, high = model->composed_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const uint32_t *entry = model->composed + 3 * middle;
        if (entry[0] == first && entry[1] == second) return entry[2];
        if (entry[0] < first || (entry[0] == first && entry[1] < second))
            low = middle + 1;
        else
            high = middle;
    }
    return 0;
}

/* Compose decomposed letters in place. */
static void compose(const nmt_model *model, Text *text) {
    size_t count = 0, starter = SIZE_MAX; /* the place of the last letter that marks can be joined to */
    uint32_t blocking = 0;                /* the combining class of the last mark that was not joined */
    for (size_t i = 0; i < text->count; i++) {
        uint32_t letter = text->letters[i], class = find_run(&model->combining, letter), joined = 0;
        int adjacent = starter + 1 == count;
        if (starter != SIZE_MAX && (adjacent || (class && blocking < class)))
            joined = compose_pair(model, text->letters[starter], letter);
        if (joined) {
            text->letters[starter] = joined;
            continue;
        }
        if (!class) starter = count;
        blocking = class;
        text->letters[count++] = letter;
    }
    text->count = count;
}

/* Apply a form to letters in place. `spare` is used as memory. */
static void apply_form(const nmt_model *model, int32_t form, Text *text, Text *spare, int *status) {
    size_t i = 0;
    while (i < text->count && text->letters[i] < 0xA0) i++;
    if (i == text->count || form == NO_FORM || *status) return; /* Latin without accents does not change */
    decompose(model, form == NFKC ? &model->compatible : &model->canonical, text, spare, status);
    if (*status) return;
    compose(model, spare);
    swap_texts(text, spare);
}

/* Whether a context keeps a character between two others. A neighbor that does not exist is -1. */
static int is_kept(const nmt_model *model, uint32_t letter, int64_t before, int64_t after) {
    const Settings *settings = &model->settings;
    uint64_t own = find_flags(model, letter), of_before = before < 0 ? 0 : find_flags(model, (uint32_t)before),
             of_after = after < 0 ? 0 : find_flags(model, (uint32_t)after);
    for (int c = 0; c < settings->contexts; c++) {
        int bit = FIRST_CONTEXT + 3 * c;
        if (own >> bit & 1 && (settings->any_before >> c & 1 || of_before >> (bit + 1) & 1) &&
            (settings->any_after >> c & 1 || of_after >> (bit + 2) & 1))
            return 1;
    }
    return 0;
}

/* Replace the longest string at each place. Return whether the text has changed. */
static int replace_strings(const nmt_model *model, Text *text, Text *spare, Bytes *key, int *status) {
    size_t i = 0, longest = model->longest_replaced;
    while (i < text->count && !has(model, text->letters[i], IS_REPLACED)) i++;
    if (i == text->count) return 0;
    int changed = 0;
    spare->count = 0;
    for (i = 0; i < text->count && !*status;) {
        int64_t found = -1;
        size_t length = has(model, text->letters[i], IS_REPLACED) ? longest : 0;
        if (length > text->count - i) length = text->count - i;
        for (; length && found < 0 && !*status; length -= found < 0) {
            encode_utf8(text->letters + i, length, key, status);
            found = find_string(&model->replaced, 2, (Span){key->data, key->count});
        }
        if (found < 0) {
            add_letter(spare, text->letters[i++], status);
            continue;
        }
        Span value = get_string(&model->replaced, (uint32_t)found + 1);
        add_decoded(spare, value.data, value.size, status);
        i += length;
        changed = 1;
    }
    swap_texts(text, spare);
    return changed;
}

/* Normalize letters in place. `spare` and `key` are used as memory. */
static void normalize_text(const nmt_model *model, Text *text, Text *spare, Bytes *key, int *status) {
    const Settings *settings = &model->settings;
    if (!settings->normalizes) return;
    size_t count = 0;
    for (size_t i = 0; i < text->count; i++) {
        uint64_t flags = find_flags(model, text->letters[i]);
        if (flags & IS_SPACE)
            text->letters[count++] = ' ';
        else if (flags & IS_CONTEXTUAL || !(flags & IS_REMOVED))
            text->letters[count++] = text->letters[i];
    }
    text->count = count;
    count = 0;
    for (size_t i = 0; i < text->count; i++) {
        uint32_t letter = text->letters[i];
        int64_t before = count ? (int64_t)text->letters[count - 1] : -1,
                after = i + 1 < text->count ? (int64_t)text->letters[i + 1] : -1;
        if (!has(model, letter, IS_CONTEXTUAL) || is_kept(model, letter, before, after))
            text->letters[count++] = letter;
    }
    text->count = count;
    apply_form(model, settings->form, text, spare, status);
    if (replace_strings(model, text, spare, key, status)) apply_form(model, settings->form, text, spare, status);
    if (*status) return;
    count = 0;
    for (size_t i = 0; i < text->count; i++)
        if (!settings->collapses || text->letters[i] != ' ' || !count || text->letters[count - 1] != ' ')
            text->letters[count++] = text->letters[i];
    size_t start = 0;
    while (start < count && has(model, text->letters[start], IS_TRIMMED)) start++;
    while (count > start && has(model, text->letters[count - 1], IS_TRIMMED)) count--;
    text->count = count - start;
    if (start) memmove(text->letters, text->letters + start, text->count * sizeof *text->letters);
}

#endif
