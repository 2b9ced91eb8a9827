/* Beam search of several sentences at once, from the first to the last token. The Python search in nmt/search/ is the
   reference: tests compare the two.

   The sentences share only the products of a step. Each row of a product is computed in the same way however many rows
   there are, so the result for a sentence does not depend on the others. */

#ifndef NMT_SEARCH_H
#define NMT_SEARCH_H

#include "decoder.h"
#include "sampling.h"

/* A finished hypothesis: row `row` of the beam after `step` tokens. */
typedef struct {
    double score, log_probability, of_eos; /* log P of the hypothesis, and of EOS alone */
    int64_t key; /* equal for hypotheses that the caller does not distinguish */
    int32_t step, row;
} End;

/* The output layer of a network for the candidates of a sentence. */
typedef struct {
    Buffer weights, scales, sums, bias;
    Product output;
} Selection;

/* A sentence that is searched. Its live hypotheses have `step` tokens. */
typedef struct {
    int32_t index; /* in the call */
    const nmt_sentence *sentence;
    int32_t limit, step, live, place; /* the largest length; its place among the memories */
    double bar; /* log P that a live hypothesis must exceed; infinite: the sentence is done */
    Buffer log_probabilities, tokens, origins, weights; /* (beam), (steps, beam), (steps, beam), (steps, beam, S) */
    Buffer token_log_probabilities; /* log P of each token, (steps, beam) */
    Buffer ends;
    int32_t ended;
    /* The candidates: tokens in ascending order, beginning with EOS. Without a shortlist, all tokens. */
    Buffer candidates;
    int32_t listed, width;  /* whether there is a shortlist; W */
    Selection *selections; /* of each network, with a shortlist */
    uint32_t key[2]; /* of the random numbers of a sample */
} Slot;

typedef struct {
    const nmt_options *options;
    Member *members;
    int32_t count;      /* of members */
    int32_t group;      /* of sentences that are searched at once */
    Slot *slots;        /* (group) */
    Buffer tokens, places, origins, weights, mean_weights, scores, other_scores, norms, blocks, marks, order, best_values, best_places;
    int status;
} Search;

static int32_t max_length(const nmt_options *options, int32_t source_length) {
    double limit = options->max_length_factor * source_length + options->max_length_extra;
    int32_t length = limit < 1e9 ? (int32_t)(options->max_length_factor * source_length) + options->max_length_extra : 1000000000;
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

static void start_slot(Search *search, Slot *slot) {
    const nmt_options *options = search->options;
    slot->limit = max_length(options, slot->sentence->length);
    slot->step = slot->ended = 0;
    slot->live = 1;
    slot->bar = -INFINITY;
    double *log_probabilities = reserve(&slot->log_probabilities, options->beam, sizeof(double), &search->status);
    if (search->status) return;
    log_probabilities[0] = 0;
    if (options->sampling)
        derive_key(options->seed, slot->sentence->sample, slot->sentence->ids, slot->sentence->length, slot->key);
    choose_candidates(search, slot);
    for (int32_t m = 0; slot->listed && m < search->count && !search->status; m++)
        select_output(slot, search->members[m].network, &slot->selections[m], &search->status);
}

/* Write the tokens of a hypothesis, `step` of them, which ends in a row of the beam. */
static void read_tokens(const Search *search, const Slot *slot, int32_t step, int32_t row, int32_t *ids) {
    int32_t K = search->options->beam;
    const int32_t *tokens = slot->tokens.data, *origins = slot->origins.data;
    while (step--) {
        ids[step] = tokens[(size_t)step * K + row];
        row = origins[(size_t)step * K + row];
    }
}

/* Write log P of each token of a hypothesis and of EOS, (step + 1). */
static void read_log_probabilities(const Search *search, const Slot *slot, const End *end, double *out) {
    int32_t K = search->options->beam, row = end->row;
    const int32_t *origins = slot->origins.data;
    const double *log_probabilities = slot->token_log_probabilities.data;
    out[end->step] = end->of_eos;
    for (int32_t step = end->step - 1; step >= 0; step--) {
        out[step] = log_probabilities[(size_t)step * K + row];
        row = origins[(size_t)step * K + row];
    }
}

/* Write the attention weights of a hypothesis, (step + 1, S). */
static void read_weights(const Search *search, const Slot *slot, int32_t step, int32_t row, float *out) {
    int32_t K = search->options->beam, S = slot->sentence->length;
    const int32_t *origins = slot->origins.data;
    const float *weights = slot->weights.data;
    for (;; step--) {
        memcpy(out + (size_t)step * S, weights + ((size_t)step * K + row) * S, S * sizeof *out);
        if (!step) return;
        row = origins[(size_t)(step - 1) * K + row];
    }
}

static double compute_score(Search *search, Slot *slot, double log_probability, int32_t step, int32_t row) {
    const nmt_options *options = search->options;
    double score = log_probability / pow(step + 1, options->length_penalty);
    if (options->coverage_penalty == 0) return score;
    int32_t S = slot->sentence->length;
    float *weights = reserve(&search->other_scores, (size_t)(step + 1) * S, sizeof(float), &search->status);
    if (search->status) return score;
    read_weights(search, slot, step, row, weights);
    double penalty = 0;
    for (int32_t s = 0; s < S; s++) {
        float sum = 0;
        for (int32_t t = 0; t <= step; t++) sum += weights[(size_t)t * S + s];
        penalty += log(fmax(fmin(sum, 1.0), 1.1754943508222875e-38));
    }
    return score + options->coverage_penalty * penalty;
}

/* Add row `row` of the beam to the finished hypotheses. */
static void add_end(Search *search, Slot *slot, double log_probability, double of_eos, int32_t row) {
    End *ends = grow(&slot->ends, slot->ended, 1, sizeof(End), &search->status);
    if (search->status) return;
    double score = compute_score(search, slot, log_probability, slot->step, row);
    int64_t key = slot->ended;
    if (search->options->identify && search->options->nbest > 1) {
        int32_t *ids = reserve(&search->order, slot->step + 1, sizeof(int32_t), &search->status);
        if (search->status) return;
        read_tokens(search, slot, slot->step, row, ids);
        key = search->options->identify(slot->index, ids, slot->step);
        if (key < 0) search->status = NMT_STOPPED;
    }
    ends[slot->ended++] = (End){.score = score,
                                .log_probability = log_probability,
                                .of_eos = of_eos,
                                .key = key,
                                .step = slot->step,
                                .row = row};
}

/* Whether one finished hypothesis is better than another. Equal scores are ordered by the tokens. */
static int is_better(const Search *search, const Slot *slot, const End *one, const End *other) {
    if (one->score != other->score) return one->score > other->score;
    int32_t K = search->options->beam, difference = 0;
    const int32_t *tokens = slot->tokens.data, *origins = slot->origins.data;
    int32_t step = one->step, row = one->row, other_step = other->step, other_row = other->row;
    for (; step > other_step; step--) row = origins[(size_t)(step - 1) * K + row];
    for (int32_t t = other_step; t > step; t--) other_row = origins[(size_t)(t - 1) * K + other_row];
    while (step--) {
        int32_t token = tokens[(size_t)step * K + row], other_token = tokens[(size_t)step * K + other_row];
        if (token != other_token) difference = token - other_token;
        row = origins[(size_t)step * K + row];
        other_row = origins[(size_t)step * K + other_row];
    }
    return difference ? difference < 0 : one->step < other->step;
}

/* Rank the finished hypotheses of a sentence, without those that equal a better one, up to the n best. Return their
   number, and their places in `order`. */
static int32_t rank_ends(Search *search, Slot *slot, int32_t **order) {
    const End *ends = slot->ends.data;
    int32_t *ranked = *order = reserve(&search->order, slot->ended + 1, sizeof(int32_t), &search->status), count = 0;
    for (int32_t e = 0; !search->status && e < slot->ended; e++) {
        int32_t place = e;
        for (; place && is_better(search, slot, &ends[e], &ends[ranked[place - 1]]); place--) ranked[place] = ranked[place - 1];
        ranked[place] = e;
    }
    for (int32_t e = 0; !search->status && e < slot->ended && count < search->options->nbest; e++) {
        int32_t other = 0;
        while (other < count && ends[ranked[other]].key != ends[ranked[e]].key) other++;
        if (other == count) ranked[count++] = ranked[e];
    }
    return count;
}

/* Compute log P that a live hypothesis must exceed to enter the n-best list (see nmt/search/finished.py). */
static double compute_bar(Search *search, Slot *slot) {
    const nmt_options *options = search->options;
    if (slot->ended < options->nbest) return -INFINITY;
    int32_t *order, count = rank_ends(search, slot, &order);
    if (search->status || count < options->nbest) return -INFINITY;
    if (slot->ended >= options->beam && !options->exact) return INFINITY;
    return ((End *)slot->ends.data)[order[count - 1]].score * pow(slot->limit + 1, options->length_penalty);
}

/* Insert a value into a list in descending order, and drop the last value. */
INLINE void insert(float *values, int32_t *places, int32_t count, float value, int32_t place) {
    int32_t rank = count - 1;
    for (; rank && value > values[rank - 1]; rank--) {
        values[rank] = values[rank - 1];
        places[rank] = places[rank - 1];
    }
    values[rank] = value;
    places[rank] = place;
}

/* Compute log Σ e^x over a row of scores (W), and the largest score of each block of PANEL. The row is padded with
   -∞. */
static float sum_row(const float *scores, int32_t width, float *blocks) {
    float highest = -INFINITY;
    for (int32_t block = 0; block < width / PANEL; block++) {
        Lanes largest = load(scores + block * PANEL);
        for (int32_t i = LANES; i < PANEL; i += LANES) largest = maximum(load(scores + block * PANEL + i), largest);
        blocks[block] = largest_lane(largest);
        if (blocks[block] > highest) highest = blocks[block];
    }
    Lanes sums[VECTORS] = {{0}};
    for (int32_t i = 0; i < width; i += PARTS)
        UNROLL for (int v = 0; v < VECTORS; v++) sums[v] += exp_lanes(load(scores + i + v * LANES) - highest);
    return highest + logf(add_parts(sums));
}

/* Extend the live hypotheses of a sentence by one token. `scores` (live, width) are scores of the candidates, and
   norms (live) are to be subtracted from them. The scores are overwritten. */
static void extend_beam(Search *search, Slot *slot, float *scores, const float *norms, const float *blocks,
                        int32_t width) {
    const nmt_options *options = search->options;
    int32_t K = options->beam, listed = slot->listed;
    int32_t end_column = listed ? 0 : NMT_EOS;
    const int32_t *candidates = slot->candidates.data;
    double *log_probabilities = slot->log_probabilities.data, best = log_probabilities[0];
    float *values = reserve(&search->best_values, 2 * (size_t)K + 1, sizeof(float), &search->status), *ends = values + K;
    int32_t *places = reserve(&search->best_places, K, sizeof(int32_t), &search->status);
    int32_t *tokens = grow(&slot->tokens, slot->step, 1, K * sizeof(int32_t), &search->status);
    int32_t *origins = grow(&slot->origins, slot->step, 1, K * sizeof(int32_t), &search->status);
    if (search->status) return;
    for (int32_t k = 0; k < K; k++) values[k] = -INFINITY, places[k] = 0;
    int32_t forced = slot->step < slot->sentence->prefix_length ? slot->sentence->prefix[slot->step] : -1;
    for (int32_t k = 0; k < slot->live; k++) {
        float *row = scores + (size_t)k * width, more = (float)(log_probabilities[k] - best) - norms[k];
        ends[k] = slot->step < options->min_length || forced >= 0 ? -INFINITY : row[end_column] + more;
        row[end_column] = -INFINITY;
        if (slot->step >= slot->limit) continue;
        for (int32_t block = 0; block < width / PANEL; block++) {
            if (!(blocks[(size_t)k * (width / PANEL) + block] + more > values[K - 1])) continue;
            for (int32_t c = block * PANEL; c < (block + 1) * PANEL; c++)
                if (row[c] + more > values[K - 1] && (forced < 0 || forced == (listed ? candidates[c] : c)))
                    insert(values, places, K, row[c] + more, k * width + c);
        }
    }
    int32_t any = 0;
    for (int32_t k = 0; k < slot->live; k++) any |= ends[k] > values[K - 1];
    if (any) { /* an extension by EOS is among the K best extensions */
        for (int32_t k = 0; k < slot->live; k++) {
            int32_t better = 0; /* a hypothesis ends if fewer than K extensions are at least as good */
            for (int32_t i = 0; i < K; i++) better += values[i] >= ends[k];
            for (int32_t i = 0; i < slot->live; i++) better += i != k && ends[i] >= ends[k];
            if (better < K && ends[k] > -INFINITY) add_end(search, slot, best + ends[k], best + ends[k] - log_probabilities[k], k);
        }
        if (search->status) return;
        slot->bar = compute_bar(search, slot);
    }
    double *of_tokens = grow(&slot->token_log_probabilities, slot->step, 1, K * sizeof(double), &search->status);
    if (search->status) return;
    of_tokens += (size_t)slot->step * K;
    int32_t live = 0;
    for (; live < K && values[live] > -INFINITY; live++) {
        int32_t column = places[live] % width;
        tokens[(size_t)slot->step * K + live] = listed ? candidates[column] : column;
        origins[(size_t)slot->step * K + live] = places[live] / width;
        of_tokens[live] = best + values[live] - log_probabilities[places[live] / width];
    }
    for (int32_t k = 0; k < live; k++) log_probabilities[k] = best + values[k];
    slot->live = live;
    slot->step++;
    if (!live || !(log_probabilities[0] > slot->bar)) slot->live = 0;
}

/* Extend the only hypothesis of a sentence by a random token. See nmt/search/sampling.py for the method.

   The arguments are those of `extend_beam`. */
static void extend_sample(Search *search, Slot *slot, float *scores, float norm, int32_t width) {
    const nmt_options *options = search->options;
    int32_t listed = slot->listed, end_column = listed ? 0 : NMT_EOS, best_column = -1;
    const int32_t *candidates = slot->candidates.data;
    double *log_probability = slot->log_probabilities.data, best = -INFINITY;
    int32_t *tokens = grow(&slot->tokens, slot->step, 1, sizeof(int32_t), &search->status);
    int32_t *origins = grow(&slot->origins, slot->step, 1, sizeof(int32_t), &search->status);
    double *of_tokens = grow(&slot->token_log_probabilities, slot->step, 1, sizeof(double), &search->status);
    float *sorted = reserve(&search->best_values, width, sizeof(float), &search->status), lowest = -INFINITY;
    if (search->status) return;
    int32_t forced = slot->step < slot->sentence->prefix_length ? slot->sentence->prefix[slot->step] : -1;
    for (int32_t c = 0; c < width; c++) {
        int32_t token = listed && c < slot->width ? candidates[c] : c;
        if ((c == end_column && slot->step < options->min_length) || (c != end_column && slot->step >= slot->limit) ||
            (forced >= 0 && token != forced))
            scores[c] = -INFINITY;
    }
    if (options->top_k && options->top_k < width) {
        memcpy(sorted, scores, width * sizeof *sorted);
        lowest = select_rank(sorted, width, options->top_k - 1);
    }
    Gumbel gumbel = {.key = slot->key, .step = slot->step, .block = -1};
    for (int32_t c = 0; c < width; c++) {
        if (!(scores[c] > -INFINITY) || scores[c] < lowest) continue;
        double value = scores[c] - norm;
        if (options->temperature > 0) value += options->temperature * draw_gumbel(&gumbel, listed ? candidates[c] : c);
        if (value > best) best = value, best_column = c;
    }
    slot->live = best_column >= 0 && best_column != end_column;
    double of_best = best_column >= 0 ? scores[best_column] - norm : 0;
    *log_probability += of_best;
    if (best_column == end_column) add_end(search, slot, *log_probability, of_best, 0);
    if (search->status || !slot->live) {
        slot->step++;
        return;
    }
    tokens[slot->step] = listed ? candidates[best_column] : best_column;
    of_tokens[slot->step] = of_best;
    origins[slot->step++] = 0;
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

/* Extend the only hypothesis of a sentence by the next token of its prefix, and at the end by EOS. */
static void extend_forced(Search *search, Slot *slot, const float *scores, float norm) {
    int32_t *tokens = grow(&slot->tokens, slot->step, 1, sizeof(int32_t), &search->status);
    int32_t *origins = grow(&slot->origins, slot->step, 1, sizeof(int32_t), &search->status);
    double *of_tokens = grow(&slot->token_log_probabilities, slot->step, 1, sizeof(double), &search->status);
    if (search->status) return;
    int32_t ends = slot->step == slot->sentence->prefix_length;
    int32_t token = ends ? NMT_EOS : slot->sentence->prefix[slot->step];
    int32_t column = find_column(slot, token); /* only tokens before EOS are no candidates */
    double *log_probability = slot->log_probabilities.data, of_token = column < 0 ? -INFINITY : scores[column] - norm;
    *log_probability += of_token;
    if (isnan(of_token)) search->status = NMT_NOT_A_NUMBER;
    if (ends) add_end(search, slot, *log_probability, of_token, 0);
    tokens[slot->step] = token;
    of_tokens[slot->step] = of_token;
    origins[slot->step++] = 0;
    slot->live = !ends;
}

/* Forbid columns that are no candidates, and tokens that the caller forbids. */
static void forbid(Search *search, const Slot *slot, float *row, int32_t width, int32_t before_softmax) {
    int32_t listed = slot->listed;
    if (before_softmax) {
        for (int32_t c = slot->width; c < width; c++) row[c] = -INFINITY;
        for (int32_t c = 0; !listed && c < NMT_EOS; c++) row[c] = -INFINITY;
        return;
    }
    for (int32_t i = 0; i < search->options->banned_count; i++) {
        int32_t column = find_column(slot, search->options->banned[i]);
        if (column >= 0) row[column] = -INFINITY;
    }
}

/* log((e^x + e^y)) for each number of two rows */
static void add_log(float *x, const float *y, int32_t n) {
    for (int32_t i = 0; i < n; i++) {
        float high = x[i] > y[i] ? x[i] : y[i], low = x[i] > y[i] ? y[i] : x[i];
        x[i] = high == -INFINITY ? high : high + log1pf(expf(low - high));
    }
}

/* Compute the scores of the candidates for the live hypotheses of a slot, and what to subtract for log P. */
static float *score_slot(Search *search, Slot *slot, const Rows *rows, int32_t first, int32_t *width, float **norms,
                         float **blocks) {
    int *status = &search->status;
    int32_t live = slot->live;
    float *scores = NULL;
    for (int32_t m = 0; m < search->count; m++) {
        const nmt_network *network = search->members[m].network;
        const Product *output = slot->listed ? &slot->selections[m].output : &network->output;
        Rows own = rows[m];
        own.values = row_at(network, &rows[m], first, 0);
        own.scales = rows[m].scales + first;
        *width = output->width;
        float *result = reserve(m ? &search->other_scores : &search->scores, (size_t)live * *width, sizeof(float), status);
        *norms = reserve(&search->norms, live, sizeof(float), status);
        *blocks = reserve(&search->blocks, (size_t)live * (*width / PANEL), sizeof(float), status);
        if (*status) return NULL;
        multiply(network, output, &own, live, result, *width);
        for (int32_t k = 0; k < live; k++) {
            float *row = result + (size_t)k * *width;
            forbid(search, slot, row, *width, 1);
            (*norms)[k] = sum_row(row, *width, *blocks + (size_t)k * (*width / PANEL));
            if (search->count == 1) continue;
            for (int32_t c = 0; c < *width; c++) row[c] -= (*norms)[k];
        }
        if (m)
            add_log(scores, result, live * *width);
        else
            scores = result;
    }
    for (int32_t k = 0; k < live; k++) {
        float *row = scores + (size_t)k * *width;
        if (search->count > 1) {
            sum_row(row, *width, *blocks + (size_t)k * (*width / PANEL));
            (*norms)[k] = logf((float)search->count);
        }
        forbid(search, slot, row, *width, 0);
    }
    return scores;
}

/* Keep the attention weights of a step. */
static void keep_weights(Search *search, Slot *slot, const float *weights, int32_t stride) {
    int32_t K = search->options->beam, S = slot->sentence->length;
    float *kept = grow(&slot->weights, slot->step, 1, (size_t)K * S * sizeof(float), &search->status);
    for (int32_t k = 0; !search->status && k < slot->live; k++)
        memcpy(kept + ((size_t)slot->step * K + k) * S, weights + (size_t)k * stride, S * sizeof(float));
}

/* Search the sentences in the first `count` slots, the longest first. */
static void search_group(Search *search, int32_t count) {
    const nmt_options *options = search->options;
    int *status = &search->status;
    const nmt_sentence *sentences[count];
    Slot *active[count];
    int32_t stride = round_up(search->slots[0].sentence->length, PARTS), N = count;
    for (int32_t b = 0; b < count && !*status; b++) {
        active[b] = &search->slots[b];
        sentences[b] = active[b]->sentence;
        active[b]->place = b;
        start_slot(search, active[b]);
    }
    for (int32_t m = 0; m < search->count && !*status; m++) encode(&search->members[m], sentences, count, status);

    int32_t kept = options->attention || options->coverage_penalty != 0, most = count * options->beam;
    int32_t *tokens = reserve(&search->tokens, most, sizeof(int32_t), status);
    int32_t *places = reserve(&search->places, most, sizeof(int32_t), status);
    int32_t *origins = reserve(&search->origins, most, sizeof(int32_t), status);
    Rows rows[search->count];
    if (*status) return;
    for (int32_t n = 0; n < N; n++) tokens[n] = NMT_BOS, places[n] = n;
    while (N) {
        float *weights = reserve(&search->weights, (size_t)N * stride, sizeof(float), status);
        float *mean = reserve(&search->mean_weights, (size_t)N * stride, sizeof(float), status);
        if (*status) return;
        for (int32_t m = 0; m < search->count && !*status; m++) {
            float *own = m ? weights : mean;
            rows[m] = step_decoder(&search->members[m], tokens, places, N, own, stride, status);
            for (size_t i = 0; m && i < (size_t)N * stride; i++) mean[i] += weights[i];
        }
        for (size_t i = 0; search->count > 1 && i < (size_t)N * stride; i++) mean[i] /= (float)search->count;
        int32_t row = 0, next = 0, left = 0;
        for (int32_t b = 0; b < count && !*status; b++) {
            Slot *slot = active[b];
            int32_t live = slot->live, width = 0;
            float *norms = NULL, *blocks = NULL;
            float *scores = score_slot(search, slot, rows, row, &width, &norms, &blocks);
            if (!*status && kept) keep_weights(search, slot, mean + (size_t)row * stride, stride);
            if (!*status && options->sampling)
                extend_sample(search, slot, scores, norms[0], width);
            else if (!*status && options->forced)
                extend_forced(search, slot, scores, norms[0]);
            else if (!*status)
                extend_beam(search, slot, scores, norms, blocks, width);
            if (*status) return;
            const int32_t *new_tokens = (int32_t *)slot->tokens.data + (size_t)(slot->step - 1) * options->beam;
            const int32_t *new_origins = (int32_t *)slot->origins.data + (size_t)(slot->step - 1) * options->beam;
            for (int32_t k = 0; k < slot->live; k++, next++) {
                tokens[next] = new_tokens[k];
                origins[next] = row + new_origins[k];
                places[next] = slot->place;
            }
            row += live;
            if (slot->live) active[left++] = slot;
        }
        if (*status) return;
        count = left;
        N = next;
        for (int32_t m = 0; m < search->count && !*status; m++) select_states(&search->members[m], origins, N, status);
    }
}

/* Add the n best hypotheses of a sentence to the results. */
static void add_results(Search *search, Slot *slot, nmt_hypotheses *out, Buffer buffers[8]) {
    int *status = &search->status;
    int32_t *order, count = rank_ends(search, slot, &order), S = slot->sentence->length;
    if (!*status && !count) *status = NMT_NOT_A_NUMBER;
    for (int32_t i = 0; i < count && !*status; i++) {
        const End *end = (End *)slot->ends.data + order[i];
        size_t h = out->count, ids = h ? out->ids_end[h - 1] : 0, weights = h ? out->attention_end[h - 1] : 0;
        size_t more = search->options->attention ? (size_t)(end->step + 1) * S : 0;
        out->sentences = grow(&buffers[0], h, 1, sizeof(int32_t), status);
        out->log_probabilities = grow(&buffers[1], h, 1, sizeof(double), status);
        out->scores = grow(&buffers[2], h, 1, sizeof(double), status);
        out->ids_end = grow(&buffers[3], h, 1, sizeof(int64_t), status);
        out->attention_end = grow(&buffers[4], h, 1, sizeof(int64_t), status);
        if (*status) return;
        out->ids = grow(&buffers[5], ids, end->step, sizeof(int32_t), status);
        out->token_log_probabilities = grow(&buffers[7], ids + h, end->step + 1, sizeof(double), status);
        if (more) out->attention = grow(&buffers[6], weights, more, sizeof(float), status);
        if (*status) return;
        out->sentences[h] = slot->index;
        out->log_probabilities[h] = end->log_probability;
        out->scores[h] = end->score;
        read_tokens(search, slot, end->step, end->row, out->ids + ids);
        read_log_probabilities(search, slot, end, out->token_log_probabilities + ids + h);
        if (more) read_weights(search, slot, end->step, end->row, out->attention + weights);
        out->ids_end[h] = ids + end->step;
        out->attention_end[h] = weights + more;
        out->count++;
    }
}

static int search_all(const nmt_network *const *networks, int32_t count, const nmt_sentence *sentences,
                      int32_t sentence_count, const nmt_options *options, nmt_hypotheses *out) {
    int32_t group = options->group ? options->group : options->beam < 24 ? 24 / options->beam : 1;
    if (group > 16) group = 16;
    if (group > sentence_count) group = sentence_count;
    Search search = {.options = options, .count = count, .group = group};
    search.slots = calloc(group, sizeof *search.slots);
    search.members = calloc(count, sizeof *search.members);
    Buffer results[8] = {{0}};
    if (!search.slots || !search.members) search.status = NMT_NO_MEMORY;
    for (int32_t b = 0; b < group && !search.status; b++) {
        search.slots[b].selections = calloc(count, sizeof(Selection));
        if (!search.slots[b].selections) search.status = NMT_NO_MEMORY;
    }
    for (int32_t m = 0; m < count && !search.status; m++) {
        Member *member = &search.members[m];
        member->network = networks[m];
        lay_out_state(member);
        member->memories = calloc(group, sizeof *member->memories);
        if (!member->memories) search.status = NMT_NO_MEMORY;
    }
    for (int32_t first = 0; first < sentence_count && !search.status; first += group) {
        int32_t size = sentence_count - first < group ? sentence_count - first : group;
        for (int32_t b = 0; b < size; b++) {
            search.slots[b].index = first + b;
            search.slots[b].sentence = &sentences[first + b];
        }
        search_group(&search, size);
        for (int32_t b = 0; b < size && !search.status; b++) add_results(&search, &search.slots[b], out, results);
    }
    for (int32_t m = 0; search.members && m < count; m++) release_member(&search.members[m], group);
    for (int32_t b = 0; search.slots && b < group; b++) {
        Slot *slot = &search.slots[b];
        Buffer *buffers[] = {&slot->log_probabilities, &slot->tokens, &slot->origins, &slot->weights, &slot->ends,
                             &slot->candidates, &slot->token_log_probabilities};
        for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) release(buffers[i]);
        for (int32_t m = 0; slot->selections && m < count; m++) {
            Selection *selection = &slot->selections[m];
            release(&selection->weights);
            release(&selection->scales);
            release(&selection->sums);
            release(&selection->bias);
        }
        free(slot->selections);
    }
    Buffer *buffers[] = {&search.tokens, &search.places, &search.origins, &search.weights, &search.mean_weights,
                         &search.scores, &search.other_scores, &search.norms, &search.blocks, &search.marks,
                         &search.order, &search.best_values, &search.best_places};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) release(buffers[i]);
    free(search.slots);
    free(search.members);
    return search.status;
}

#endif
