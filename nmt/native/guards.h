/* Guards against translations with obvious faults. nmt/translation/guards.py describes them. */

#ifndef NMT_GUARDS_H
#define NMT_GUARDS_H

#include "subwords.h"
#include "truecasing.h"

enum {
    MAX_PERIOD = 40,       /* the greatest length of the repeated part of a loop, in tokens */
    LOOP_LETTERS = 8,      /* the least length of a loop within a word */
    REPEATED_TOKENS = 4,   /* with fewer equal tokens, a translation is not searched for repeated letters */
    REPEATED_LETTERS = 20, /* the greatest length of a repeated part, in letters */
    SHORT_LETTERS = 40,    /* shorter sources cannot have a translation that is too short */
    ATTEMPTS = 3           /* the maximum number of further searches */
};
#define SHORT 0.2         /* a translation is too short if it has less than this share of the source */
#define LONGER 1.5        /* a loop is a fault if it is this many times as long as a loop of the source */
#define LENGTH_FACTOR 1.2 /* the limit of the length after the limit was reached */
#define COVERAGE 0.3      /* the coverage penalty after an omission */

typedef enum { NO_FAULT, FAULT_LOOP, FAULT_LENGTH, FAULT_OMISSION } Fault;

/* A part of a text that is repeated in a row. */
typedef struct {
    size_t letters; /* the length of all repetitions; 0 if there is no loop */
    int period;     /* the number of tokens of the part */
} Loop;

typedef struct {
    Text text;
    Bytes bytes;
    int32_t *sorted;
    size_t capacity;
} GuardMemory;

static void release_guard_memory(GuardMemory *memory) {
    free(memory->text.letters);
    free(memory->bytes.data);
    free(memory->sorted);
}

static int compare_ids(const void *one, const void *other) {
    int32_t first = *(const int32_t *)one, second = *(const int32_t *)other;
    return (first > second) - (first < second);
}

/* Return the number of ids that equal an earlier one. */
static size_t count_repeated(const int32_t *ids, size_t count, GuardMemory *memory, int *status) {
    memory->sorted = enlarge(memory->sorted, &memory->capacity, count, sizeof *ids, status);
    if (*status || !count) return 0;
    memcpy(memory->sorted, ids, count * sizeof *ids);
    qsort(memory->sorted, count, sizeof *ids, compare_ids);
    size_t repeated = 0;
    for (size_t i = 1; i < count; i++) repeated += memory->sorted[i] == memory->sorted[i - 1];
    return repeated;
}

/* Return the length of a text without white space at its ends if it can be a loop, otherwise 0. */
static size_t measure_loop(const nmt_model *model, const Text *text) {
    size_t first = 0, last = text->count;
    while (first < last && has(model, text->letters[first], IS_WHITE)) first++;
    while (last > first && has(model, text->letters[last - 1], IS_WHITE)) last--;
    int alphanumeric = 0, alpha = 1;
    for (size_t i = first; i < last; i++) {
        alphanumeric |= has(model, text->letters[i], IS_ALPHANUMERIC);
        alpha &= has(model, text->letters[i], IS_ALPHA);
    }
    return last - first >= LOOP_LETTERS || (alphanumeric && !alpha) ? last - first : 0;
}

/* Return the length of the first long repetition of letters: (\S.{0,19}?)\1{2,} */
static size_t find_repeated_letters(const nmt_model *model, const Text *text) {
    const uint32_t *letters = text->letters;
    for (size_t i = 0; i < text->count;) {
        size_t whole = 0;
        for (size_t length = 1; length <= REPEATED_LETTERS && !whole && !has(model, letters[i], IS_WHITE); length++) {
            size_t end = i + length;
            if (letters[end - 1] == '\n' || end + 2 * length > text->count) break;
            while (end + length <= text->count && !memcmp(letters + end, letters + i, length * sizeof *letters))
                end += length;
            if (end - i >= 3 * length) whole = end - i;
        }
        if (whole >= LOOP_LETTERS) return whole;
        i += whole ? whole : 1;
    }
    return 0;
}

/* Find a part that is repeated in a row, at least two and a half times. */
static Loop find_loop(const nmt_model *model, const Vocabulary *vocabulary, const int32_t *ids, size_t count,
                      GuardMemory *memory, int *status) {
    size_t repeated = count_repeated(ids, count, memory, status);
    for (size_t period = 1; period <= MAX_PERIOD && !*status; period++) {
        double fewest = period == 1 ? 2 : 1.5 * (double)period;
        if ((double)repeated < fewest) break; /* after the first period of a loop, tokens equal earlier ones */
        size_t start = period;                /* of the tokens that equal the token one period before */
        for (size_t place = period; place <= count && !*status; place++) {
            if (place < count && ids[place] == ids[place - period]) continue;
            if (place >= start && (double)(place - start) >= fewest) {
                decode(vocabulary, ids + start - period, place - start + period, &memory->text, &memory->bytes, status);
                size_t letters = measure_loop(model, &memory->text);
                if (letters) return (Loop){.letters = letters, .period = (int)period};
            }
            start = place + 1;
        }
    }
    if (*status || repeated < REPEATED_TOKENS) return (Loop){0};
    decode(vocabulary, ids, count, &memory->text, &memory->bytes, status);
    return (Loop){.letters = *status ? 0 : find_repeated_letters(model, &memory->text), .period = 1};
}

static int32_t compute_max_length(const nmt_options *options, int32_t source_length) {
    int32_t limit = (int32_t)(options->max_length_factor * source_length) + options->max_length_extra;
    limit = limit > options->min_length ? limit : options->min_length;
    return limit > 1 ? limit : 1;
}

/* Return the fault of a translation. `source` ends with NMT_EOS. */
static Fault find_fault(const nmt_model *model, const nmt_options *options, const Ids *source, const Ids *target,
                        GuardMemory *memory, int *status) {
    size_t ids = source->count - 1;
    Loop loop = find_loop(model, &model->target, target->ids, target->count, memory, status);
    if (loop.letters) {
        Loop of_source = find_loop(model, &model->source, source->ids, ids, memory, status);
        if (!of_source.letters || (double)loop.letters > LONGER * (double)of_source.letters) return FAULT_LOOP;
    }
    if (*status) return NO_FAULT;
    if (target->count >= (size_t)compute_max_length(options, (int32_t)source->count)) return FAULT_LENGTH;
    if ((double)target->count < SHORT * (double)source->count) {
        decode(&model->source, source->ids, ids, &memory->text, &memory->bytes, status);
        size_t length = memory->text.count;
        decode(&model->target, target->ids, target->count, &memory->text, &memory->bytes, status);
        if (length > SHORT_LETTERS && (double)memory->text.count < SHORT * (double)length) return FAULT_OMISSION;
    }
    return NO_FAULT;
}

/* Change the options for the next search of a sentence with a fault. */
static void change_options(const nmt_model *model, nmt_options *options, const Ids *target, Fault fault,
                           GuardMemory *memory, int *status) {
    if (fault == FAULT_OMISSION) {
        if (options->coverage_penalty < COVERAGE) options->coverage_penalty = COVERAGE;
        return;
    }
    if (fault == FAULT_LENGTH && options->max_length_factor > LENGTH_FACTOR) options->max_length_factor = LENGTH_FACTOR;
    Loop loop = find_loop(model, &model->target, target->ids, target->count, memory, status);
    int32_t size = loop.letters ? loop.period + 1 : 2;
    if (!options->no_repeat_ngram_size || size < options->no_repeat_ngram_size) options->no_repeat_ngram_size = size;
}

/* Whether a text stays as it is: it has no letters, or mostly characters that the vocabulary lacks. */
static int needs_no_translation(const nmt_model *model, const Text *text, const int32_t *ids, size_t count) {
    int ascii = 1, alpha = 0;
    size_t unknown = 0;
    for (size_t i = 0; i < text->count; i++) {
        ascii &= text->letters[i] < 128;
        alpha |= has(model, text->letters[i], IS_ALPHA);
    }
    for (size_t i = 0; i < count; i++) {
        int type = (uint32_t)ids[i] < model->source.pieces.count ? model->source.types[ids[i]] : TYPE_CONTROL;
        unknown += ids[i] == NMT_UNKNOWN || type == TYPE_BYTE;
    }
    return !alpha || (!ascii && 2 * unknown > count);
}

#endif
