/* Extend the hypotheses of a sentence by one token: by the best tokens, or by a random one. */

#ifndef NMT_EXTEND_H
#define NMT_EXTEND_H

#include "terms.h"

/* Select the best extensions of the hypotheses, `values` and `places` (rows), and those by EOS, `ends` (live). */
static void select_best(const Slot *slot, float *scores, const float *norms, const float *blocks, int32_t width,
                        float *values, int32_t *places, float *ends) {
    int32_t K = slot->rows, end_column = find_column(slot, NMT_EOS);
    const double *log_probabilities = slot->log_probabilities.data;
    for (int32_t k = 0; k < slot->live; k++) {
        float *row = scores + (size_t)k * width, more = (float)(log_probabilities[k] - log_probabilities[0]) - norms[k];
        ends[k] = row[end_column] + more;
        row[end_column] = -INFINITY;
        for (int32_t block = 0; block < width / PANEL; block++) {
            if (!(blocks[(size_t)k * (width / PANEL) + block] + more > values[K - 1])) continue;
            for (int32_t c = block * PANEL; c < (block + 1) * PANEL; c++)
                if (row[c] + more > values[K - 1]) insert(values, places, K, row[c] + more, k * width + c);
        }
    }
}

/* Extend the live hypotheses of a sentence by one token. `scores` (live, width) are scores of the candidates, and
   norms (live) are to be subtracted from them. The scores are overwritten. `weights` (live) is the attention. */
static void extend_beam(Search *search, Slot *slot, float *scores, const float *norms, const float *blocks,
                        int32_t width, const float *weights, int32_t stride) {
    int32_t K = slot->rows, beam = search->options->beam, listed = slot->listed;
    const int32_t *candidates = slot->candidates.data;
    double *log_probabilities = slot->log_probabilities.data, best = log_probabilities[0];
    float *values = reserve(&search->best_values, 2 * (size_t)K + 1, sizeof(float), &search->status),
          *ends = values + K;
    int32_t *places = reserve(&search->best_places, K, sizeof(int32_t), &search->status);
    int32_t *tokens = grow(&slot->tokens, slot->step, 1, K * sizeof(int32_t), &search->status);
    int32_t *origins = grow(&slot->origins, slot->step, 1, K * sizeof(int32_t), &search->status);
    if (search->status) return;
    for (int32_t k = 0; k < K; k++) values[k] = -INFINITY, places[k] = 0;
    const float *rivals = values;
    if (slot->sentence->term_count)
        rivals = select_with_terms(search, slot, scores, norms, blocks, width, weights, stride, values, places, ends);
    else
        select_best(slot, scores, norms, blocks, width, values, places, ends);
    if (search->status) return;
    int32_t any = 0;
    for (int32_t k = 0; k < slot->live; k++) any |= ends[k] > rivals[beam - 1];
    if (any) { /* an extension by EOS is among the best extensions, as many as the beam has */
        for (int32_t k = 0; k < slot->live; k++) {
            int32_t better = 0;
            for (int32_t i = 0; i < beam; i++) better += rivals[i] >= ends[k];
            for (int32_t i = 0; i < slot->live; i++) better += i != k && ends[i] >= ends[k];
            if (better < beam && ends[k] > -INFINITY)
                add_end(search, slot, best + ends[k], best + ends[k] - log_probabilities[k], k);
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
    int32_t listed = slot->listed, end_column = find_column(slot, NMT_EOS), best_column = -1;
    const int32_t *candidates = slot->candidates.data;
    double *log_probability = slot->log_probabilities.data, best = -INFINITY;
    int32_t *tokens = grow(&slot->tokens, slot->step, 1, sizeof(int32_t), &search->status);
    int32_t *origins = grow(&slot->origins, slot->step, 1, sizeof(int32_t), &search->status);
    double *of_tokens = grow(&slot->token_log_probabilities, slot->step, 1, sizeof(double), &search->status);
    float *sorted = reserve(&search->best_values, width, sizeof(float), &search->status), lowest = -INFINITY;
    if (search->status) return;
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

#endif
