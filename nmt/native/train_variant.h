/* The functions of training that each variant of the code has. */

#ifndef NMT_TRAIN_VARIANT_H
#define NMT_TRAIN_VARIANT_H

#include "train.h"

typedef struct {
    int64_t (*size)(int64_t K, int64_t N);
    void (*pack)(const float *values, int64_t row, int64_t column, int64_t K, int64_t N, float *packed);
    int (*multiply)(int64_t M, int64_t K, int64_t N, const float *left, const float *packed, float *product);
    int (*lstm)(const nmt_train_lstm *layer, int32_t steps, int32_t batch, int32_t first, int32_t rows, float *outputs);
    int (*lstm_back)(const nmt_train_lstm *layer, int32_t steps, int32_t batch, int32_t first, int32_t rows,
                     const float *d_outputs);
    int (*decoder)(const nmt_train_decoder *decoder, int32_t first, int32_t rows);
    int (*decoder_back)(const nmt_train_decoder *decoder, int32_t first, int32_t rows);
    int (*softmax)(const nmt_train_softmax *softmax, int64_t first, int64_t rows, float *d_weights, double *loss);
    void (*unpack)(const float *packed, int64_t K, int64_t N, int64_t first, int64_t rows, float *values, int64_t row,
                   int64_t column);
} Training;

extern const Training nmt_training_plain;
#ifdef NMT_HAVE_AVX2
extern const Training nmt_training_avx2;
#endif
#ifdef NMT_HAVE_AVX512VNNI
extern const Training nmt_training_avx512vnni;
#endif
#ifdef NMT_HAVE_NEON
extern const Training nmt_training_neon;
#endif

const Training *nmt_choose_training(void); /* the functions for this processor */

#endif
