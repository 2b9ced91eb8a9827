/* The search, and the products of packing, compiled once for each kind of processor with the name NMT_VARIANT. */

#include "fold.h"
#include "search.h"

#define JOIN(first, second) first##second
#define NAME(function, variant) JOIN(function, variant)

int NAME(nmt_search_, NMT_VARIANT)(const nmt_network *const *networks, int32_t members, const nmt_sentence *sentences,
                                   int32_t count, const nmt_options *options, nmt_hypotheses *hypotheses) {
    return search_all(networks, members, sentences, count, options, hypotheses);
}

void NAME(nmt_fold_, NMT_VARIANT)(const float *x, const float *matrix, int32_t N, int32_t E, int32_t F, float *out) {
    fold_product(x, matrix, N, E, F, out);
}
