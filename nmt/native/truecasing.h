/* Truecasing, and text in capitals. tokenizers/case.py describes the method. */

#ifndef NMT_TRUECASING_H
#define NMT_TRUECASING_H

#include "normalization.h"

#define COMBINING_DOT 0x307
#define CAPITAL_SIGMA 0x3A3
#define FINAL_SIGMA 0x3C2
#define ENDING_LETTERS 3 /* the length of an ending in the tables */

/* A word whose letters have case. */
typedef struct {
    size_t start, end;
    int starts; /* whether it begins a sentence */
    int odd;    /* whether its form is unusual */
} CasedWord;

typedef struct {
    CasedWord *words;
    size_t count, capacity;
    Text form, other, result; /* memory for forms of words */
    Bytes key, usual;         /* `usual` has the usual forms of a word, each with a byte of zero at its end */
} Caser;

static void release_caser(Caser *caser) {
    free(caser->words);
    free(caser->form.letters);
    free(caser->other.letters);
    free(caser->result.letters);
    free(caser->key.data);
    free(caser->usual.data);
}

static void add_all_mapped(const LetterMap *map, const uint32_t *letters, size_t count, Text *out, int *status) {
    for (size_t i = 0; i < count; i++) add_mapped(map, letters[i], out, status);
}

/* Whether the Σ at a place ends a word: a letter with case precedes it, and none follows. */
static int is_final_sigma(const nmt_model *model, const uint32_t *letters, size_t count, size_t place) {
    size_t before = place, after = place + 1;
    while (before && has(model, letters[before - 1], IS_CASE_IGNORABLE)) before--;
    while (after < count && has(model, letters[after], IS_CASE_IGNORABLE)) after++;
    return before && has(model, letters[before - 1], IS_CASED) &&
           (after == count || !has(model, letters[after], IS_CASED));
}

/* Append letters in lower case. `keep_dots` is 0 to remove the combining dot of a lower-case İ. */
static void add_lower(const nmt_model *model, const uint32_t *letters, size_t count, int keep_dots, Text *out,
                      int *status) {
    for (size_t i = 0; i < count; i++) {
        size_t first = out->count, kept = first;
        if (letters[i] == CAPITAL_SIGMA && is_final_sigma(model, letters, count, i))
            add_letter(out, FINAL_SIGMA, status);
        else
            add_mapped(&model->lower, letters[i], out, status);
        if (keep_dots || *status) continue;
        for (size_t k = first; k < out->count; k++)
            if (out->letters[k] != COMBINING_DOT) out->letters[kept++] = out->letters[k];
        out->count = kept;
    }
}

/* Append a word with its first letter in upper case and the others in lower case. */
static void add_title(const nmt_model *model, const uint32_t *letters, size_t count, Text *out, int *status) {
    if (!count) return;
    add_mapped(&model->title, letters[0], out, status);
    add_lower(model, letters + 1, count - 1, 0, out, status);
}

/* Whether a word is in capitals: it has an upper-case letter, and no letter in lower case or title case. */
static int is_upper_word(const nmt_model *model, const uint32_t *letters, size_t count) {
    int upper = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t flags = find_flags(model, letters[i]);
        if (flags & (IS_LOWER | IS_TITLE)) return 0;
        upper |= (flags & IS_UPPER) != 0;
    }
    return upper;
}

/* Whether a text has at least two upper-case letters, and no lower-case letters that have an upper case. */
static int is_capitals(const nmt_model *model, const uint32_t *letters, size_t count) {
    size_t upper = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t flags = find_flags(model, letters[i]);
        if (flags & IS_LOWER) {
            uint32_t own;
            size_t length;
            const uint32_t *capital = map_letter(&model->upper, letters[i], &own, &length);
            if (length == 1 && capital[0] != letters[i]) return 0;
        }
        upper += flags & IS_UPPER && !(flags & IS_CHEROKEE);
    }
    return upper >= 2;
}

/* Write letters in capitals, in place. `traits` are the flags of their language. */
static void write_capitals(const nmt_model *model, int32_t traits, Text *text, Text *spare, int *status) {
    if (traits & IS_GREEK) {
        decompose(model, &model->canonical, text, spare, status);
        size_t count = 0;
        for (size_t i = 0; i < spare->count && !*status; i++)
            if (spare->letters[i] != 0x301) spare->letters[count++] = spare->letters[i];
        spare->count = count;
        if (!*status) compose(model, spare);
        swap_texts(text, spare);
    }
    spare->count = 0;
    for (size_t i = 0; i < text->count; i++) {
        uint32_t letter = text->letters[i];
        if (traits & IS_TURKIC && letter == 'i') letter = 0x130; /* İ */
        add_mapped(&model->upper, letter, spare, status);
    }
    swap_texts(text, spare);
}

/* Whether a sentence ends in the text between two words: a mark, perhaps other marks, and white space. */
static int has_sentence_end(const nmt_model *model, const uint32_t *letters, size_t count) {
    int after_mark = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t letter = letters[i];
        int white = has(model, letter, IS_WHITE);
        if (after_mark && white) return 1;
        if (letter == '.' || letter == '!' || letter == '?' || letter == 0x2026)
            after_mark = 1;
        else if (white || letter == '_' || has(model, letter, IS_ALPHANUMERIC))
            after_mark = 0;
    }
    return 0;
}

static int has_word_letter(const nmt_model *model, const uint32_t *letters, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (letters[i] == '_' || has(model, letters[i], IS_ALPHANUMERIC)) return 1;
    return 0;
}

/* Whether a word has a letter with case. */
static int has_case(const nmt_model *model, Caser *caser, const uint32_t *letters, size_t count, int *status) {
    if (letters[0] < 128) {
        size_t i = 0;
        while (i < count && letters[i] < 128) i++;
        if (i == count) return 1; /* the letters of ASCII have case */
    }
    if (has(model, letters[0], IS_CHEROKEE)) return 0;
    caser->form.count = caser->other.count = 0;
    add_lower(model, letters, count, 1, &caser->form, status);
    add_all_mapped(&model->upper, letters, count, &caser->other, status);
    size_t size = caser->form.count;
    return !*status && (size != caser->other.count ||
                        memcmp(caser->form.letters, caser->other.letters, size * sizeof *letters) != 0);
}

/* Find the words whose letters have case. */
static void find_words(const nmt_model *model, Caser *caser, const Text *line, int *status) {
    size_t end = 0;
    int starts = 1;
    caser->count = 0;
    for (size_t i = 0; i < line->count && !*status;) {
        if (!has(model, line->letters[i], IS_WORD)) {
            i++;
            continue;
        }
        size_t first = i;
        while (i < line->count && has(model, line->letters[i], IS_WORD)) i++;
        const uint32_t *between = line->letters + end;
        if (end || first > end)
            starts = has_sentence_end(model, between, first - end) ||
                     (starts && !end && !has_word_letter(model, between, first - end));
        end = i;
        if (has_case(model, caser, line->letters + first, i - first, status)) {
            caser->words = enlarge(caser->words, &caser->capacity, caser->count + 1, sizeof *caser->words, status);
            if (*status) return;
            caser->words[caser->count++] = (CasedWord){.start = first, .end = i, .starts = starts};
        }
        starts = 0;
    }
}

/* Write the key of a word in the tables into `caser->key`. `folded` is used as memory. */
static void fold(const nmt_model *model, Caser *caser, const uint32_t *letters, size_t count, Text *folded,
                 int *status) {
    folded->count = 0;
    add_all_mapped(&model->folded, letters, count, folded, status);
    if (!*status) encode_utf8(folded->letters, folded->count, &caser->key, status);
}

/* Find the usual forms of a word, the most frequent first. */
static void find_usual(const nmt_model *model, Caser *caser, const uint32_t *letters, size_t count, int *status) {
    caser->usual.count = 0;
    fold(model, caser, letters, count, &caser->other, status);
    caser->form.count = 0;
    add_letters(&caser->form, letters, count, status);
    if (*status) return;
    if (count > 1 && is_upper_word(model, letters, count)) {
        int64_t found = find_string(&model->accents, 2, (Span){caser->key.data, caser->key.count});
        if (found >= 0) {
            Span accented = get_string(&model->accents, (uint32_t)found + 1);
            caser->form.count = 0;
            add_decoded(&caser->form, accented.data, accented.size, status);
            fold(model, caser, caser->form.letters, caser->form.count, &caser->other, status);
        }
    }
    if (*status) return;
    int64_t found = find_string(&model->forms, 2, (Span){caser->key.data, caser->key.count});
    if (found >= 0) {
        Span forms = get_string(&model->forms, (uint32_t)found + 1);
        add_bytes(&caser->usual, forms.data, forms.size, status);
        add_bytes(&caser->usual, "", 1, status);
        return;
    }
    size_t length = caser->other.count < ENDING_LETTERS ? caser->other.count : ENDING_LETTERS;
    encode_utf8(caser->other.letters + caser->other.count - length, length, &caser->key, status);
    int listed = find_string(&model->endings, 1, (Span){caser->key.data, caser->key.count}) >= 0;
    caser->other.count = 0;
    if (model->settings.title != listed)
        add_title(model, caser->form.letters, caser->form.count, &caser->other, status);
    else
        add_lower(model, caser->form.letters, caser->form.count, 0, &caser->other, status);
    if (*status) return;
    for (size_t i = 0; i < caser->other.count; i++) add_utf8(&caser->usual, caser->other.letters[i], status);
    add_bytes(&caser->usual, "", 1, status);
}

/* Whether a word has one of the forms in `caser->usual`. At the start of a sentence, title case is usual too. */
static int fits(const nmt_model *model, Caser *caser, const uint32_t *letters, size_t count, int starts, int *status) {
    encode_utf8(letters, count, &caser->key, status);
    for (size_t first = 0; first < caser->usual.count && !*status;) {
        const char *form = caser->usual.data + first;
        size_t size = strlen(form);
        first += size + 1;
        if (!compare_spans((Span){form, size}, (Span){caser->key.data, caser->key.count})) return 1;
        if (!starts || !model->settings.starts) continue;
        caser->form.count = caser->other.count = 0;
        add_decoded(&caser->form, form, size, status);
        add_title(model, caser->form.letters, caser->form.count, &caser->other, status);
        if (!*status && caser->other.count == count && !memcmp(caser->other.letters, letters, count * sizeof *letters))
            return 1;
    }
    return 0;
}

/* Whether letters up to `end` have a capital. */
static int has_capital(const nmt_model *model, const Text *line, uint32_t end) {
    for (size_t i = 0; i < line->count && line->letters[i] != end; i++)
        if (has(model, line->letters[i], IS_UPPER)) return 1;
    return 0;
}

/* Append a word of a line in the case of the training text. */
static void add_usual(const nmt_model *model, Caser *caser, const CasedWord *word, const Text *line, int unified,
                      int titles, int *status) {
    const uint32_t *letters = line->letters + word->start;
    size_t count = word->end - word->start;
    int shouted = count > 1 && is_upper_word(model, letters, count), capital = has(model, letters[0], IS_UPPER);
    Text *form = &caser->form;
    if (unified || (titles && (word->odd || capital)) || (word->odd && shouted)) {
        find_usual(model, caser, letters, count, status);
        form->count = 0;
        if (!*status) add_decoded(form, caser->usual.data, strlen(caser->usual.data), status);
    } else {
        form->count = 0;
        add_letters(form, letters, count, status);
    }
    if (*status || !form->count) return;
    if ((unified || titles) && word->starts && model->settings.starts) {
        add_mapped(&model->title, form->letters[0], &caser->result, status);
        add_letters(&caser->result, form->letters + 1, form->count - 1, status);
    } else {
        add_letters(&caser->result, form->letters, form->count, status);
    }
}

/* Change the case of a line, in place, to that of the training text, if it is unusual. */
static void restore_case(const nmt_model *model, Caser *caser, Text *line, int *status) {
    const Settings *settings = &model->settings;
    if (!settings->truecases) return;
    size_t odd = 0;
    find_words(model, caser, line, status);
    for (size_t i = 0; i < caser->count && !*status; i++) {
        CasedWord *word = &caser->words[i];
        find_usual(model, caser, line->letters + word->start, word->end - word->start, status);
        word->odd = !fits(model, caser, line->letters + word->start, word->end - word->start, word->starts, status);
        odd += word->odd;
    }
    if (*status || (!odd && (!settings->capitals || has_capital(model, line, ' ')))) return;
    /* In a line in capitals, in lower case or in title case, the case of a single word has no meaning. */
    int unified = is_capitals(model, line->letters, line->count) ||
                  (settings->capitals && !has_capital(model, line, UINT32_MAX)),
        titles = !unified && caser->count > 2 && 4 * odd > caser->count;
    size_t end = 0;
    caser->result.count = 0;
    for (size_t i = 0; i < caser->count; i++) {
        const CasedWord *word = &caser->words[i];
        add_letters(&caser->result, line->letters + end, word->start - end, status);
        add_usual(model, caser, word, line, unified, titles, status);
        end = word->end;
    }
    add_letters(&caser->result, line->letters + end, line->count - end, status);
    swap_texts(line, &caser->result);
}

#endif
