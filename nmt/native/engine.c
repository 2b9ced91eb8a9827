/* The search, compiled once for each kind of processor with the name NMT_VARIANT. */

#include "search.h"

#define JOIN(first, second) first##second
#define NAME(variant) JOIN(nmt_search_, variant)

int NAME(NMT_VARIANT)(const nmt_network *const *networks, int32_t members, const nmt_sentence *sentences, int32_t count,
                      const nmt_options *options, nmt_hypotheses *hypotheses) {
    return search_all(networks, members, sentences, count, options, hypotheses);
}
