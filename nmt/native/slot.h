/* A sentence that is searched: its hypotheses, and the tokens that its translation may contain. */

#ifndef NMT_SLOT_H
#define NMT_SLOT_H

#include "decoder.h"
#include "sampling.h"

/* A finished hypothesis: row `row` of the beam after `step` tokens. */
typedef struct {
    double score, log_probability, of_eos; /* log P of the hypothesis, and of EOS alone */
    int64_t key;                           /* equal for hypotheses that the caller does not distinguish */
    int32_t step, row;
} End;

/* The output layer of a network for the candidates of a sentence. */
typedef struct {
    Buffer weights, scales, sums, bias;
    Product output;
} Selection;

#define NO_TERM -1
#define MAX_BANKS 32

/* What a hypothesis has of the terms of its sentence. It has the first `progress` tokens of a form of `term`. */
typedef struct {
    uint64_t met; /* a bit for each term */
    int32_t term, form, progress;
    int32_t last;  /* the term that the last token completed */
    int32_t begun; /* the term that began with the last token */
} Progress;

/* A sentence that is searched. Its live hypotheses have `step` tokens. */
typedef struct {
    int32_t index; /* in the call */
    const nmt_sentence *sentence;
    int32_t limit, step, live, place; /* the largest length; its place among the memories */
    int32_t rows;                     /* the most hypotheses that live at once */
    Buffer progress[2];               /* of each hypothesis in the terms, (rows); before and after a step */
    Buffer states[2]; /* the state of each hypothesis among the arcs of the sentence, (rows); before and after a step */
    double bar;       /* log P that a live hypothesis must exceed; infinite: the sentence is done */
    Buffer log_probabilities, tokens, origins, weights; /* (rows), (steps, rows), (steps, rows), (steps, rows, S) */
    Buffer token_log_probabilities;                     /* log P of each token, (steps, rows) */
    Buffer ends;
    int32_t ended;
    /* The candidates: tokens in ascending order, beginning with EOS. Without a shortlist, all tokens. */
    Buffer candidates;
    int32_t listed, width; /* whether there is a shortlist; W */
    Selection *selections; /* of each network, with a shortlist */
    uint32_t key[2];       /* of the random numbers of a sample */
} Slot;

typedef struct {
    const nmt_options *options;
    Member *members;
    int32_t count; /* of members */
    int32_t group; /* of sentences that are searched at once */
    Slot *slots;   /* (group) */
    Buffer tokens, places, origins, weights, mean_weights, scores, other_scores, norms, blocks, marks, order,
        best_values, best_places, history, bank_values, bank_places;
    int status;
} Search;

static int32_t count_arcs(const nmt_sentence *sentence) {
    return sentence->states ? sentence->arcs_end[sentence->states - 1] : 0;
}

static int32_t longest_form(const nmt_term *term) {
    int32_t longest = 0;
    for (int32_t f = 0, first = 0; f < term->forms; first = term->forms_end[f++])
        if (term->forms_end[f] - first > longest) longest = term->forms_end[f] - first;
    return longest;
}

/* Count the tokens of the terms of a sentence. Each term counts as its longest form. */
static int32_t count_term_tokens(const nmt_sentence *sentence) {
    int32_t total = 0;
    for (int32_t t = 0; t < sentence->term_count; t++) total += longest_form(&sentence->terms[t]);
    return total;
}

static int32_t count_banks(const nmt_sentence *sentence) {
    int32_t total = count_term_tokens(sentence);
    return total < MAX_BANKS ? total + 1 : MAX_BANKS;
}

/* Compute the largest number of tokens of a hypothesis. There is room for what the translation must contain. */
static int32_t max_length(const nmt_options *options, const nmt_sentence *sentence) {
    double limit = options->max_length_factor * sentence->length + options->max_length_extra;
    int32_t length =
        limit < 1e9 ? (int32_t)(options->max_length_factor * sentence->length) + options->max_length_extra : 1000000000;
    int32_t required = sentence->prefix_length + sentence->states + 2 * count_term_tokens(sentence);
    if (required && length < required + options->max_length_extra) length = required + options->max_length_extra;
    if (length < options->min_length) length = options->min_length;
    return length < 1 ? 1 : length;
}

/* Collect the candidates of a sentence, and the rows of the output layer that belong to them. */
static void choose_candidates(Search *search, Slot *slot) {
    const nmt_network *network = search->members[0].network;
    const nmt_architecture *a = &network->architecture;
    slot->listed = search->options->shortlist && network->frequent;
    slot->width = a->target_size;
    if (!slot->listed) return;
    int *status = &search->status, V = a->target_size;
    uint8_t *marks = reserve(&search->marks, round_up(V, 8), 1, status);
    int32_t *candidates = reserve(&slot->candidates, V, sizeof(int32_t), status);
    if (*status) return;
    marks[NMT_EOS] = 1;
    for (int32_t i = 0; i < a->frequent; i++) marks[network->frequent[i]] = 1;
    for (int32_t s = 0; s < slot->sentence->length; s++) {
        const int32_t *best = network->best + (size_t)slot->sentence->ids[s] * a->best;
        for (int32_t i = 0; i < a->best; i++) marks[best[i]] = 1;
    }
    for (int32_t i = 0; i < slot->sentence->prefix_length; i++)
        if (slot->sentence->prefix[i] > NMT_EOS) marks[slot->sentence->prefix[i]] = 1;
    for (int32_t i = 0; i < count_arcs(slot->sentence); i++) marks[slot->sentence->arcs[i].token] = 1;
    for (int32_t t = 0; t < slot->sentence->term_count; t++) {
        const nmt_term *term = &slot->sentence->terms[t];
        for (int32_t i = 0; i < term->forms_end[term->forms - 1]; i++) marks[term->ids[i]] = 1;
    }
    int32_t W = 0;
    for (int32_t block = 0; block < round_up(V, 8); block += 8) {
        uint64_t eight;
        memcpy(&eight, marks + block, sizeof eight);
        if (!eight) continue;
        for (int32_t v = block; v < block + 8; v++)
            if (marks[v]) candidates[W++] = v;
        memset(marks + block, 0, 8);
    }
    slot->width = W;
}

/* Copy the rows of the candidates out of the output layer of a network, in the form that products read. A network
   without a shortlist of its own has these rows only in panels. */
static void select_output(const Slot *slot, const nmt_network *network, Selection *selection, int *status) {
    const Product *output = &network->output;
    int32_t W = slot->width, width = round_up(W, PANEL);
    const int32_t *candidates = slot->candidates.data;
    int int8 = network->architecture.precision == NMT_INT8;
    int32_t items = int8 ? output->depth / 4 : output->depth; /* four levels, or a float */
    int32_t *weights = reserve(&selection->weights, (size_t)width * items, sizeof(int32_t), status);
    float *scales = reserve(&selection->scales, width, sizeof(float), status);
    int32_t *sums = reserve(&selection->sums, width, sizeof(int32_t), status);
    float *bias = reserve(&selection->bias, width, sizeof(float), status);
    if (*status) return;
    for (int32_t i = 0; i < width; i++) {
        int32_t token = candidates[i < W ? i : 0];
        const int32_t *row = (const int32_t *)network->output_rows + (size_t)token * items;
        size_t step = 1;
        if (!network->output_rows) {
            row = (const int32_t *)output->weights + (size_t)(token / PANEL) * PANEL * items + token % PANEL;
            step = PANEL;
        }
        int32_t *out = weights + (size_t)(i / PANEL) * PANEL * items + i % PANEL;
        for (int32_t k = 0; k < items; k++) out[(size_t)k * PANEL] = row[k * step];
        if (int8) {
            scales[i] = output->scales[token];
            sums[i] = output->sums[token];
        }
        bias[i] = output->bias[token];
    }
    selection->output = *output;
    selection->output.outputs = W;
    selection->output.width = width;
    selection->output.weights = weights;
    selection->output.scales = scales;
    selection->output.sums = sums;
    selection->output.bias = bias;
}

/* Return the column of a token in the scores of a sentence, or -1 if the token is no candidate. */
static int32_t find_column(const Slot *slot, int32_t token) {
    if (!slot->listed) return token;
    const int32_t *candidates = slot->candidates.data;
    int32_t low = 0, high = slot->width;
    while (low < high) {
        int32_t middle = (low + high) / 2;
        if (candidates[middle] < token)
            low = middle + 1;
        else
            high = middle;
    }
    return low < slot->width && candidates[low] == token ? low : -1;
}

static void start_slot(Search *search, Slot *slot) {
    const nmt_options *options = search->options;
    slot->limit = max_length(options, slot->sentence);
    slot->step = slot->ended = 0;
    slot->rows = options->beam;
    if (slot->sentence->term_count && slot->rows < count_banks(slot->sentence))
        slot->rows = count_banks(slot->sentence);
    slot->live = 1;
    slot->bar = -INFINITY;
    double *log_probabilities = reserve(&slot->log_probabilities, slot->rows, sizeof(double), &search->status);
    if (search->status) return;
    log_probabilities[0] = 0;
    for (int i = 0; i < 2; i++) {
        int32_t *states = reserve(&slot->states[i], slot->rows, sizeof(int32_t), &search->status);
        if (search->status) return;
        states[0] = 0;
        Progress *progress = reserve(&slot->progress[i], slot->rows, sizeof(Progress), &search->status);
        if (search->status) return;
        progress[0] = (Progress){.term = NO_TERM, .last = NO_TERM, .begun = NO_TERM};
    }
    if (options->sampling)
        derive_key(options->seed, slot->sentence->sample, slot->sentence->ids, slot->sentence->length, slot->key);
    choose_candidates(search, slot);
    for (int32_t m = 0; slot->listed && m < search->count && !search->status; m++)
        select_output(slot, search->members[m].network, &slot->selections[m], &search->status);
}

/* Write the tokens of a hypothesis, `step` of them, which ends in a row of the beam. */
static void read_tokens(const Slot *slot, int32_t step, int32_t row, int32_t *ids) {
    int32_t K = slot->rows;
    const int32_t *tokens = slot->tokens.data, *origins = slot->origins.data;
    while (step--) {
        ids[step] = tokens[(size_t)step * K + row];
        row = origins[(size_t)step * K + row];
    }
}

/* Write log P of each token of a hypothesis and of EOS, (step + 1). */
static void read_log_probabilities(const Slot *slot, const End *end, double *out) {
    int32_t K = slot->rows, row = end->row;
    const int32_t *origins = slot->origins.data;
    const double *log_probabilities = slot->token_log_probabilities.data;
    out[end->step] = end->of_eos;
    for (int32_t step = end->step - 1; step >= 0; step--) {
        out[step] = log_probabilities[(size_t)step * K + row];
        row = origins[(size_t)step * K + row];
    }
}

/* Write the attention weights of a hypothesis, (step + 1, S). */
static void read_weights(const Slot *slot, int32_t step, int32_t row, float *out) {
    int32_t K = slot->rows, S = slot->sentence->length;
    const int32_t *origins = slot->origins.data;
    const float *weights = slot->weights.data;
    for (;; step--) {
        memcpy(out + (size_t)step * S, weights + ((size_t)step * K + row) * S, S * sizeof *out);
        if (!step) return;
        row = origins[(size_t)(step - 1) * K + row];
    }
}

#endif
