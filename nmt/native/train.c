/* The loops of training, compiled once for each kind of processor with the name NMT_VARIANT. */

#include <stdlib.h>

#include "train_decoder.h"
#include "train_softmax.h"
#include "train_variant.h"

#define JOIN(first, second) first##second
#define NAME(variant) JOIN(nmt_training_, variant)

static int64_t compute_size(int64_t K, int64_t N) { return count_panels(N) * WIDTH * K; }

static int multiply_matrix(int64_t M, int64_t K, int64_t N, const float *left, const float *packed, float *product) {
    float *space = malloc(PACKED * sizeof *space);
    if (!space) return NMT_NO_MEMORY;
    multiply_packed(M, K, N, left, packed, (Sums){product, N, NULL, 0}, space);
    free(space);
    return NMT_OK;
}

const Training NAME(NMT_VARIANT) = {
    compute_size, pack_right,       multiply_matrix, run_lstm,     run_lstm_back,
    run_decoder,  run_decoder_back, run_softmax,     unpack_right,
};
