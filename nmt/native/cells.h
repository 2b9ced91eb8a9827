/* The recurrent cells, and layer normalization. */

#ifndef NMT_CELLS_H
#define NMT_CELLS_H

#include "network.h"
#include "vectors.h"

/* Compute the state after a step of a cell, for one row.

   `added` are W x + b of all gates, and `gates` U h + b. For a joint layer, `gates` has both, and `added` only what is
   not in the product. `cell` is c of an LSTM, or h of a GRU. `h` receives the output. */
static void step_cell(int32_t kind, const float *added, const float *gates, int32_t H, float *cell, float *h) {
    switch (kind) {
    case NMT_LSTM:
        for (int32_t j = 0; j < H; j += LANES) {
            /* With powers p = e^-x, sigmoid(i) tanh(g) = (1 - g²) / ((1 + i) (1 + g²)): fewer divisions. */
            Lanes i = exp_lanes(-maximum(load(added + j) + load(gates + j), fill(-40.0f)));
            Lanes f = exp_lanes(-(load(added + H + j) + load(gates + H + j)));
            Lanes g = exp_lanes(-2.0f * maximum(load(added + 2 * H + j) + load(gates + 2 * H + j), fill(-20.0f)));
            Lanes o = exp_lanes(-maximum(load(added + 3 * H + j) + load(gates + 3 * H + j), fill(-40.0f)));
            Lanes c = load(cell + j) / (1.0f + f) + (1.0f - g) / ((1.0f + i) * (1.0f + g));
            Lanes p = exp_lanes(-2.0f * maximum(c, fill(-20.0f)));
            store(cell + j, c);
            store(h + j, (1.0f - p) / ((1.0f + o) * (1.0f + p)));
        }
        break;
    case NMT_GRU:
        for (int32_t j = 0; j < H; j += LANES) {
            Lanes r = sigmoid_lanes(load(added + j) + load(gates + j));
            Lanes z = sigmoid_lanes(load(added + H + j) + load(gates + H + j));
            Lanes n = tanh_lanes(load(added + 2 * H + j) + r * load(gates + 2 * H + j));
            Lanes next = (1.0f - z) * n + z * load(cell + j);
            store(cell + j, next);
            store(h + j, next);
        }
        break;
    case NMT_RNN:
        for (int32_t j = 0; j < H; j += LANES) store(h + j, tanh_lanes(load(added + j) + load(gates + j)));
    }
}

/* Normalize a row x (n) in place (Ba et al. 2016). */
static void normalize(const Norm *norm, float *x, int32_t n) {
    double sum = 0, squares = 0;
    if (!norm->gain) return;
    for (int32_t i = 0; i < n; i++) sum += x[i];
    double mean = sum / n;
    for (int32_t i = 0; i < n; i++) squares += (x[i] - mean) * (x[i] - mean);
    float scale = (float)(1.0 / sqrt(squares / n + 1e-5)), shift = (float)mean;
    for (int32_t i = 0; i < n; i++) x[i] = (x[i] - shift) * scale * norm->gain[i] + norm->bias[i];
}

#endif
