/* Opening of a model file. Nothing outside of the file is read, whatever its content. */

#ifndef NMT_MODEL_FILE_H
#define NMT_MODEL_FILE_H

#include "tables.h"

#include <math.h>
#include <stdio.h>
#include <sys/mman.h>

#define MAX_MODEL_BYTES (4LL << 30)
#define MAX_GROWTH 1024 /* a packed network is at most this many times as large as its file */

static uint64_t compute_checksum(const char *data, size_t size) {
    uint64_t sum = 14695981039346656037u, word;
    for (size_t i = 0; i + 8 <= size; i += 8) {
        memcpy(&word, data + i, 8);
        sum = (sum ^ word) * 1099511628211u;
        sum ^= sum >> 29;
    }
    return sum;
}

/* Return a part of the file, or a part without data if its place is outside of the file. */
static Span get_part(const nmt_model *model, int part, int *status) {
    ModelHeader header;
    memcpy(&header, model->content, sizeof header);
    int64_t place = header.parts[part].place, size = header.parts[part].size, whole = (int64_t)model->size;
    if (place < (int64_t)sizeof header || place % 8 || place > whole || size < 0 || size > whole - place) {
        *status = NMT_BAD_FILE;
        return (Span){0};
    }
    return (Span){.data = model->content + place, .size = (size_t)size};
}

/* Return a part as an array of items, and their number. */
static const void *get_array(const nmt_model *model, int part, size_t item, size_t *count, int *status) {
    Span span = get_part(model, part, status);
    if (span.size % item) *status = NMT_BAD_FILE;
    *count = *status ? 0 : span.size / item;
    return span.data;
}

/* Read strings, whose number is a multiple of `step`. */
static Strings get_strings(const nmt_model *model, int part, uint32_t step, int *status) {
    Span span = get_part(model, part, status);
    Strings strings = {0};
    if (*status || !span.size) return strings;
    uint32_t count = 0;
    if (span.size >= 4) memcpy(&count, span.data, 4);
    if (span.size < 4 || (span.size - 4) / 4 < count || count % step) {
        *status = NMT_BAD_FILE;
        return strings;
    }
    strings =
        (Strings){.ends = (const uint32_t *)span.data + 1, .bytes = span.data + 4 + 4 * (size_t)count, .count = count};
    uint32_t end = 0;
    for (uint32_t i = 0; i < count; end = strings.ends[i++])
        if (strings.ends[i] < end) *status = NMT_BAD_FILE;
    if (end > span.size - 4 - 4 * (size_t)count) *status = NMT_BAD_FILE;
    if (*status) strings.count = 0;
    return strings;
}

static Runs get_runs(const nmt_model *model, int part, size_t numbers, int *status) {
    size_t count;
    const uint32_t *starts = get_array(model, part, 4, &count, status);
    for (size_t i = 0; i < count; i++)
        if ((starts[i] & 0xFF) >= numbers) *status = NMT_BAD_FILE;
    return (Runs){.starts = starts, .count = *status ? 0 : (uint32_t)count};
}

static LetterMap get_map(const nmt_model *model, int part, int *status) {
    size_t words;
    const uint32_t *data = get_array(model, part, 4, &words, status);
    LetterMap map = {0};
    if (*status || !words) return map;
    size_t count = data[0];
    if ((words - 1) / 2 < count) {
        *status = NMT_BAD_FILE;
        return map;
    }
    map = (LetterMap){.entries = data + 1, .pool = data + 1 + 2 * count, .count = (uint32_t)count};
    size_t pool = words - 1 - 2 * count;
    for (size_t i = 0; i < count; i++) {
        uint32_t length = map.entries[2 * i + 1] >> 24, place = map.entries[2 * i + 1] & 0xFFFFFF;
        if (length == 1 ? place > MAX_LETTER : place > pool || length > pool - place) *status = NMT_BAD_FILE;
    }
    for (size_t i = 0; i < pool; i++)
        if (map.pool[i] > MAX_LETTER) *status = NMT_BAD_FILE;
    if (*status) map.count = 0;
    return map;
}

/* Read a vocabulary of at most `size` tokens from parts that begin with its pieces. Only the source has scores. */
static Vocabulary get_vocabulary(const nmt_model *model, int part, int32_t size, int *status) {
    Vocabulary vocabulary = {.pieces = get_strings(model, part, 1, status)};
    size_t types, scores = 0, ordered = 0, count = vocabulary.pieces.count;
    vocabulary.types = get_array(model, part + 1, 1, &types, status);
    if (part == PART_SOURCE_PIECES) {
        vocabulary.scores = get_array(model, PART_SOURCE_SCORES, 4, &scores, status);
        vocabulary.order = get_array(model, PART_SOURCE_ORDER, 4, &ordered, status);
        if (scores != count) *status = NMT_BAD_FILE;
    }
    if (types != count || count < NMT_EOS || count > (size_t)size) *status = NMT_BAD_FILE;
    for (size_t i = 0; i < ordered && !*status; i++)
        if (vocabulary.order[i] >= count) *status = NMT_BAD_FILE;
    if (*status) return (Vocabulary){0};
    vocabulary.ordered = (uint32_t)ordered;
    vocabulary.lowest = 3.4e38f;
    memset(vocabulary.bytes, -1, sizeof vocabulary.bytes);
    int bytes = 0;
    for (size_t id = 0; id < count; id++) {
        if (vocabulary.types[id] == TYPE_BYTE && bytes < 256) vocabulary.bytes[bytes++] = (int32_t)id;
        if (vocabulary.types[id] == TYPE_NORMAL && scores && vocabulary.scores[id] < vocabulary.lowest)
            vocabulary.lowest = vocabulary.scores[id];
    }
    if (bytes && bytes < 256) *status = NMT_BAD_FILE;
    return vocabulary;
}

static void get_text_tables(nmt_model *model, int *status) {
    const nmt_architecture *a = &model->architecture;
    const Settings *settings = &model->settings;
    size_t traits;
    model->targets = get_strings(model, PART_TARGETS, 1, status);
    model->traits = get_array(model, PART_TARGET_TRAITS, 8, &traits, status);
    if (!traits || traits != model->targets.count) *status = NMT_BAD_FILE;
    for (size_t i = 0; i < traits && !*status; i++) {
        Span name = get_string(&model->targets, (uint32_t)i); /* ends with a byte of zero, as strings of C do */
        if (!name.size || name.data[name.size - 1] || model->traits[2 * i] < -1 ||
            model->traits[2 * i] >= a->source_size)
            *status = NMT_BAD_FILE;
    }
    model->classes = get_array(model, PART_CLASSES, 8, &model->class_count, status);
    if (!model->class_count || settings->contexts < 0 || settings->contexts > MAX_CONTEXTS) *status = NMT_BAD_FILE;
    model->properties = get_runs(model, PART_PROPERTIES, model->class_count, status);
    model->combining = get_runs(model, PART_COMBINING, 256, status);
    LetterMap *maps[] = {&model->canonical, &model->compatible, &model->lower,
                         &model->upper,     &model->title,      &model->folded};
    const int parts[] = {PART_CANONICAL, PART_COMPATIBLE, PART_LOWER, PART_UPPER, PART_TITLE, PART_FOLDED};
    for (int i = 0; i < 6; i++) *maps[i] = get_map(model, parts[i], status);
    model->composed = get_array(model, PART_COMPOSED, 12, &model->composed_count, status);
    for (size_t i = 0; i < 3 * model->composed_count; i++)
        if (model->composed[i] > MAX_LETTER) *status = NMT_BAD_FILE;
    model->replaced = get_strings(model, PART_REPLACED, 2, status);
    model->forms = get_strings(model, PART_FORMS, 2, status);
    model->accents = get_strings(model, PART_ACCENTS, 2, status);
    model->endings = get_strings(model, PART_ENDINGS, 1, status);
    model->abbreviations = get_strings(model, PART_ABBREVIATIONS, 1, status);
    if (*status) return;
    for (uint32_t i = 0; i < model->replaced.count; i += 2) {
        Span key = get_string(&model->replaced, i);
        size_t letters = 0;
        for (size_t k = 0; k < key.size; k++) letters += ((unsigned char)key.data[k] & 0xC0) != 0x80;
        if (letters > model->longest_replaced) model->longest_replaced = letters;
    }
    for (uint32_t letter = 0; letter < 128; letter++)
        model->ascii[letter] = model->classes[find_run(&model->properties, letter)];
}

static void get_vocabularies(nmt_model *model, int *status) {
    const nmt_architecture *a = &model->architecture;
    const Settings *settings = &model->settings;
    if ((settings->kind != KIND_UNIGRAM && settings->kind != KIND_BPE) || settings->max_tokens < 1)
        *status = NMT_BAD_FILE;
    model->source = get_vocabulary(model, PART_SOURCE_PIECES, a->source_size, status);
    if (settings->joint)
        model->target = model->source;
    else
        model->target = get_vocabulary(model, PART_TARGET_PIECES, a->target_size, status);
    if (*status) return;
    /* The tags of a joint vocabulary follow its tokens. */
    model->banned_count = a->target_size - (int32_t)model->target.pieces.count;
    model->banned = malloc(sizeof *model->banned * (size_t)(model->banned_count + 1));
    if (!model->banned) *status = NMT_NO_MEMORY;
    for (int32_t i = 0; i < model->banned_count && !*status; i++)
        model->banned[i] = (int32_t)model->target.pieces.count + i;
}

static void get_tensors(nmt_model *model, int *status) {
    size_t count, size;
    const int64_t *entries = get_array(model, PART_TENSORS, 32, &count, status);
    const char *weights = get_array(model, PART_WEIGHTS, 1, &size, status);
    if (count > 10000) *status = NMT_BAD_FILE;
    if (*status) return;
    model->tensors = calloc(count + 1, sizeof *model->tensors);
    if (!model->tensors) *status = NMT_NO_MEMORY;
    for (size_t i = 0; i < count && !*status; i++) {
        int64_t place = entries[4 * i], scales = entries[4 * i + 1], values = entries[4 * i + 2],
                rows = entries[4 * i + 3], item = scales < 0 ? 4 : 1, whole = (int64_t)size;
        if (place < 0 || place % 4 || place > whole || values < 0 || values > (whole - place) / item || rows < 0 ||
            (scales >= 0 && (scales % 4 || scales > whole || rows > (whole - scales) / 4)))
            *status = NMT_BAD_FILE;
        else
            model->tensors[model->tensor_count++] =
                (nmt_tensor){.values = weights + place,
                             .scales = scales < 0 ? NULL : (const float *)(weights + scales),
                             .size = values,
                             .rows = rows};
    }
}

/* Return the tokens of a shortlist, which have two or four bytes, as new memory. */
static int32_t *get_tokens(const nmt_model *model, int part, int64_t wanted, int *status) {
    Span span = get_part(model, part, status);
    int64_t item = wanted ? (int64_t)span.size / wanted : 4;
    if (*status || (item != 2 && item != 4) || (int64_t)span.size != item * wanted) {
        *status = *status ? *status : NMT_BAD_FILE;
        return NULL;
    }
    int32_t *tokens = malloc(sizeof *tokens * (size_t)(wanted + 1));
    if (!tokens) *status = NMT_NO_MEMORY;
    for (int64_t i = 0; i < wanted && tokens; i++)
        tokens[i] = item == 2 ? ((const uint16_t *)span.data)[i] : ((const int32_t *)span.data)[i];
    return tokens;
}

/* Make the packed form of the network, without its table, which is computed when it is needed. */
static void open_network(nmt_model *model, int *status) {
    const nmt_architecture *a = &model->architecture;
    int64_t size = nmt_packed_size(a, 0);
    if (!size || size / MAX_GROWTH > (int64_t)model->size) *status = NMT_BAD_FILE;
    int32_t *frequent = *status ? NULL : get_tokens(model, PART_FREQUENT, a->frequent, status);
    int32_t *best = *status ? NULL : get_tokens(model, PART_BEST, (int64_t)a->best * a->source_size, status);
    LazyTable *lazy = NULL;
    if (!*status) {
        model->packed = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (model->packed == MAP_FAILED) *status = NMT_NO_MEMORY;
        model->packed_size = (size_t)size;
    }
    if (!*status)
        *status =
            nmt_pack_network(a, model->tensors, model->tensor_count, frequent, best, NULL, 0, model->packed, &lazy);
    if (*status == NMT_BAD_ARGUMENT) *status = NMT_BAD_FILE; /* tensors are missing or too small */
    if (!*status) *status = nmt_open(model->packed, size, &model->network);
    if (model->network)
        model->network->lazy = lazy;
    else
        nmt_free_lazy(lazy);
    free(frequent);
    free(best);
}

static void close_model(nmt_model *model) {
    if (model->network) nmt_free_lazy(model->network->lazy);
    nmt_close(model->network);
    if (model->packed && model->packed != MAP_FAILED) munmap(model->packed, model->packed_size);
    free(model->tensors);
    free(model->banned);
    free(model->content);
    free(model);
}

/* Open the content of a model file, which becomes part of the model or is released. */
static int open_content(char *content, size_t size, nmt_model **opened) {
    const size_t unsummed = offsetof(ModelHeader, architecture);
    int status = NMT_OK;
    ModelHeader header;
    nmt_model *model = calloc(1, sizeof *model);
    if (!model) {
        free(content);
        return NMT_NO_MEMORY;
    }
    model->content = content;
    model->size = size;
    if (size < sizeof header || size % 8) {
        status = NMT_BAD_FILE;
    } else {
        memcpy(&header, content, sizeof header);
        if (memcmp(header.magic, MODEL_MAGIC, sizeof header.magic) || header.version != MODEL_VERSION ||
            header.byte_order != 1 || header.part_count != PART_COUNT ||
            header.checksum != compute_checksum(content + unsummed, size - unsummed))
            status = NMT_BAD_FILE;
    }
    if (!status) {
        model->architecture = header.architecture;
        model->settings = header.settings;
        if (!nmt_packed_size(&model->architecture, 0)) status = NMT_BAD_FILE;
    }
    if (!status) get_text_tables(model, &status);
    if (!status) get_vocabularies(model, &status);
    if (!status) get_tensors(model, &status);
    if (!status) open_network(model, &status);
    if (status)
        close_model(model);
    else
        *opened = model;
    return status;
}

/* Read a file into new memory. */
static int read_file(const char *path, char **content, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (!file) return NMT_NO_FILE;
    int status = NMT_NO_FILE;
    long length = fseek(file, 0, SEEK_END) ? -1 : ftell(file);
    if (length >= 0 && length <= MAX_MODEL_BYTES && !fseek(file, 0, SEEK_SET)) {
        *content = malloc((size_t)length + 1);
        *size = (size_t)length;
        status = !*content ? NMT_NO_MEMORY : fread(*content, 1, *size, file) == *size ? NMT_OK : NMT_NO_FILE;
        if (status) free(*content);
    }
    fclose(file);
    return status;
}

#endif
