/* SentencePiece tokenizers: unigram (Kudo 2018) and BPE (Sennrich et al. 2016), both with byte fallback. */

#ifndef NMT_SUBWORDS_H
#define NMT_SUBWORDS_H

#include "tables.h"

#define SPACE 0x2581  /* ▁, which SentencePiece writes for a space */
#define ESCAPE 0xEBB5 /* nmt writes ▁ in a text as this character and a digit */

/* Scores of SentencePiece's unigram models. */
#define UNKNOWN_PENALTY 10.0f
#define SYMBOL_SCORE (-0.1)

typedef struct {
    int32_t *ids;
    size_t count, capacity;
} Ids;

static void add_id(Ids *ids, int32_t id, int *status) {
    ids->ids = enlarge(ids->ids, &ids->capacity, ids->count + 1, sizeof *ids->ids, status);
    if (!*status) ids->ids[ids->count++] = id;
}

/* Return the byte of a token such as <0x41>. */
static char get_byte(const Vocabulary *vocabulary, int32_t id) {
    Span piece = get_string(&vocabulary->pieces, (uint32_t)id);
    int byte = 0;
    for (size_t i = 3; i < 5 && i < piece.size; i++) {
        char digit = piece.data[i];
        byte = byte * 16 + (digit >= 'A' ? digit - 'A' + 10 : digit - '0');
    }
    return (char)byte;
}

/* The tokens that begin with the bytes read so far, as a range of `order`. */
typedef struct {
    uint32_t low, high;
    size_t length;
} Prefix;

/* Return the first index in [low, high) of `order` whose token has at least `byte` at a place. */
static uint32_t find_byte(const Vocabulary *vocabulary, const Prefix *prefix, unsigned byte) {
    uint32_t low = prefix->low, high = prefix->high;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        Span piece = get_string(&vocabulary->pieces, vocabulary->order[middle]);
        if (piece.size <= prefix->length || (unsigned char)piece.data[prefix->length] < byte)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Read another byte. Return whether any token begins with the bytes. `id` receives the token that they are, or -1. */
static int extend_prefix(const Vocabulary *vocabulary, Prefix *prefix, unsigned char byte, int32_t *id) {
    uint32_t low = find_byte(vocabulary, prefix, byte);
    prefix->high = find_byte(vocabulary, prefix, byte + 1u);
    prefix->low = low;
    prefix->length++;
    *id = -1;
    if (low >= prefix->high) return 0;
    if (get_string(&vocabulary->pieces, vocabulary->order[low]).size == prefix->length)
        *id = (int32_t)vocabulary->order[low];
    return 1;
}

static int32_t find_piece(const Vocabulary *vocabulary, const char *data, size_t size) {
    Prefix prefix = {0, vocabulary->ordered, 0};
    int32_t id = -1;
    for (size_t i = 0; i < size; i++)
        if (!extend_prefix(vocabulary, &prefix, (unsigned char)data[i], &id)) return -1;
    return id;
}

/* Return the number of bytes of the character at a place. The text is UTF-8. */
static size_t letter_size(const Bytes *text, size_t place) {
    size_t size = 1;
    while (place + size < text->count && ((unsigned char)text->data[place + size] & 0xC0) == 0x80) size++;
    return size;
}

/* Append the token of a piece, the tokens of its bytes, or NMT_UNKNOWN once for unknown pieces in a row. */
static void add_piece(const Vocabulary *vocabulary, int32_t id, const char *data, size_t size, Ids *ids, int *status) {
    if (id >= 0) {
        add_id(ids, id, status);
    } else if (vocabulary->bytes[0] >= 0) {
        for (size_t i = 0; i < size; i++) add_id(ids, vocabulary->bytes[(unsigned char)data[i]], status);
    } else if (!ids->count || ids->ids[ids->count - 1] != NMT_UNKNOWN) {
        add_id(ids, NMT_UNKNOWN, status);
    }
}

/* The best path to a place in a text. */
typedef struct {
    float score;
    int32_t id;       /* the last token, or -1 if it is unknown */
    int64_t from, to; /* the start of this token, -1 before the place was reached; the end of the next token */
} Path;

/* Segment a text with a unigram model: the most probable path (Viterbi). */
static void find_best_path(const Vocabulary *vocabulary, const Bytes *text, Ids *ids, int *status) {
    size_t N = text->count, capacity = 0;
    Path *paths = enlarge(NULL, &capacity, N + 1, sizeof *paths, status);
    if (*status) return;
    for (size_t i = 0; i <= N; i++) paths[i] = (Path){.from = -1};
    float unknown = vocabulary->lowest - UNKNOWN_PENALTY;
    for (size_t start = 0; start < N; start += letter_size(text, start)) {
        Prefix prefix = {0, vocabulary->ordered, 0};
        size_t single = letter_size(text, start);
        int known = 0, more = 1;
        for (size_t end = start + 1; more && end <= N; end++) {
            int32_t id;
            more = extend_prefix(vocabulary, &prefix, (unsigned char)text->data[end - 1], &id);
            if (id < 0) continue;
            known |= end - start == single;
            double score = vocabulary->types[id] == TYPE_USER_DEFINED ? SYMBOL_SCORE : vocabulary->scores[id];
            float sum = (float)(paths[start].score + score); /* as in SentencePiece, ties depend on this rounding */
            if (paths[end].from < 0 || sum > paths[end].score)
                paths[end] = (Path){.score = sum, .id = id, .from = (int64_t)start};
        }
        Path *next = &paths[start + single];
        float score = unknown + paths[start].score;
        if (!known && (next->from < 0 || score > next->score))
            *next = (Path){.score = score, .id = -1, .from = (int64_t)start};
    }
    for (int64_t end = (int64_t)N; end > 0; end = paths[end].from) paths[paths[end].from].to = end;
    for (int64_t start = 0, end; start < (int64_t)N; start = end) {
        end = paths[start].to;
        add_piece(vocabulary, paths[end].id, text->data + start, (size_t)(end - start), ids, status);
    }
    free(paths);
}

/* A part of a text that BPE merges with its neighbors. */
typedef struct {
    int64_t before, after; /* the neighbors, or -1 */
    size_t start, size;    /* the size becomes 0 if the part is merged into the one before it */
    int frozen;            /* whether it is a symbol, which is never merged */
} Part;

/* Two neighbors that can be merged. */
typedef struct {
    float score;
    int64_t left, right;
    size_t size; /* of both, when the merge was found: it has become impossible if a part has another size */
} Merge;

typedef struct {
    const Vocabulary *vocabulary;
    const Bytes *text;
    Part *parts;
    Merge *merges; /* a heap: the best merge comes first */
    size_t part_count, part_capacity, merge_count, merge_capacity;
} Merger;

/* Whether a merge comes before another: the better first, and of equal ones the leftmost. */
static int precedes(const Merge *one, const Merge *other) {
    return one->score > other->score || (one->score == other->score && one->left < other->left);
}

static void add_merge(Merger *merger, int64_t left, int64_t right, int *status) {
    if (left < 0 || right < 0 || *status || merger->parts[left].frozen || merger->parts[right].frozen) return;
    size_t size = merger->parts[left].size + merger->parts[right].size;
    int32_t id = find_piece(merger->vocabulary, merger->text->data + merger->parts[left].start, size);
    if (id < 0) return;
    merger->merges = enlarge(merger->merges, &merger->merge_capacity, merger->merge_count + 1, sizeof(Merge), status);
    if (*status) return;
    Merge merge = {.score = merger->vocabulary->scores[id], .left = left, .right = right, .size = size};
    size_t place = merger->merge_count++;
    for (; place && precedes(&merge, &merger->merges[(place - 1) / 2]); place = (place - 1) / 2)
        merger->merges[place] = merger->merges[(place - 1) / 2];
    merger->merges[place] = merge;
}

static Merge take_merge(Merger *merger) {
    Merge first = merger->merges[0], last = merger->merges[--merger->merge_count];
    size_t place = 0, count = merger->merge_count;
    for (size_t child = 1; child < count; child = 2 * place + 1) {
        if (child + 1 < count && precedes(&merger->merges[child + 1], &merger->merges[child])) child++;
        if (!precedes(&merger->merges[child], &last)) break;
        merger->merges[place] = merger->merges[child];
        place = child;
    }
    merger->merges[place] = last;
    return first;
}

/* Return the size of the longest symbol that begins at a place, or 0. Symbols are always one token. */
static size_t find_symbol(const Vocabulary *vocabulary, const Bytes *text, size_t place) {
    Prefix prefix = {0, vocabulary->ordered, 0};
    size_t found = 0;
    int32_t id;
    for (size_t end = place; end < text->count; end++) {
        if (!extend_prefix(vocabulary, &prefix, (unsigned char)text->data[end], &id)) break;
        if (id >= 0 && vocabulary->types[id] == TYPE_USER_DEFINED) found = end + 1 - place;
    }
    return found;
}

/* Segment a text with a BPE model. */
static void merge_pieces(const Vocabulary *vocabulary, const Bytes *text, Ids *ids, int *status) {
    Merger merger = {.vocabulary = vocabulary, .text = text};
    for (size_t place = 0; place < text->count && !*status;) {
        size_t symbol = find_symbol(vocabulary, text, place), size = symbol ? symbol : letter_size(text, place);
        int64_t own = (int64_t)merger.part_count;
        merger.parts = enlarge(merger.parts, &merger.part_capacity, merger.part_count + 1, sizeof(Part), status);
        if (*status) break;
        merger.parts[merger.part_count++] =
            (Part){.before = own - 1, .after = own + 1, .start = place, .size = size, .frozen = symbol > 0};
        place += size;
    }
    if (merger.part_count) merger.parts[merger.part_count - 1].after = -1;
    for (size_t i = 1; i < merger.part_count; i++) add_merge(&merger, (int64_t)i - 1, (int64_t)i, status);
    while (merger.merge_count && !*status) {
        Merge merge = take_merge(&merger);
        Part *left = &merger.parts[merge.left], *right = &merger.parts[merge.right];
        if (!left->size || !right->size || left->size + right->size != merge.size) continue;
        left->size = merge.size;
        left->after = right->after;
        right->size = 0;
        if (left->after >= 0) merger.parts[left->after].before = merge.left;
        add_merge(&merger, left->before, merge.left, status);
        add_merge(&merger, merge.left, left->after, status);
    }
    for (int64_t i = merger.part_count ? 0 : -1; i >= 0 && !*status; i = merger.parts[i].after) {
        const char *data = text->data + merger.parts[i].start;
        size_t size = merger.parts[i].size;
        add_piece(vocabulary, find_piece(vocabulary, data, size), data, size, ids, status);
    }
    free(merger.parts);
    free(merger.merges);
}

/* Append the tokens of a text. `spelled` is used as memory. */
static void encode(const nmt_model *model, const uint32_t *letters, size_t count, Bytes *spelled, Ids *ids,
                   int *status) {
    if (!count) return;
    spelled->count = 0;
    add_utf8(spelled, SPACE, status); /* SentencePiece adds a space before the first word */
    for (size_t i = 0; i < count; i++) {
        uint32_t letter = letters[i];
        if (letter == SPACE || letter == ESCAPE) {
            add_utf8(spelled, ESCAPE, status);
            add_utf8(spelled, letter == SPACE ? '1' : '0', status);
        } else {
            add_utf8(spelled, letter == ' ' ? SPACE : letter, status);
        }
    }
    if (*status) return;
    Ids found = {0};
    (model->settings.kind == KIND_BPE ? merge_pieces : find_best_path)(&model->source, spelled, &found, status);
    for (size_t i = 0; i < found.count && !*status; i++) add_id(ids, found.ids[i], status);
    free(found.ids);
}

/* Append a letter of a decoded text. A digit after the escape character stands for ▁ or for this character. */
static void add_unescaped(Text *text, uint32_t letter, int *open, int *status) {
    if (*open && (letter == '0' || letter == '1')) {
        text->letters[text->count - 1] = letter == '1' ? SPACE : ESCAPE;
        *open = 0;
        return;
    }
    add_letter(text, letter, status);
    *open = letter == ESCAPE;
}

/* Replace a text by that of tokens. Tags and other special tokens have no text. `bytes` is used as memory. */
static void decode(const Vocabulary *vocabulary, const int32_t *ids, size_t count, Text *text, Bytes *bytes,
                   int *status) {
    int started = 0, open = 0;
    text->count = 0;
    for (size_t i = 0; i < count && !*status;) {
        uint32_t id = (uint32_t)ids[i], letter;
        int type = id < vocabulary->pieces.count ? vocabulary->types[id] : TYPE_CONTROL;
        bytes->count = 0;
        if (type == TYPE_BYTE) {
            for (; i < count && (uint32_t)ids[i] < vocabulary->pieces.count; i++) {
                if (vocabulary->types[ids[i]] != TYPE_BYTE) break;
                char byte = get_byte(vocabulary, ids[i]);
                add_bytes(bytes, &byte, 1, status);
            }
            for (size_t place = 0; place < bytes->count && !*status;) {
                int size = read_letter(bytes->data + place, bytes->count - place, &letter);
                add_unescaped(text, size ? letter : REPLACEMENT, &open, status);
                place += size ? (size_t)size : 1;
            }
            started = 1;
            continue;
        }
        i++;
        if (type == TYPE_CONTROL) continue;
        Span piece = type == TYPE_UNKNOWN ? (Span){" \xE2\x81\x87 ", 5} : get_string(&vocabulary->pieces, id);
        for (size_t place = 0; place < piece.size && !*status;) {
            int size = read_letter(piece.data + place, piece.size - place, &letter);
            if (!size) letter = REPLACEMENT;
            if (letter != SPACE || started || place) add_unescaped(text, letter == SPACE ? ' ' : letter, &open, status);
            place += size ? (size_t)size : 1;
        }
        started = 1;
    }
}

#endif
