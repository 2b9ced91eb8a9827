/* Text to text: lines -> sentences -> tokens -> search -> tokens -> text. nmt/translation/ does the same in Python. */

#include "guards.h"
#include "model_file.h"
#include "sentences.h"

enum { WINDOW = 64 }; /* segments that are searched in one call */

/* A part of a line that is translated by itself. */
typedef struct {
    Ids source, target; /* the source ends with NMT_EOS */
    Text verbatim;      /* the text, if it stays as it is */
    size_t line;
    int kept, capitals, guarded;
} Segment;

/* One call of nmt_translate. */
typedef struct {
    const nmt_model *model;
    nmt_options options;
    int32_t tag, traits; /* of the target language */
    int splits, guards;
    Segment segments[WINDOW];
    size_t count, line;
    size_t written; /* the number of lines that are written */
    int has_text;   /* whether the current line of the result has text */
    Text text, sentence, part, spare;
    Bytes key, result;
    Caser caser;
    GuardMemory memory;
    int status;
} Job;

NMT_API const char *nmt_message(int status) {
    static const char *const messages[] = {
        [NMT_OK] = "success",
        [NMT_NO_MEMORY] = "memory cannot be allocated",
        [NMT_BAD_FILE] = "the file is damaged, or was written for another version of the library",
        [NMT_BAD_ARGUMENT] = "an argument is out of its bounds",
        [NMT_NOT_A_NUMBER] = "the model computes values that are not numbers",
        [NMT_STOPPED] = "the search was stopped",
        [NMT_NO_FILE] = "the file cannot be read",
        [NMT_BAD_TEXT] = "the text is not UTF-8, or has a line of more than 1,048,576 bytes",
        [NMT_BAD_LANGUAGE] = "the model does not translate into this language, or has several and none was named",
    };
    int known = status >= 0 && (size_t)status < sizeof messages / sizeof *messages;
    return known ? messages[status] : "unknown status";
}

NMT_API void nmt_set_defaults(nmt_translation_options *options) {
    *options = (nmt_translation_options){.split = -1, .guard = -1, .beam = 5, .min_length = 1, .max_length_extra = 10};
    options->max_length_factor = 2;
    options->length_penalty = -1;
}

NMT_API int nmt_open_model(const char *path, nmt_model **model) {
    char *content;
    size_t size;
    *model = NULL;
    int status = read_file(path, &content, &size);
    return status ? status : open_content(content, size, model);
}

NMT_API int nmt_open_model_content(const void *content, int64_t size, nmt_model **model) {
    *model = NULL;
    if (size < 0 || size > MAX_MODEL_BYTES) return NMT_BAD_ARGUMENT;
    char *copy = malloc((size_t)size + 1);
    if (!copy) return NMT_NO_MEMORY;
    if (size) memcpy(copy, content, (size_t)size);
    return open_content(copy, (size_t)size, model);
}

NMT_API void nmt_close_model(nmt_model *model) {
    if (model) close_model(model);
}

NMT_API const char *nmt_target_language(const nmt_model *model, int32_t index) {
    if (index < 0 || (uint32_t)index >= model->targets.count) return NULL;
    return get_string(&model->targets, (uint32_t)index).data;
}

/* Search translations of sentences, given from the longest to the shortest, for segments of these indices. */
static void search(Job *job, const nmt_options *options, const size_t *indices, size_t count) {
    nmt_sentence sentences[WINDOW];
    nmt_hypotheses found;
    const nmt_network *networks[] = {job->model->network};
    for (size_t i = 0; i < count; i++) {
        const Ids *source = &job->segments[indices[i]].source;
        sentences[i] = (nmt_sentence){.ids = source->ids, .length = (int32_t)source->count};
    }
    if (job->status) return;
    job->status = nmt_search(networks, 1, sentences, (int32_t)count, options, &found);
    if (job->status) return;
    for (int64_t h = 0, begin = 0; h < found.count; begin = found.ids_end[h++]) {
        Ids *target = &job->segments[indices[found.sentences[h]]].target;
        target->count = 0;
        for (int64_t i = begin; i < found.ids_end[h]; i++) add_id(target, found.ids[i], &job->status);
    }
    nmt_free_hypotheses(&found);
}

/* Search a segment again if its translation has a fault. */
static void repair(Job *job, size_t index) {
    Segment *segment = &job->segments[index];
    if (job->status || !segment->guarded || segment->kept) return;
    nmt_options options = job->options;
    Fault before =
        find_fault(job->model, &job->options, &segment->source, &segment->target, &job->memory, &job->status);
    Fault left = before;
    for (int attempt = 0; attempt < ATTEMPTS && left && !job->status; attempt++) {
        change_options(job->model, &options, &segment->target, left, &job->memory, &job->status);
        Ids earlier = segment->target;
        segment->target = (Ids){0};
        search(job, &options, &index, 1);
        Fault fault =
            find_fault(job->model, &job->options, &segment->source, &segment->target, &job->memory, &job->status);
        if (!fault || before != FAULT_OMISSION) { /* a second translation with a loop is at least another one */
            free(earlier.ids);
            left = fault;
        } else {
            free(segment->target.ids);
            segment->target = earlier;
        }
    }
}

/* Append the translation of a segment to the result. */
static void write_segment(Job *job, Segment *segment) {
    Text *text = &job->part;
    for (; job->written < segment->line; job->written++) {
        add_bytes(&job->result, "\n", 1, &job->status);
        job->has_text = 0;
    }
    if (segment->kept) {
        text = &segment->verbatim;
    } else {
        decode(&job->model->target, segment->target.ids, segment->target.count, text, &job->key, &job->status);
        for (size_t i = 0; i < text->count; i++)
            if (text->letters[i] == '\n' || text->letters[i] == '\r' || !text->letters[i]) text->letters[i] = ' ';
        if (segment->capitals) write_capitals(job->model, job->traits, text, &job->spare, &job->status);
    }
    if (!text->count || job->status) return;
    if (job->has_text && job->traits & WRITES_SPACES) add_bytes(&job->result, " ", 1, &job->status);
    for (size_t i = 0; i < text->count; i++) add_utf8(&job->result, text->letters[i], &job->status);
    job->has_text = 1;
}

/* Translate the segments so far. */
static void flush(Job *job) {
    size_t indices[WINDOW], count = 0;
    for (size_t i = 0; i < job->count; i++) {
        if (job->segments[i].kept) continue;
        size_t place = count++;
        for (; place && job->segments[indices[place - 1]].source.count < job->segments[i].source.count; place--)
            indices[place] = indices[place - 1];
        indices[place] = i;
    }
    if (count) search(job, &job->options, indices, count);
    for (size_t i = 0; i < job->count; i++) {
        Segment *segment = &job->segments[i];
        repair(job, i);
        if (!job->status) write_segment(job, segment);
        free(segment->source.ids);
        free(segment->target.ids);
        free(segment->verbatim.letters);
        *segment = (Segment){0};
    }
    job->count = 0;
}

static Segment *add_segment(Job *job) {
    if (job->count == WINDOW) flush(job);
    Segment *segment = &job->segments[job->count++];
    segment->line = job->line;
    if (job->tag >= 0) add_id(&segment->source, job->tag, &job->status);
    return segment;
}

static void strip(const nmt_model *model, const uint32_t **letters, size_t *count) {
    while (*count && has(model, (*letters)[*count - 1], IS_WHITE)) --*count;
    while (*count && has(model, **letters, IS_WHITE)) ++*letters, --*count;
}

/* Return where to cut a text into two halves: the end of a sentence, or else of white space, next to the middle. */
static size_t find_middle(Job *job, const uint32_t *letters, size_t count) {
    size_t half = count / 2, best = 0, distance = SIZE_MAX, ends = 0;
    for (size_t end = 0; end < count && !job->status; ends++) {
        end += find_sentence(job->model, letters + end, count - end, &job->part, &job->key, &job->status);
        size_t own = end > half ? end - half : half - end;
        if (end < count && own < distance) best = end, distance = own;
    }
    for (size_t end = 1; end < count && ends < 2; end++) {
        if (!has(job->model, letters[end - 1], IS_WHITE) || has(job->model, letters[end], IS_WHITE)) continue;
        size_t own = end > half ? end - half : half - end;
        if (own < distance) best = end, distance = own;
    }
    return best ? best : half;
}

/* Add the tokens of a text as segments. A part with too many tokens is halved. */
static void add_parts(Job *job, const uint32_t *letters, size_t count, int capitals) {
    Ids ids = {0};
    encode(job->model, letters, count, &job->key, &ids, &job->status);
    if (!job->status && ids.count > (size_t)job->model->settings.max_tokens && count > 1) {
        free(ids.ids);
        size_t middle = find_middle(job, letters, count);
        const uint32_t *halves[] = {letters, letters + middle};
        size_t counts[] = {middle, count - middle};
        for (int i = 0; i < 2 && !job->status; i++) {
            strip(job->model, &halves[i], &counts[i]);
            if (counts[i]) add_parts(job, halves[i], counts[i], capitals);
        }
        return;
    }
    if (!job->status && ids.count) {
        Segment *segment = add_segment(job);
        segment->capitals = capitals;
        segment->guarded = job->guards;
        for (size_t i = 0; i < ids.count; i++) add_id(&segment->source, ids.ids[i], &job->status);
        add_id(&segment->source, NMT_EOS, &job->status);
    }
    free(ids.ids);
}

/* Add the segments of a sentence. */
static void add_sentence(Job *job, const uint32_t *letters, size_t count) {
    const nmt_model *model = job->model;
    int truecases = model->settings.truecases, capitals = truecases && is_capitals(model, letters, count);
    job->sentence.count = 0;
    add_letters(&job->sentence, letters, count, &job->status);
    restore_case(model, &job->caser, &job->sentence, &job->status);
    if (job->guards && !job->status) {
        Ids ids = {0};
        Text whole = {.letters = (uint32_t *)letters, .count = count};
        encode(model, job->sentence.letters, job->sentence.count, &job->key, &ids, &job->status);
        int kept = !job->status && needs_no_translation(model, &whole, ids.ids, ids.count);
        free(ids.ids);
        if (kept) {
            Segment *segment = add_segment(job);
            segment->kept = 1;
            add_letters(&segment->verbatim, letters, count, &job->status);
            return;
        }
    }
    if (!job->status) add_parts(job, job->sentence.letters, job->sentence.count, capitals);
}

static void add_line(Job *job, const char *data, size_t size) {
    const nmt_model *model = job->model;
    job->text.count = 0;
    add_decoded(&job->text, data, size, &job->status);
    normalize_text(model, &job->text, &job->spare, &job->key, &job->status);
    const uint32_t *letters = job->text.letters;
    size_t count = job->text.count;
    strip(model, &letters, &count);
    while (count && !job->status) {
        size_t end = count;
        if (job->splits) end = find_sentence(model, letters, count, &job->part, &job->key, &job->status);
        const uint32_t *sentence = letters;
        size_t length = end;
        strip(model, &sentence, &length);
        if (length) add_sentence(job, sentence, length);
        letters += end;
        count -= end;
    }
}

/* Choose the target language. Return its index, or -1. */
static int64_t choose_language(const nmt_model *model, const char *to) {
    if (!to) return model->targets.count == 1 ? 0 : -1;
    for (uint32_t i = 0; i < model->targets.count; i++)
        if (!strcmp(get_string(&model->targets, i).data, to)) return i;
    return -1;
}

/* Return bytes as a string of C, which the caller owns. After a failure, they are released. */
static int give(Bytes *bytes, char **string, int status) {
    add_bytes(bytes, "", 1, &status);
    if (status)
        free(bytes->data);
    else
        *string = bytes->data;
    return status;
}

static void release(Job *job) {
    Text *texts[] = {&job->text, &job->sentence, &job->part, &job->spare};
    for (int i = 0; i < 4; i++) free(texts[i]->letters);
    free(job->key.data);
    release_caser(&job->caser);
    release_guard_memory(&job->memory);
}

NMT_API int nmt_translate(const nmt_model *model, const char *text, const nmt_translation_options *given,
                          char **translation) {
    nmt_translation_options own;
    nmt_set_defaults(&own);
    if (given) own = *given;
    *translation = NULL;
    int64_t language = choose_language(model, own.to);
    if (language < 0) return NMT_BAD_LANGUAGE;
    Job job = {.model = model, .tag = model->traits[2 * language], .traits = model->traits[2 * language + 1]};
    job.splits = own.split < 0 ? model->settings.splits : own.split;
    job.guards = own.guard < 0 ? model->settings.guards : own.guard;
    job.options = (nmt_options){.beam = own.beam, .nbest = 1, .shortlist = 1, .banned = model->banned};
    job.options.banned_count = model->banned_count;
    job.options.min_length = own.min_length;
    job.options.max_length_extra = own.max_length_extra;
    job.options.max_length_factor = own.max_length_factor;
    job.options.no_repeat_ngram_size = own.no_repeat_ngram_size;
    job.options.length_penalty =
        own.length_penalty == -1 ? model->settings.length_penalty / 1000.0 : own.length_penalty;
    job.options.coverage_penalty = own.coverage_penalty;

    for (int more = 1; more && !job.status; job.line++) {
        size_t size = strcspn(text, "\n");
        if (size > NMT_MAX_LINE)
            job.status = NMT_BAD_TEXT;
        else
            add_line(&job, text, size);
        more = text[size] == '\n';
        text += size + (size_t)more;
    }
    flush(&job);
    for (; job.written + 1 < job.line; job.written++) add_bytes(&job.result, "\n", 1, &job.status);
    job.status = give(&job.result, translation, job.status);
    release(&job);
    return job.status;
}

NMT_API int nmt_prepare(const nmt_model *model, const char *line, char **prepared) {
    int status = NMT_OK;
    Text text = {0}, spare = {0}, sentence = {0};
    Bytes key = {0}, result = {0};
    Caser caser = {0};
    *prepared = NULL;
    add_decoded(&text, line, strlen(line), &status);
    normalize_text(model, &text, &spare, &key, &status);
    const uint32_t *letters = text.letters;
    size_t count = text.count;
    if (!status) strip(model, &letters, &count);
    add_letters(&sentence, letters, count, &status);
    restore_case(model, &caser, &sentence, &status);
    if (!status) encode_utf8(sentence.letters, sentence.count, &result, &status);
    free(text.letters);
    free(spare.letters);
    free(sentence.letters);
    free(key.data);
    release_caser(&caser);
    return give(&result, prepared, status);
}

NMT_API int nmt_encode(const nmt_model *model, const char *text, int32_t **ids, int64_t *count) {
    int status = NMT_OK;
    Text letters = {0};
    Bytes spelled = {0};
    Ids found = {0};
    *ids = NULL;
    *count = 0;
    add_decoded(&letters, text, strlen(text), &status);
    if (!status) encode(model, letters.letters, letters.count, &spelled, &found, &status);
    free(letters.letters);
    free(spelled.data);
    if (status) {
        free(found.ids);
        return status;
    }
    *ids = found.ids;
    *count = (int64_t)found.count;
    return NMT_OK;
}

NMT_API int nmt_decode(const nmt_model *model, const int32_t *ids, int64_t count, char **text) {
    int status = NMT_OK;
    Text letters = {0};
    Bytes bytes = {0}, result = {0};
    *text = NULL;
    if (count < 0 || count > INT32_MAX) return NMT_BAD_ARGUMENT;
    decode(&model->target, ids, (size_t)count, &letters, &bytes, &status);
    if (!status) encode_utf8(letters.letters, letters.count, &result, &status);
    free(letters.letters);
    free(bytes.data);
    return give(&result, text, status);
}

NMT_API void nmt_free(void *memory) { free(memory); }
