/* Products of floats that are computed once, when a network is packed. Each variant has the same results. */

#ifndef NMT_FOLD_H
#define NMT_FOLD_H

#include "vectors.h"

/* Round a product before it is added. Otherwise, compilers make one instruction of both where the processor has it, and
   the same network would be packed in another way there. */
#if defined __x86_64__
#define ROUND(product) __asm__("" : "+x"(product))
#else
#define ROUND(product)
#endif

enum { FOLD_ROWS = 4, FOLD_COLUMNS = 2 * LANES }; /* a tile of sums that fills the registers */

/* out (N, F) += X (N, E) W (E, F) for `rows` rows and FOLD_COLUMNS columns. Each sum is computed in the order of e. */
INLINE void add_tile(int rows, const float *x, const float *matrix, int32_t E, int32_t F, float *out) {
    Lanes sums[FOLD_ROWS][2];
    for (int n = 0; n < rows; n++)
        for (int i = 0; i < 2; i++) sums[n][i] = load(out + (int64_t)n * F + i * LANES);
    for (int32_t e = 0; e < E; e++) {
        Lanes weights[2] = {load(matrix + (int64_t)e * F), load(matrix + (int64_t)e * F + LANES)};
        for (int n = 0; n < rows; n++) {
            for (int i = 0; i < 2; i++) {
                Lanes product = fill(x[(int64_t)n * E + e]) * weights[i];
                ROUND(product);
                sums[n][i] += product;
            }
        }
    }
    for (int n = 0; n < rows; n++)
        for (int i = 0; i < 2; i++) store(out + (int64_t)n * F + i * LANES, sums[n][i]);
}

/* out (N, F) += X (N, E) W (E, F) */
static void fold_product(const float *x, const float *matrix, int32_t N, int32_t E, int32_t F, float *out) {
    int32_t tiled = F / FOLD_COLUMNS * FOLD_COLUMNS, rows = N / FOLD_ROWS * FOLD_ROWS;
    for (int32_t n = 0; n < N; n += n < rows ? FOLD_ROWS : 1) {
        const float *own = x + (int64_t)n * E;
        float *sums = out + (int64_t)n * F;
        for (int32_t f = 0; f < tiled; f += FOLD_COLUMNS) {
            if (n < rows)
                add_tile(FOLD_ROWS, own, matrix + f, E, F, sums + f);
            else
                add_tile(1, own, matrix + f, E, F, sums + f);
        }
    }
    for (int32_t n = 0; n < N; n++) {
        for (int32_t f = tiled; f < F; f++) {
            for (int32_t e = 0; e < E; e++) {
                float product = x[(int64_t)n * E + e] * matrix[(int64_t)e * F + f];
                ROUND(product);
                out[(int64_t)n * F + f] += product;
            }
        }
    }
}

#endif
