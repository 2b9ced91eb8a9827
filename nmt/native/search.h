/* Beam search of several sentences at once, from the first to the last token. The Python search in nmt/search/ is the
   reference: tests compare the two.

   The sentences share only the products of a step. Each row of a product is computed in the same way however many rows
   there are, so the result for a sentence does not depend on the others. */

#ifndef NMT_SEARCH_H
#define NMT_SEARCH_H

#include "extend.h"
#include "scores.h"

/* Keep the attention weights of a step. */
static void keep_weights(Search *search, Slot *slot, const float *weights, int32_t stride) {
    int32_t K = slot->rows, S = slot->sentence->length;
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
    int32_t stride = round_up(search->slots[0].sentence->length, PARTS), N = count, most = 0;
    for (int32_t b = 0; b < count && !*status; b++) {
        active[b] = &search->slots[b];
        sentences[b] = active[b]->sentence;
        active[b]->place = b;
        start_slot(search, active[b]);
        most += active[b]->rows;
    }
    for (int32_t m = 0; m < search->count && !*status; m++) encode(&search->members[m], sentences, count, status);

    int32_t kept = options->attention || options->coverage_penalty != 0;
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
                extend_beam(search, slot, scores, norms, blocks, width, mean + (size_t)row * stride, stride);
            if (*status) return;
            follow_states(slot);
            follow_terms(search, slot, mean + (size_t)row * stride, stride);
            const int32_t *new_tokens = (int32_t *)slot->tokens.data + (size_t)(slot->step - 1) * slot->rows;
            const int32_t *new_origins = (int32_t *)slot->origins.data + (size_t)(slot->step - 1) * slot->rows;
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
        Buffer *buffers[] = {&slot->log_probabilities,
                             &slot->tokens,
                             &slot->origins,
                             &slot->weights,
                             &slot->ends,
                             &slot->candidates,
                             &slot->token_log_probabilities,
                             &slot->states[0],
                             &slot->states[1],
                             &slot->progress[0],
                             &slot->progress[1]};
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
    Buffer *buffers[] = {&search.tokens,       &search.places,  &search.origins,      &search.weights,
                         &search.mean_weights, &search.scores,  &search.other_scores, &search.norms,
                         &search.blocks,       &search.marks,   &search.order,        &search.best_values,
                         &search.best_places,  &search.history, &search.bank_values,  &search.bank_places};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) release(buffers[i]);
    free(search.slots);
    free(search.members);
    return search.status;
}

#endif
