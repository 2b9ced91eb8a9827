/* A model file: a network as tensors, and the tables with which text becomes tokens and tokens become text.

   nmt/checkpoint/c_file.py writes the file and describes its parts. Everything that Unicode and the model define is a
   table in the file, made by Python, so this library knows no property of a character by itself. */

#ifndef NMT_TABLES_H
#define NMT_TABLES_H

#include "letters.h"
#include "network.h"

#define MODEL_MAGIC "nmt-text"
#define MODEL_VERSION 1

/* The parts of a file, in their order. */
enum {
    PART_TARGETS,       /* strings: the target languages */
    PART_TARGET_TRAITS, /* two int32 of each target language: the id of its tag or -1, and flags */
    PART_PROPERTIES,    /* runs: the class of each character */
    PART_CLASSES,       /* 64-bit flags of each class */
    PART_COMBINING,     /* runs: the combining class of each character */
    PART_CANONICAL,     /* letter map: canonical decompositions */
    PART_COMPATIBLE,    /* letter map: compatibility decompositions, only for NFKC */
    PART_COMPOSED,      /* three uint32 each: a character, the next one, and their composition */
    PART_LOWER,         /* letter map */
    PART_UPPER,         /* letter map */
    PART_TITLE,         /* letter map */
    PART_FOLDED,        /* letter map: the keys of the words of the truecaser */
    PART_REPLACED,      /* dictionary: strings that normalization replaces */
    PART_FORMS,         /* dictionary: the usual forms of words, separated by bytes of zero */
    PART_ACCENTS,       /* dictionary: words without accents, and with them */
    PART_ENDINGS,       /* strings: the exceptional endings */
    PART_ABBREVIATIONS, /* strings: words whose full stop ends no sentence */
    PART_SOURCE_PIECES, /* strings: the tokens */
    PART_SOURCE_TYPES,  /* a byte each: the types of SentencePiece */
    PART_SOURCE_SCORES, /* a float each */
    PART_SOURCE_ORDER,  /* a uint32 each: the tokens that are found in text, in the order of their bytes */
    PART_TARGET_PIECES, /* the same, or empty for a joint vocabulary */
    PART_TARGET_TYPES,
    PART_TENSORS,  /* four int64 of each tensor: where its values and scales are in PART_WEIGHTS, or -1; values; rows */
    PART_WEIGHTS,  /* the values and scales */
    PART_FREQUENT, /* the shortlist, with two or four bytes for a token */
    PART_BEST,
    PART_COUNT
};

/* The flags of characters. Above them, each context of normalization has three flags. */
enum {
    IS_SPACE = 1 << 0,           /* normalization writes a space */
    IS_REMOVED = 1 << 1,         /* normalization removes it */
    IS_CONTEXTUAL = 1 << 2,      /* normalization keeps it in some contexts only */
    IS_TRIMMED = 1 << 3,         /* normalization removes it at the ends of a text */
    IS_REPLACED = 1 << 4,        /* a string that is replaced begins with it */
    IS_WHITE = 1 << 5,           /* str.isspace */
    IS_ALPHA = 1 << 6,           /* str.isalpha */
    IS_ALPHANUMERIC = 1 << 7,    /* str.isalnum */
    IS_WORD = 1 << 8,            /* \w without \d and _ */
    IS_UPPER = 1 << 9,           /* str.isupper */
    IS_LOWER = 1 << 10,          /* str.islower */
    IS_TITLE = 1 << 11,          /* title case */
    IS_CASED = 1 << 12,          /* has a case, for the final sigma */
    IS_CASE_IGNORABLE = 1 << 13, /* is skipped in the search for a final sigma */
    IS_CHEROKEE = 1 << 14,
    FIRST_CONTEXT = 16, /* the first bit of the contexts */
    MAX_CONTEXTS = 16
};

enum { WRITES_SPACES = 1, IS_TURKIC = 2, IS_GREEK = 4 }; /* flags of target languages */
enum { NO_FORM, NFC, NFKC };
enum { KIND_UNIGRAM = 1, KIND_BPE };
enum { TYPE_NORMAL = 1, TYPE_UNKNOWN, TYPE_CONTROL, TYPE_USER_DEFINED, TYPE_UNUSED, TYPE_BYTE }; /* of SentencePiece */

typedef struct {
    int32_t normalizes, form, collapses, contexts, any_before, any_after; /* bits of contexts that need no neighbor */
    int32_t truecases, title, starts, capitals;                           /* see Truecaser of tokenizers/case.py */
    int32_t splits, guards, max_tokens, kind, joint;
    int32_t length_penalty; /* thousandths */
} Settings;

typedef struct {
    char magic[8];
    int32_t version, byte_order; /* MODEL_VERSION and 1 */
    uint64_t checksum;           /* of everything after it */
    nmt_architecture architecture;
    Settings settings;
    int32_t part_count;
    struct {
        int64_t place, size;
    } parts[PART_COUNT];
} ModelHeader;

typedef struct {
    const char *data;
    size_t size;
} Span;

typedef struct {
    const uint32_t *ends;
    const char *bytes;
    uint32_t count;
} Strings;

/* Ranges of characters with the same number: the first character << 8 | the number. */
typedef struct {
    const uint32_t *starts;
    uint32_t count;
} Runs;

/* A string of letters for some characters. An entry is a character, and the length << 24 | the place in `pool`, or
   1 << 24 | the only letter. */
typedef struct {
    const uint32_t *entries, *pool;
    uint32_t count;
} LetterMap;

typedef struct {
    Strings pieces;
    const uint8_t *types;
    const float *scores;
    const uint32_t *order;
    uint32_t ordered;
    int32_t bytes[256]; /* the token of each byte, or -1 */
    float lowest;       /* the score of the least probable token */
} Vocabulary;

struct nmt_model {
    char *content;
    size_t size;
    void *packed;
    size_t packed_size;
    nmt_network *network;
    nmt_tensor *tensors;
    int32_t tensor_count;
    nmt_architecture architecture;
    Settings settings;
    Strings targets;
    const int32_t *traits;
    Runs properties, combining;
    const uint64_t *classes;
    size_t class_count;
    uint64_t ascii[128]; /* the flags of ASCII */
    LetterMap canonical, compatible, lower, upper, title, folded;
    const uint32_t *composed;
    size_t composed_count;
    Strings replaced, forms, accents, endings, abbreviations;
    size_t longest_replaced; /* in letters */
    Vocabulary source, target;
    int32_t *banned; /* target tokens that no translation contains */
    int32_t banned_count;
};

static Span get_string(const Strings *strings, uint32_t index) {
    uint32_t start = index ? strings->ends[index - 1] : 0;
    return (Span){.data = strings->bytes + start, .size = strings->ends[index] - start};
}

static int compare_spans(Span one, Span other) {
    size_t size = one.size < other.size ? one.size : other.size;
    int order = size ? memcmp(one.data, other.data, size) : 0;
    return order ? order : (one.size > other.size) - (one.size < other.size);
}

/* Find a string in ascending strings. With a `step` of 2, they are keys and values in turn. Return its index or -1. */
static int64_t find_string(const Strings *strings, uint32_t step, Span wanted) {
    uint32_t low = 0, high = strings->count / step;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = compare_spans(get_string(strings, middle * step), wanted);
        if (!order) return (int64_t)middle * step;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

/* Return the number of a character. The first run begins with character 0. */
static uint32_t find_run(const Runs *runs, uint32_t letter) {
    uint32_t low = 0, high = runs->count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (runs->starts[middle] >> 8 <= letter)
            low = middle;
        else
            high = middle;
    }
    return runs->count ? runs->starts[low] & 0xFF : 0;
}

static uint64_t find_flags(const nmt_model *model, uint32_t letter) {
    return letter < 128 ? model->ascii[letter] : model->classes[find_run(&model->properties, letter)];
}

static int has(const nmt_model *model, uint32_t letter, uint64_t flags) {
    return (find_flags(model, letter) & flags) != 0;
}

/* Return the letters that a map has for a character. Without an entry, it is the character itself, in `own`. */
static const uint32_t *map_letter(const LetterMap *map, uint32_t letter, uint32_t *own, size_t *count) {
    uint32_t low = 0, high = map->count;
    *own = letter;
    *count = 1;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2, found = map->entries[2 * middle];
        if (found == letter) {
            uint32_t value = map->entries[2 * middle + 1];
            *count = value >> 24;
            if (*count != 1) return map->pool + (value & 0xFFFFFF);
            *own = value & 0xFFFFFF;
            return own;
        }
        if (found < letter)
            low = middle + 1;
        else
            high = middle;
    }
    return own;
}

static void add_mapped(const LetterMap *map, uint32_t letter, Text *out, int *status) {
    uint32_t own;
    size_t count;
    const uint32_t *letters = map_letter(map, letter, &own, &count);
    add_letters(out, letters, count, status);
}

#endif
