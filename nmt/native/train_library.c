/* The entry to the functions of training: checks the arguments. */

#include "train_variant.h"

static const int64_t LARGEST = 1 << 20; /* of all sizes, so that their products fit into 64 bits */

static int is_size(int64_t size) { return size >= 0 && size <= LARGEST; }

static int are_rows(int32_t steps, int32_t batch, int32_t first, int32_t rows) {
    return is_size(steps) && is_size(batch) && is_size(first) && is_size(rows) && first + rows <= batch;
}

static int is_valid_layer(const nmt_train_lstm *layer) {
    return layer->size >= NMT_LANES && layer->size % NMT_LANES == 0 && is_size(layer->size) && is_size(layer->inputs) &&
           layer->inputs % NMT_LANES == 0;
}

static int is_valid_decoder(const nmt_train_decoder *d, int32_t first, int32_t rows) {
    if (!are_rows(d->steps, d->batch, first, rows) || d->layers < 1 || !is_size(d->sources)) return 0;
    for (int32_t l = 0; l < d->layers; l++)
        if (!is_valid_layer(&d->lstms[l]) || d->lstms[l].size != d->size || d->lstms[l].inputs != d->size) return 0;
    return 1;
}

NMT_API int64_t nmt_matrix_size(int64_t K, int64_t N) { return nmt_choose_training()->size(K, N); }

NMT_API void nmt_pack_matrix(const float *values, int64_t row, int64_t column, int64_t K, int64_t N, float *packed) {
    nmt_choose_training()->pack(values, row, column, K, N, packed);
}

NMT_API int nmt_multiply(int64_t M, int64_t K, int64_t N, const float *left, const float *packed, float *product) {
    return nmt_choose_training()->multiply(M, K, N, left, packed, product);
}

NMT_API int nmt_lstm_forward(const nmt_train_lstm *layer, int32_t steps, int32_t batch, int32_t first, int32_t rows,
                             float *outputs) {
    if (!are_rows(steps, batch, first, rows) || !is_valid_layer(layer) || layer->inputs) return NMT_BAD_ARGUMENT;
    return nmt_choose_training()->lstm(layer, steps, batch, first, rows, outputs);
}

NMT_API int nmt_lstm_backward(const nmt_train_lstm *layer, int32_t steps, int32_t batch, int32_t first, int32_t rows,
                              const float *d_outputs) {
    if (!are_rows(steps, batch, first, rows) || !is_valid_layer(layer) || layer->inputs) return NMT_BAD_ARGUMENT;
    return nmt_choose_training()->lstm_back(layer, steps, batch, first, rows, d_outputs);
}

NMT_API int nmt_decoder_forward(const nmt_train_decoder *decoder, int32_t first, int32_t rows) {
    if (!is_valid_decoder(decoder, first, rows)) return NMT_BAD_ARGUMENT;
    return nmt_choose_training()->decoder(decoder, first, rows);
}

NMT_API int nmt_decoder_backward(const nmt_train_decoder *decoder, int32_t first, int32_t rows) {
    if (!is_valid_decoder(decoder, first, rows)) return NMT_BAD_ARGUMENT;
    return nmt_choose_training()->decoder_back(decoder, first, rows);
}

NMT_API int nmt_softmax(const nmt_train_softmax *softmax, int64_t first, int64_t rows, float *d_weights, double *loss) {
    int valid = softmax->size > 0 && is_size(softmax->size) && softmax->tokens > 0 && softmax->tokens <= (1 << 28) &&
                first >= 0 && rows >= 0;
    return valid ? nmt_choose_training()->softmax(softmax, first, rows, d_weights, loss) : NMT_BAD_ARGUMENT;
}

NMT_API void nmt_unpack_matrix(const float *packed, int64_t K, int64_t N, int64_t first, int64_t rows, float *values,
                               int64_t row, int64_t column) {
    nmt_choose_training()->unpack(packed, K, N, first, rows, values, row, column);
}
