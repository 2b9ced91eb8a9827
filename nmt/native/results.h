/* Finished hypotheses: their scores, their ranks, and the results of a call. nmt/search/finished.py does the same. */

#ifndef NMT_RESULTS_H
#define NMT_RESULTS_H

#include "slot.h"

static double compute_score(Search *search, Slot *slot, double log_probability, int32_t step, int32_t row) {
    const nmt_options *options = search->options;
    double score = log_probability / pow(step + 1, options->length_penalty);
    if (options->coverage_penalty == 0) return score;
    int32_t S = slot->sentence->length;
    float *weights = reserve(&search->other_scores, (size_t)(step + 1) * S, sizeof(float), &search->status);
    if (search->status) return score;
    read_weights(slot, step, row, weights);
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
        read_tokens(slot, slot->step, row, ids);
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
static int is_better(const Slot *slot, const End *one, const End *other) {
    if (one->score != other->score) return one->score > other->score;
    int32_t K = slot->rows, difference = 0;
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
        for (; place && is_better(slot, &ends[e], &ends[ranked[place - 1]]); place--) ranked[place] = ranked[place - 1];
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
        read_tokens(slot, end->step, end->row, out->ids + ids);
        read_log_probabilities(slot, end, out->token_log_probabilities + ids + h);
        if (more) read_weights(slot, end->step, end->row, out->attention + weights);
        out->ids_end[h] = ids + end->step;
        out->attention_end[h] = weights + more;
        out->count++;
    }
}

#endif
