/* Search with terms that must be in the translation: dynamic beam allocation (Post and Vilar 2018).

   Hypotheses that contain more of the terms are less probable. A hypothesis therefore competes only within its bank. The
   hypotheses of a bank lack the same number of tokens of terms. nmt/search/terms.py does the same. */

#ifndef NMT_TERMS_H
#define NMT_TERMS_H

#include "results.h"

#define MIN_ATTENTION 0.4f /* see `is_looked_at` */

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

static const int32_t *get_form(const nmt_term *term, int32_t form, int32_t *length) {
    int32_t first = form ? term->forms_end[form - 1] : 0;
    *length = term->forms_end[form] - first;
    return term->ids + first;
}

/* Count the tokens of terms that a hypothesis has. Each term counts as its longest form. */
static int32_t count_tokens(const nmt_sentence *sentence, const Progress *progress) {
    int32_t count = 0, length;
    for (int32_t t = 0; t < sentence->term_count; t++) {
        if (progress->met >> t & 1) count += longest_form(&sentence->terms[t]);
        if (progress->term != t) continue;
        get_form(&sentence->terms[t], progress->form, &length);
        count += longest_form(&sentence->terms[t]) - length + progress->progress;
    }
    return count;
}

static int32_t find_bank(const Slot *slot, const Progress *progress) {
    int32_t total = count_term_tokens(slot->sentence), count = count_tokens(slot->sentence, progress);
    return total < MAX_BANKS ? count : (int32_t)((int64_t)count * (MAX_BANKS - 1) / total);
}

static int32_t get_edges(const Search *search, int32_t token) {
    return search->options->edges ? search->options->edges[token] : 0;
}

/* Whether a form can begin with the next token. `previous` is the token before, NMT_BOS at the beginning. */
static int may_begin(const Search *search, const nmt_term *term, int32_t form, int32_t previous) {
    if (form >= term->forms - term->initial) return previous == NMT_BOS;
    int32_t length, first = *get_form(term, form, &length);
    int32_t edges = get_edges(search, first), before = previous == NMT_BOS ? 0 : get_edges(search, previous);
    if (edges & NMT_BEGINS_WITH_SPACE && before & NMT_ENDS_IN_SPACE) return 0;
    return !(edges & NMT_CONTINUES_WORD) || (previous != NMT_BOS && !(before & NMT_ENDS_IN_WORD));
}

static float sum_attention(const nmt_term *term, const float *weights) {
    float sum = 0;
    for (int32_t i = 0; i < term->position_count; i++) sum += weights[term->positions[i]];
    return sum;
}

/* Return what a hypothesis has of the terms after one more token. `weights` is the attention with which the token was
   predicted. */
static Progress advance(const Search *search, const Slot *slot, const Progress *before, int32_t token, int32_t previous,
                        const float *weights) {
    const nmt_sentence *sentence = slot->sentence;
    Progress after = {.met = before->met, .term = NO_TERM, .last = NO_TERM, .begun = NO_TERM};
    int32_t length, own_length, p = before->progress;
    /* A term is a whole word. If the word continues, the term has not been met. */
    if (before->last != NO_TERM && get_edges(search, token) & NMT_CONTINUES_WORD) after.met &= ~(1ull << before->last);
    if (before->term != NO_TERM) { /* continue the form, or another form that begins in the same way */
        const int32_t *own = get_form(&sentence->terms[before->term], before->form, &own_length);
        for (int32_t t = 0; t < sentence->term_count; t++) {
            const nmt_term *term = &sentence->terms[t];
            for (int32_t f = 0; f < term->forms && !(after.met >> t & 1); f++) {
                const int32_t *form = get_form(term, f, &length);
                if (length <= p || form[p] != token || memcmp(form, own, p * sizeof *form)) continue;
                if (f >= term->forms - term->initial && slot->step != p) continue;
                if (after.term == NO_TERM || (t == before->term && f == before->form))
                    after.term = t, after.form = f, after.progress = p + 1;
            }
        }
    }
    if (after.term == NO_TERM) {
        float most = -1;
        for (int32_t t = 0; t < sentence->term_count; t++) {
            const nmt_term *term = &sentence->terms[t];
            for (int32_t f = 0; f < term->forms && !(after.met >> t & 1); f++) {
                if (*get_form(term, f, &length) != token || !may_begin(search, term, f, previous)) continue;
                float sum = sum_attention(term, weights);
                if (sum > most) most = sum, after.term = after.begun = t, after.form = f, after.progress = 1;
            }
        }
    }
    if (after.term == NO_TERM) return after;
    get_form(&sentence->terms[after.term], after.form, &length);
    if (after.progress == length) {
        after.met |= 1ull << after.term;
        after.last = after.term;
        after.term = NO_TERM;
        after.progress = 0;
    }
    return after;
}

/* Whether a term may begin now: where attention looks at its source tokens, where the translation would otherwise end,
   and in the second half of the longest possible translation. */
static int is_looked_at(const Slot *slot, const nmt_term *term, const float *weights, int would_end) {
    return would_end || 2 * (int64_t)slot->step >= slot->limit || sum_attention(term, weights) >= MIN_ATTENTION;
}

static int32_t last_token(const Slot *slot, int32_t step, int32_t row) {
    return step ? ((int32_t *)slot->tokens.data)[(size_t)(step - 1) * slot->rows + row] : NMT_BOS;
}

/* Add the extension of row `k` by a token of a term to the list of its bank, and remove it from the row. If the term must
   not begin here, the extension competes with those that do not begin it. */
static void list_token(const Search *search, const Slot *slot, int32_t k, int32_t token, float *row, int32_t width,
                       float more, const float *weights, int would_end, float *values, int32_t *places) {
    int32_t K = slot->rows, column = find_column(slot, token);
    if (column < 0 || !(row[column] > -INFINITY)) return;
    Progress after =
        advance(search, slot, (Progress *)slot->progress[0].data + k, token, last_token(slot, slot->step, k), weights);
    if (after.begun != NO_TERM && !is_looked_at(slot, &slot->sentence->terms[after.begun], weights, would_end)) {
        after.met &= ~(1ull << after.begun);
        after.term = NO_TERM;
    }
    int32_t bank = find_bank(slot, &after);
    if (row[column] + more > values[(size_t)bank * K + K - 1])
        insert(values + (size_t)bank * K, places + (size_t)bank * K, K, row[column] + more, k * width + column);
    row[column] = -INFINITY;
}

static int has_all_terms(const Slot *slot, int32_t k) {
    return ((Progress *)slot->progress[0].data)[k].met == ~0ull >> (64 - slot->sentence->term_count);
}

/* Add the extensions of row `k` to the lists of their banks. Return log P of the extension by EOS. `blocks` has a bound
   of the scores of each block of the row. */
static float list_extensions(const Search *search, const Slot *slot, int32_t k, float *row, const float *blocks,
                             int32_t width, float more, const float *weights, float *values, int32_t *places) {
    const nmt_sentence *sentence = slot->sentence;
    const Progress *before = (Progress *)slot->progress[0].data + k;
    int32_t K = slot->rows, end_column = find_column(slot, NMT_EOS), length;
    const int32_t *candidates = slot->candidates.data;
    float end = row[end_column] + more, highest = -INFINITY;
    row[end_column] = -INFINITY;
    for (int32_t block = 0; block < width / PANEL; block++)
        for (int32_t c = block * PANEL; blocks[block] > highest && c < (block + 1) * PANEL; c++)
            if (row[c] > highest) highest = row[c];
    if (slot->step >= slot->limit || !(highest > -INFINITY)) return end;
    int would_end = end >= highest + more;
    for (int32_t t = 0; t < sentence->term_count; t++) {
        const nmt_term *term = &sentence->terms[t];
        for (int32_t f = 0; f < term->forms; f++) {
            const int32_t *form = get_form(term, f, &length);
            list_token(search, slot, k, form[0], row, width, more, weights, would_end, values, places);
            if (before->term != NO_TERM && before->progress < length)
                list_token(search, slot, k, form[before->progress], row, width, more, weights, would_end, values,
                           places);
        }
    }
    Progress plain = {.met = before->met, .term = NO_TERM}, continued = plain;
    if (before->last != NO_TERM) continued.met &= ~(1ull << before->last);
    int32_t bank = find_bank(slot, &plain), other = find_bank(slot, &continued);
    const float *last = values + (size_t)bank * K + K - 1, *other_last = values + (size_t)other * K + K - 1;
    for (int32_t c = 0; c < width; c++) {
        float least = *last < *other_last ? *last : *other_last;
        if (c % PANEL == 0)
            while (c < width && !(blocks[c / PANEL] + more > least)) c += PANEL;
        if (c >= width || !(row[c] + more > least)) continue;
        int32_t own =
            other != bank && get_edges(search, slot->listed ? candidates[c] : c) & NMT_CONTINUES_WORD ? other : bank;
        if (row[c] + more > values[(size_t)own * K + K - 1])
            insert(values + (size_t)own * K, places + (size_t)own * K, K, row[c] + more, k * width + c);
    }
    return has_all_terms(slot, k) ? end : -INFINITY;
}

/* Select the extensions of the hypotheses for the next beam, `values` and `places` (rows), and those by EOS, `ends`
   (live). Each bank has the same number of rows. Rows that a bank does not need go to the others, the fullest first.
   Return the extensions with which those by EOS compete. */
static const float *select_with_terms(Search *search, Slot *slot, float *scores, const float *norms,
                                      const float *blocks, int32_t width, const float *weights, int32_t stride,
                                      float *values, int32_t *places, float *ends) {
    int32_t K = slot->rows, banks = count_banks(slot->sentence), taken = 0;
    const double *log_probabilities = slot->log_probabilities.data;
    float *lists = reserve(&search->bank_values, (size_t)banks * K, sizeof(float), &search->status);
    int32_t *list_places = reserve(&search->bank_places, (size_t)banks * K, sizeof(int32_t), &search->status);
    if (search->status) return NULL;
    for (int32_t i = 0; i < banks * K; i++) lists[i] = -INFINITY, list_places[i] = 0;
    for (int32_t k = 0; k < slot->live; k++) {
        float more = (float)(log_probabilities[k] - log_probabilities[0]) - norms[k];
        ends[k] = list_extensions(search, slot, k, scores + (size_t)k * width, blocks + (size_t)k * (width / PANEL),
                                  width, more, weights + (size_t)k * stride, lists, list_places);
    }
    int any = slot->ended > 0; /* a translation without all terms is the last resort */
    for (int32_t k = 0; k < slot->live; k++) any |= has_all_terms(slot, k);
    for (int32_t k = 0; any && k < slot->live; k++)
        if (!has_all_terms(slot, k)) ends[k] = -INFINITY;
    for (int32_t rank = 0; rank < K && taken < K; rank++)
        for (int32_t bank = banks - 1; bank >= 0 && taken < K; bank--) {
            float value = lists[(size_t)bank * K + rank];
            if (!(value > -INFINITY)) continue;
            insert(values, places, K, value, list_places[(size_t)bank * K + rank]);
            taken++;
        }
    return lists + (size_t)(banks - 1) * K;
}

/* Compute what the hypotheses have of the terms after a step. `weights` (rows before the step) is its attention. */
static void follow_terms(const Search *search, Slot *slot, const float *weights, int32_t stride) {
    if (!slot->sentence->term_count) return;
    int32_t step = slot->step - 1;
    const int32_t *origins = (int32_t *)slot->origins.data + (size_t)step * slot->rows;
    Progress *after = slot->progress[1].data;
    slot->step = step; /* the token was predicted there */
    for (int32_t k = 0; k < slot->live; k++) {
        const Progress *before = (Progress *)slot->progress[0].data + origins[k];
        int32_t previous = last_token(slot, step, origins[k]), token = last_token(slot, step + 1, k);
        after[k] = advance(search, slot, before, token, previous, weights + (size_t)origins[k] * stride);
    }
    slot->step = step + 1;
    swap(&slot->progress[0], &slot->progress[1]);
}

#endif
