/* The LSTM cell in training, and the loops of a layer over the time steps of a batch. */

#ifndef NMT_TRAIN_CELLS_H
#define NMT_TRAIN_CELLS_H

#include "train.h"
#include "train_products.h"

/* Write x * mask, or x if there is no mask. */
INLINE void write_masked(float *out, const float *x, const float *mask, int32_t n) {
    if (mask)
        for (int32_t j = 0; j < n; j += LANES) store(out + j, load(x + j) * load(mask + j));
    else
        memcpy(out, x, n * sizeof *x);
}

/* Compute h and c (H) of a row. `gates` (4H) contains z, and receives the activations. */
INLINE void step_lstm(int32_t H, float *gates, const float *cell, float *next_cell, float *h) {
    for (int32_t j = 0; j < H; j += LANES) {
        Lanes i = sigmoid_lanes(load(gates + j)), f = sigmoid_lanes(load(gates + H + j));
        Lanes g = tanh_lanes(load(gates + 2 * H + j)), o = sigmoid_lanes(load(gates + 3 * H + j));
        Lanes c = f * load(cell + j) + i * g;
        store(gates + j, i);
        store(gates + H + j, f);
        store(gates + 2 * H + j, g);
        store(gates + 3 * H + j, o);
        store(next_cell + j, c);
        store(h + j, o * tanh_lanes(c));
    }
}

/* Compute the gradient of z (4H) of a row from that of h. `d_cell` is the gradient of c after the step, and receives
   that of c before the step. */
INLINE void step_lstm_back(int32_t H, const float *gates, const float *cell, const float *next_cell, const float *d_h,
                           float *d_cell, float *d_gates) {
    for (int32_t j = 0; j < H; j += LANES) {
        Lanes i = load(gates + j), f = load(gates + H + j), g = load(gates + 2 * H + j), o = load(gates + 3 * H + j);
        Lanes t = tanh_lanes(load(next_cell + j)), d = load(d_h + j);
        Lanes d_c = load(d_cell + j) + d * o * (1.0f - t * t);
        store(d_gates + j, d_c * g * i * (1.0f - i));
        store(d_gates + H + j, d_c * load(cell + j) * f * (1.0f - f));
        store(d_gates + 2 * H + j, d_c * i * (1.0f - g * g));
        store(d_gates + 3 * H + j, d * t * o * (1.0f - o));
        store(d_cell + j, d_c * f);
    }
}

INLINE float add_lanes(Lanes x) {
    float values[LANES];
    store(values, x);
    for (int half = LANES / 2; half; half /= 2)
        for (int i = 0; i < half; i++) values[i] += values[i + half];
    return values[0];
}

/* Normalize h (H). `normalized` receives n, and `y` the result. Returns 1 / deviation. */
INLINE float normalize_row(const nmt_train_norm *norm, int32_t H, const float *h, float *normalized, float *y) {
    Lanes sum = {0}, squares = {0};
    for (int32_t j = 0; j < H; j += LANES) sum += load(h + j);
    float mean = add_lanes(sum) / (float)H;
    for (int32_t j = 0; j < H; j += LANES) {
        Lanes x = load(h + j) - mean;
        squares += x * x;
    }
    float scale = 1.0f / sqrtf(add_lanes(squares) / (float)H + 1e-5f);
    for (int32_t j = 0; j < H; j += LANES) {
        Lanes n = (load(h + j) - mean) * scale;
        store(normalized + j, n);
        store(y + j, n * load(norm->gain + j) + load(norm->bias + j));
    }
    return scale;
}

/* Compute the gradient of h (H) from that of y. */
INLINE void normalize_row_back(const nmt_train_norm *norm, int32_t H, const float *normalized, float scale,
                               const float *d_y, float *d_h) {
    Lanes sum = {0}, products = {0};
    for (int32_t j = 0; j < H; j += LANES) {
        Lanes d = load(d_y + j) * load(norm->gain + j);
        sum += d;
        products += d * load(normalized + j);
    }
    float mean = add_lanes(sum) / (float)H, share = add_lanes(products) / (float)H;
    for (int32_t j = 0; j < H; j += LANES) {
        Lanes d = load(d_y + j) * load(norm->gain + j);
        store(d_h + j, (d - mean - load(normalized + j) * share) * scale);
    }
}

/* The parts of the arrays of a layer that belong to a row at a step. */
INLINE float *left_row(const nmt_train_lstm *layer, int64_t row) {
    return layer->left + row * (layer->inputs + layer->size);
}

/* Compute h of `rows` rows, beginning with row `first`, at step t. h (rows, H) is written to `h`, and masked to the left
   factors of the next step. `space` has room for PACKED numbers. */
static void advance_lstm(const nmt_train_lstm *layer, int64_t batch, int64_t t, int64_t first, int64_t rows, float *h,
                         float *space) {
    int64_t H = layer->size, K = layer->inputs + H, row = t * batch + first;
    float *gates = layer->gates + row * 4 * H;
    Sums sums = {gates, 4 * H, layer->bias ? layer->bias : gates, layer->bias ? 0 : 4 * H};
    multiply_packed(rows, K, 4 * H, left_row(layer, row), layer->weights, sums, space);
    for (int64_t r = 0; r < rows; r++, row++) {
        float *cell = layer->cells + row * H;
        step_lstm(H, gates + r * 4 * H, cell, cell + batch * H, h + r * H);
        write_masked(left_row(layer, row + batch) + layer->inputs, h + r * H,
                     layer->state_mask ? layer->state_mask + (first + r) * H : NULL, H);
    }
}

/* Compute the gradients of step t from those of h (rows, H). The gradients of the left factors, without masks, are
   written to `d_left` (rows, D + H), and that of c to the layer's `d_cell`. `space` has room for PACKED numbers. */
static void retreat_lstm(const nmt_train_lstm *layer, int64_t batch, int64_t t, int64_t first, int64_t rows,
                         const float *d_h, float *d_left, float *space) {
    int64_t H = layer->size, K = layer->inputs + H, row = t * batch + first;
    float *d_gates = layer->d_gates + row * 4 * H;
    for (int64_t r = 0; r < rows; r++) {
        const float *cell = layer->cells + (row + r) * H;
        step_lstm_back(H, layer->gates + (row + r) * 4 * H, cell, cell + batch * H, d_h + r * H,
                       layer->d_cell + (first + r) * H, d_gates + r * 4 * H);
    }
    multiply_packed(rows, 4 * H, K, d_gates, layer->transposed, (Sums){d_left, K, NULL, 0}, space);
    for (int64_t r = 0; r < rows; r++)
        write_masked(layer->d_hidden + (first + r) * H, d_left + r * K + layer->inputs,
                     layer->state_mask ? layer->state_mask + (first + r) * H : NULL, H);
}

static int run_lstm(const nmt_train_lstm *layer, int32_t steps, int32_t batch, int32_t first, int32_t rows,
                    float *outputs) {
    int64_t H = layer->size;
    float *h = malloc(((size_t)rows * H + PACKED) * sizeof *h), *space = h + rows * H;
    if (!h) return NMT_NO_MEMORY;
    for (int64_t t = 0; t < steps; t++)
        advance_lstm(layer, batch, t, first, rows, outputs ? outputs + (t * batch + first) * H : h, space);
    free(h);
    return NMT_OK;
}

static int run_lstm_back(const nmt_train_lstm *layer, int32_t steps, int32_t batch, int32_t first, int32_t rows,
                         const float *d_outputs) {
    int64_t H = layer->size, count = rows * H;
    float *d_h = malloc(((size_t)count * 2 + PACKED) * sizeof *d_h), *d_left = d_h + count, *space = d_left + count;
    if (!d_h) return NMT_NO_MEMORY;
    for (int64_t t = steps - 1; t >= 0; t--) {
        const float *given = d_outputs + (t * batch + first) * H, *carried = layer->d_hidden + first * H;
        for (int64_t j = 0; j < count; j += LANES) store(d_h + j, load(given + j) + load(carried + j));
        retreat_lstm(layer, batch, t, first, rows, d_h, d_left, space);
    }
    free(d_h);
    return NMT_OK;
}

#endif
