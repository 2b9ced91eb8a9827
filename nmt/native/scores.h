/* The scores of the next tokens of a sentence, and the tokens that are forbidden. */

#ifndef NMT_SCORES_H
#define NMT_SCORES_H

#include "slot.h"

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

/* Give columns that are no candidates no probability. */
static void mask_row(const Slot *slot, float *row, int32_t width) {
    for (int32_t c = slot->width; c < width; c++) row[c] = -INFINITY;
    for (int32_t c = 0; !slot->listed && c < NMT_EOS; c++) row[c] = -INFINITY;
}

static int is_of_term(const nmt_sentence *sentence, int32_t token) {
    for (int32_t t = 0; t < sentence->term_count; t++)
        for (int32_t i = 0; i < sentence->terms[t].forms_end[sentence->terms[t].forms - 1]; i++)
            if (sentence->terms[t].ids[i] == token) return 1;
    return 0;
}

/* Forbid the tokens that would repeat an n-gram of the hypothesis in row `k`, unless nothing else is possible. Terms may
   occur twice. */
static void block_repetitions(Search *search, const Slot *slot, int32_t k, float *row, int32_t width) {
    int32_t n = search->options->no_repeat_ngram_size, T = slot->step, blocked = 0;
    if (!n || T < n) return;
    int32_t *history = reserve(&search->history, 2 * (size_t)T, sizeof(int32_t), &search->status),
            *columns = history + T;
    float *values = reserve(&search->best_values, T, sizeof(float), &search->status);
    if (search->status) return;
    read_tokens(slot, T, k, history);
    for (int32_t i = 0; i <= T - n; i++) {
        if (memcmp(history + i, history + T - n + 1, (n - 1) * sizeof *history)) continue;
        int32_t column = find_column(slot, history[i + n - 1]);
        if (column < 0 || is_of_term(slot->sentence, history[i + n - 1]) || !(row[column] > -INFINITY)) continue;
        values[blocked] = row[column];
        columns[blocked++] = column;
        row[column] = -INFINITY;
    }
    for (int32_t c = 0; c < width; c++)
        if (row[c] > -INFINITY) return;
    while (blocked--) row[columns[blocked]] = values[blocked];
}

/* Forbid all tokens but some, which are `stride` numbers apart and in ascending order. */
static void keep_tokens(Search *search, const Slot *slot, const int32_t *tokens, int32_t count, int32_t stride,
                        float *row, int32_t width) {
    float *values = reserve(&search->best_values, count, sizeof(float), &search->status);
    if (search->status) return;
    for (int32_t i = 0; i < count; i++) values[i] = row[find_column(slot, tokens[(size_t)i * stride])];
    for (int32_t c = 0; c < width; c++) row[c] = -INFINITY;
    for (int32_t i = 0; i < count; i++) row[find_column(slot, tokens[(size_t)i * stride])] = values[i];
}

/* Find the state that follows after a token. */
static int32_t follow_arc(const nmt_sentence *sentence, int32_t state, int32_t token) {
    int32_t low = state ? sentence->arcs_end[state - 1] : 0, high = sentence->arcs_end[state] - 1;
    while (low < high) {
        int32_t middle = (low + high) / 2;
        if (sentence->arcs[middle].token < token)
            low = middle + 1;
        else
            high = middle;
    }
    return sentence->arcs[low].next;
}

/* Compute the states of the hypotheses after a step. */
static void follow_states(Slot *slot) {
    const nmt_sentence *sentence = slot->sentence;
    if (!sentence->states || slot->step <= sentence->prefix_length) return;
    const int32_t *tokens = (int32_t *)slot->tokens.data + (size_t)(slot->step - 1) * slot->rows;
    const int32_t *origins = (int32_t *)slot->origins.data + (size_t)(slot->step - 1) * slot->rows;
    const int32_t *before = slot->states[0].data;
    int32_t *after = slot->states[1].data;
    for (int32_t k = 0; k < slot->live; k++) {
        int32_t state = before[origins[k]];
        after[k] = state < sentence->states ? follow_arc(sentence, state, tokens[k]) : state;
    }
    swap(&slot->states[0], &slot->states[1]);
}

/* Lower the scores of a row to −∞ for the tokens that must not follow the hypothesis in row `k`. The order of the rules
   is that of nmt/search/loop.py. */
static void apply_rules(Search *search, const Slot *slot, int32_t k, float *row, int32_t width) {
    const nmt_options *options = search->options;
    const nmt_sentence *sentence = slot->sentence;
    int32_t end = find_column(slot, NMT_EOS), column;
    float kept = row[end];
    if (slot->step >= slot->limit) {
        for (int32_t c = 0; c < width; c++) row[c] = -INFINITY;
        row[end] = kept;
        return;
    }
    if (slot->step < options->min_length && slot->width > 1) row[end] = -INFINITY;
    for (int32_t i = 0; i < options->banned_count; i++)
        if ((column = find_column(slot, options->banned[i])) >= 0) row[column] = -INFINITY;
    int32_t state = ((int32_t *)slot->states[0].data)[k];
    if (slot->step < sentence->prefix_length) {
        keep_tokens(search, slot, &sentence->prefix[slot->step], 1, 1, row, width);
    } else if (state < sentence->states) {
        int32_t first = state ? sentence->arcs_end[state - 1] : 0;
        keep_tokens(search, slot, &sentence->arcs[first].token, sentence->arcs_end[state] - first, 2, row, width);
    }
    block_repetitions(search, slot, k, row, width);
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
        float *result =
            reserve(m ? &search->other_scores : &search->scores, (size_t)live * *width, sizeof(float), status);
        *norms = reserve(&search->norms, live, sizeof(float), status);
        *blocks = reserve(&search->blocks, (size_t)live * (*width / PANEL), sizeof(float), status);
        if (*status) return NULL;
        multiply(network, output, &own, live, result, *width);
        for (int32_t k = 0; k < live; k++) {
            float *row = result + (size_t)k * *width;
            mask_row(slot, row, *width);
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
        if (!search->options->forced) apply_rules(search, slot, k, row, *width);
    }
    return scores;
}

#endif
