/* The entry to the search: checks the arguments, and chooses the code for this processor. */

#include "network.h"
#include "train_variant.h"

#include <stdlib.h>
#include <string.h>

typedef int search_function(const nmt_network *const *, int32_t, const nmt_sentence *, int32_t, const nmt_options *,
                            nmt_hypotheses *);
typedef void fold_function(const float *, const float *, int32_t, int32_t, int32_t, float *);
search_function nmt_search_plain;
fold_function nmt_fold_plain;
#ifdef NMT_HAVE_AVX2
search_function nmt_search_avx2;
fold_function nmt_fold_avx2;
#endif
#ifdef NMT_HAVE_AVX512VNNI
search_function nmt_search_avx512vnni;
fold_function nmt_fold_avx512vnni;
#endif
#ifdef NMT_HAVE_NEON
search_function nmt_search_neon;
fold_function nmt_fold_neon;
#endif
/* A library that only translates is compiled without the functions of training. */
#ifdef NMT_WITHOUT_TRAINING
#define TRAINING(variant) NULL
#else
#define TRAINING(variant) &nmt_training_##variant
#endif

/* What the processor and the operating system support. These are set once, when the library is loaded: a virtual
   machine answers slowly. */
__attribute__((unused)) static int has_avx2, has_avx512vnni, has_dot_products;

#if defined(__x86_64__)
#include <cpuid.h>
/* `__builtin_cpu_supports` finds nothing if zig compiled it into a shared library. */
__attribute__((constructor)) static void ask_processor(void) {
    unsigned a, b, c, d, saved, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) || !(c & bit_FMA)) return;
    __asm__("xgetbv" : "=a"(saved), "=d"(high) : "c"(0)); /* the registers that the operating system saves */
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return;
    unsigned avx512 = bit_AVX512F | bit_AVX512DQ | bit_AVX512BW | bit_AVX512VL;
    has_avx2 = (saved & 0x06) == 0x06 && b & bit_AVX2;
    has_avx512vnni = has_avx2 && (saved & 0xe6) == 0xe6 && (b & avx512) == avx512 && c & bit_AVX512VNNI;
}
#elif defined(__APPLE__)
__attribute__((constructor)) static void ask_processor(void) { has_dot_products = 1; }
#elif defined(__aarch64__)
#include <sys/auxv.h>
__attribute__((constructor)) static void ask_processor(void) {
    has_dot_products = (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
}
#endif

typedef struct {
    const char *name;
    search_function *search;
    fold_function *fold;
    const Training *training;
    int available;
} Variant;

/* Choose the first variant that the processor can run. NMT_NATIVE names one to begin with. */
static Variant choose_variant(void) {
    Variant variants[] = {
#ifdef NMT_HAVE_AVX512VNNI
        {"avx512vnni", nmt_search_avx512vnni, nmt_fold_avx512vnni, TRAINING(avx512vnni), has_avx512vnni},
#endif
#ifdef NMT_HAVE_AVX2
        {"avx2", nmt_search_avx2, nmt_fold_avx2, TRAINING(avx2), has_avx2},
#endif
#ifdef NMT_HAVE_NEON
        {"neon", nmt_search_neon, nmt_fold_neon, TRAINING(neon), has_dot_products},
#endif
        {"plain", nmt_search_plain, nmt_fold_plain, TRAINING(plain), 1},
    };
    int32_t count = sizeof variants / sizeof *variants, first = 0;
    const char *wanted = getenv("NMT_NATIVE");
    for (int32_t i = 0; wanted && i < count; i++)
        if (!strcmp(variants[i].name, wanted)) first = i;
    while (!variants[first].available) first++;
    return variants[first];
}

NMT_API const char *nmt_variant(void) { return choose_variant().name; }

void nmt_add_product(const float *x, const float *matrix, int32_t N, int32_t E, int32_t F, float *out) {
    choose_variant().fold(x, matrix, N, E, F, out);
}

const Training *nmt_choose_training(void) { return choose_variant().training; }

NMT_API int32_t nmt_version(void) { return NMT_INTERFACE; }

static int are_valid_ids(const int32_t *ids, int32_t length, int32_t lowest, int32_t size) {
    for (int32_t i = 0; i < length; i++)
        if (ids[i] < lowest || ids[i] >= size) return 0;
    return 1;
}

/* Whether the arcs of a sentence lead from each state to later states. Their number is not known to the library. */
static int are_valid_arcs(const nmt_sentence *sentence, int32_t target) {
    if (sentence->states < 0 || sentence->states > (1 << 20)) return 0;
    for (int32_t state = 0, first = 0; state < sentence->states; first = sentence->arcs_end[state++]) {
        if (sentence->arcs_end[state] <= first) return 0;
        for (int32_t i = first; i < sentence->arcs_end[state]; i++) {
            nmt_arc arc = sentence->arcs[i];
            if (arc.token <= NMT_EOS || arc.token >= target || arc.next <= state || arc.next > sentence->states ||
                (i > first && arc.token <= sentence->arcs[i - 1].token))
                return 0;
        }
    }
    return 1;
}

/* Whether the terms of a sentence have forms and positions within their bounds. */
static int are_valid_terms(const nmt_sentence *sentence, int32_t target) {
    if (sentence->term_count < 0 || sentence->term_count > 64) return 0;
    for (int32_t t = 0; t < sentence->term_count; t++) {
        const nmt_term *term = &sentence->terms[t];
        if (term->forms < 1 || term->forms > 1000 || term->initial < 0 || term->initial > term->forms ||
            term->position_count < 0 || term->position_count > sentence->length ||
            !are_valid_ids(term->positions, term->position_count, 0, sentence->length))
            return 0;
        for (int32_t f = 0, first = 0; f < term->forms; first = term->forms_end[f++])
            if (term->forms_end[f] <= first || term->forms_end[f] - first > 10000) return 0;
        if (!are_valid_ids(term->ids, term->forms_end[term->forms - 1], NMT_EOS + 1, target)) return 0;
    }
    return 1;
}

static int are_valid(const nmt_network *const *networks, int32_t members, const nmt_sentence *sentences, int32_t count,
                     const nmt_options *o) {
    if (members < 1 || members > 64 || count < 0 || count > (1 << 28)) return 0;
    const nmt_architecture *first = &networks[0]->architecture;
    int32_t source = first->source_size, target = first->target_size;
    for (int32_t m = 1; m < members; m++) {
        const nmt_architecture *other = &networks[m]->architecture;
        if (other->source_size != source || other->target_size != target) return 0;
    }
    for (int32_t i = 0; i < count; i++) {
        const nmt_sentence *s = &sentences[i];
        if (i && s->length > sentences[i - 1].length) return 0;
        if (s->length < 1 || s->length > (1 << 20) || s->prefix_length < 0 || s->prefix_length > (1 << 20) ||
            s->sample < 0 || !are_valid_ids(s->ids, s->length, 0, source) ||
            !are_valid_ids(s->prefix, s->prefix_length, o->forced ? 0 : NMT_EOS + 1, target) ||
            !are_valid_arcs(s, target) || !are_valid_terms(s, target) || (s->term_count && (o->sampling || o->forced)))
            return 0;
    }
    return o->beam >= 1 &&
           (int64_t)(o->beam + 32) * round_up(target, PANEL) <= INT32_MAX && /* places are numbers of 32 bits */
           o->beam <= 10000 && o->nbest >= 1 && o->nbest <= o->beam && o->min_length >= 0 && o->min_length <= 10000 &&
           o->max_length_extra >= 0 && o->max_length_extra <= 10000 && o->max_length_factor >= 0 &&
           o->max_length_factor <= 1000 && o->length_penalty >= 0 && o->length_penalty <= 10 &&
           o->coverage_penalty >= 0 && o->coverage_penalty <= 1000 && o->banned_count >= 0 && o->temperature >= 0 &&
           o->temperature <= 1000 && o->top_k >= 0 && ((!o->sampling && !o->forced) || o->beam == 1) &&
           o->no_repeat_ngram_size >= 0 && o->no_repeat_ngram_size <= 10000 &&
           are_valid_ids(o->banned, o->banned_count, NMT_EOS + 1, target) && o->group >= 0;
}

NMT_API int nmt_search(const nmt_network *const *networks, int32_t members, const nmt_sentence *sentences,
                       int32_t count, const nmt_options *options, nmt_hypotheses *hypotheses) {
    memset(hypotheses, 0, sizeof *hypotheses);
    if (!are_valid(networks, members, sentences, count, options)) return NMT_BAD_ARGUMENT;
    if (!count) return NMT_OK;
    int status = choose_variant().search(networks, members, sentences, count, options, hypotheses);
    if (status != NMT_OK) nmt_free_hypotheses(hypotheses);
    return status;
}

NMT_API void nmt_free_hypotheses(nmt_hypotheses *hypotheses) {
    free(hypotheses->sentences);
    free(hypotheses->log_probabilities);
    free(hypotheses->scores);
    free(hypotheses->ids_end);
    free(hypotheses->attention_end);
    free(hypotheses->ids);
    free(hypotheses->token_log_probabilities);
    free(hypotheses->attention);
    memset(hypotheses, 0, sizeof *hypotheses);
}
